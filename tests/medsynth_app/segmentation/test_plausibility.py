"""What cannot be a tumour is doubted in words; what real cases show is not."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import numpy as np
import pytest

from medsynth_app.cancellation import WorkCancelledError, cancelled_by
from medsynth_app.imaging.reading import read_volume
from medsynth_app.segmentation.plausibility import doubt_at_the_image_edge, doubts_about


def ball(center: tuple[float, float, float], radius: float, shape: tuple[int, int, int] = (80, 80, 80)) -> np.ndarray:
    return ((np.indices(shape) - np.reshape(center, (3, 1, 1, 1))) ** 2).sum(axis=0) <= radius**2


BRAIN = ball((40, 40, 40), 36)


def test_a_plain_tumour_is_not_doubted() -> None:
    assert doubts_about(ball((40, 40, 30), 12).astype(np.uint8), BRAIN) == ()
    assert doubts_about(np.zeros(BRAIN.shape, np.uint8), BRAIN) == ()


def test_half_a_brain_of_tumour_is_doubted() -> None:
    assert "fills" in " ".join(doubts_about(ball((40, 40, 40), 30).astype(np.uint8), BRAIN))


def test_a_shell_at_the_edge_is_doubted() -> None:
    shell = BRAIN & ~ball((40, 40, 40), 34)
    assert "within 4 mm of the edge" in " ".join(doubts_about(shell.astype(np.uint8), BRAIN))


def test_many_large_pieces_are_doubted() -> None:
    pieces = np.zeros(BRAIN.shape, np.uint8)
    for x in (25, 40, 55):
        for y in (25, 40, 55):
            pieces[ball((x, y, 40), 6.5)] = 2
    assert "9 separate pieces" in " ".join(doubts_about(pieces, BRAIN))


def test_oedema_without_a_core_is_doubted() -> None:
    labels = 2 * ball((40, 40, 30), 12).astype(np.uint8)
    assert "no tumour core was found" in " ".join(doubts_about(labels, BRAIN))
    labels[38:44, 38:44, 28:34] = 1
    assert doubts_about(labels, BRAIN) == ()


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_tumour_at_the_edge_of_the_image_is_told(axis: int, place: int) -> None:
    labels = np.zeros((9, 9, 9), np.uint8)
    np.moveaxis(labels, axis, 0)[place, 4, 4] = 3
    assert len(doubt_at_the_image_edge(labels)) == 1
    labels[:] = 0
    labels[4, 4, 4] = 1
    assert doubt_at_the_image_edge(labels) == ()


def test_the_check_can_be_stopped() -> None:
    signal = Event()
    signal.set()
    with cancelled_by(signal), pytest.raises(WorkCancelledError):
        doubts_about(BRAIN.astype(np.uint8), BRAIN)


def test_reference_labels_of_real_cases_are_not_doubted(shared_data: Path) -> None:
    cases = sorted((shared_data / "brats").glob("*/*_seg.nii.gz"))[::4]
    assert cases
    for path in cases:
        flair = read_volume(path.with_name(path.name.replace("_seg", "_flair"))).array[0]
        assert doubts_about(read_volume(path).array[0], flair != 0) == ()
