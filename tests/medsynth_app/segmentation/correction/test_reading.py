"""Scribbles of 3D Slicer, of MONAI Label's clients and of the page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.segmentation.correction.reading import read_scribbles

SLICER = [
    {"name": "edema", "id": 1},
    {"name": "necrotic_core", "id": 2},
    {"name": "enhancing_tumor", "id": 3},
    {"name": "background_scribbles", "id": 4},
    {"name": "foreground_scribbles", "id": 5},
]


def drawn(*values: int) -> np.ndarray:
    """A row of voxels (X, 1, 1)."""
    return np.array(values, dtype=np.uint8).reshape(-1, 1, 1)


def test_slicers_segments_go_by_their_names() -> None:
    found = read_scribbles(drawn(0, 1, 1, 5, 2, 4, 0), SLICER, "enhancing_tumor")
    assert found.strokes.values.ravel().tolist() == [-1, -1, -1, 3, -1, 0, -1]
    assert found.labels is not None
    # what a stroke hides is what lies beside it
    assert found.labels.ravel().tolist()[:3] == [0, 2, 2]
    assert found.labels.ravel()[3] in (1, 2)


def test_without_names_the_fixed_values_hold() -> None:
    found = read_scribbles(drawn(0, 2, 5, 4), None, "edema")
    assert found.strokes.values.ravel().tolist() == [-1, -1, 2, 0]


def test_strokes_of_several_labels_at_once() -> None:
    info = [{"name": "edema_scribbles", "id": 7}, {"name": "necrotic_core_scribbles", "id": 9}]
    found = read_scribbles(drawn(7, 0, 9), info, None)
    assert found.labels is None
    assert found.strokes.values.ravel().tolist() == [2, -1, 1]


@pytest.mark.parametrize(
    ("values", "info", "selected", "message"),
    [
        (drawn(6), SLICER, "edema", "label: value 6 has no name in label_info"),
        (drawn(1), SLICER, "edema", "label: holds no stroke"),
        (drawn(5), SLICER, None, "selected_label_name: 'None' must be one of necrotic_core"),
        (drawn(5), SLICER, "background", "selected_label_name: 'background' must be one of"),
        (drawn(1), [{"name": "liver", "id": 1}], None, "label: segment 'liver' is neither a label"),
        (drawn(1), ["edema"], None, "label_info: must be a list of"),
        (drawn(1), [{"name": "edema", "id": "x"}], None, "label_info: id x of 'edema' must be 0 to 255"),
    ],
)
def test_odd_scribbles_are_refused_by_name(values: np.ndarray, info: Any, selected: str | None, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        read_scribbles(values, info, selected)
