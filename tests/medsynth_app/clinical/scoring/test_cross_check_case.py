"""From a label map to a case."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.clinical.knowledge.symptom_model import ReportedSymptom
from medsynth_app.clinical.scoring.cross_check_case import case_from_mask, shifted_occupancies
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.brain_regions import SIDED_REGIONS, Side

LEFT_BROCA = next(site.label for site in SIDED_REGIONS if site.key == ("BROCA", Side.LEFT))
LEFT_INSULA = next(site.label for site in SIDED_REGIONS if site.key == ("INS", Side.LEFT))
SPACING = (2.0, 2.0, 2.0)


@pytest.fixture
def atlas_labels() -> np.ndarray:
    """BROCA in the lower half, INS in the upper half of a cube."""
    labels = np.full((20, 20, 20), LEFT_BROCA, dtype=np.int16)
    labels[:, :, 10:] = LEFT_INSULA
    return labels


def test_occupancy_components_and_shifts(atlas_labels: np.ndarray) -> None:
    labels = np.zeros(atlas_labels.shape, dtype=np.uint8)
    labels[0:10, 0:10, 0:10] = 3
    labels[0:10, 10:12, 0:10] = 2
    labels[17:20, 17:20, 17:20] = 1
    labels[15, 0, 0] = 1
    case = case_from_mask(labels, atlas_labels, SIDED_REGIONS, [ReportedSymptom("x")], spacing_mm=SPACING)
    assert case.occupancy[LEFT_BROCA - 1] == pytest.approx((1001 + 0.4 * 200) / 4000)
    assert case.occupancy[LEFT_INSULA - 1] == pytest.approx(27 / 4000)
    # the single voxel is 0.008 ml
    assert [(part.id, part.volume_ml) for part in case.components] == [
        (1, pytest.approx(9.6)),
        (2, pytest.approx(0.216)),
    ]
    assert case.components[1].occupancy[LEFT_INSULA - 1] == pytest.approx(27 / 4000)
    assert case.shifted_occupancies is not None
    assert case.shifted_occupancies.shape == (16, len(SIDED_REGIONS))


def test_an_empty_mask_is_a_case(atlas_labels: np.ndarray) -> None:
    empty = np.zeros(atlas_labels.shape, dtype=np.uint8)
    case = case_from_mask(empty, atlas_labels, SIDED_REGIONS, [], spacing_mm=SPACING)
    assert case.occupancy.max() == 0.0
    assert case.components == ()


def test_without_an_error_shifts_equal_the_mask(atlas_labels: np.ndarray) -> None:
    labels = np.zeros(atlas_labels.shape, dtype=np.uint8)
    labels[5:10, 5:10, 5:12] = 3
    case = case_from_mask(labels, atlas_labels, SIDED_REGIONS, [], spacing_mm=SPACING)
    still = shifted_occupancies(labels, atlas_labels, SIDED_REGIONS, SPACING, error_mm=0.0, count=3)
    np.testing.assert_allclose(still, np.stack([case.occupancy] * 3))
    moved = shifted_occupancies(labels, atlas_labels, SIDED_REGIONS, SPACING, error_mm=8.0)
    assert moved[:, LEFT_BROCA - 1].std() > 0.001


def test_other_shapes_are_refused(atlas_labels: np.ndarray) -> None:
    with pytest.raises(InvalidValueError, match="differ in shape"):
        shifted_occupancies(np.zeros((3, 3, 3)), atlas_labels, SIDED_REGIONS, SPACING)
