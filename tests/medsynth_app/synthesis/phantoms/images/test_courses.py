"""More of a disease is more of the same lesion: its place does not depend on how severe it is."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.generator import GenerationRequest, Synthetic
from medsynth_app.synthesis.phantoms.images.request import MODALITIES
from medsynth_app.synthesis.weights import WeightsStore

ROW = CATALOGUE.row("image_synthesis", "phantom")
FOCAL = [(m, p) for m, row in MODALITIES.items() for p, pathology in row.pathologies.items() if pathology.is_focal]


def _drawn(modality: str, pathology: str, severity: float, seed: int = 4) -> Synthetic:
    conditions = ROW.conditions.parse({"modality": modality, "pathology": pathology, "severity": severity})
    return ROW.build(WeightsStore()).generate(GenerationRequest(seed, conditions))


@pytest.mark.parametrize(("modality", "pathology"), FOCAL)
@pytest.mark.parametrize("seed", [4, 11])
def test_a_course_of_severities_stays_in_one_place(modality: str, pathology: str, seed: int) -> None:
    middles, areas = [], []
    for severity in (0.2, 0.6, 1.0):
        made = _drawn(modality, pathology, severity, seed)
        places = np.argwhere(made.label > 0)
        middles.append(places.mean(axis=0) / made.array.shape[0])
        areas.append(len(places))
    assert areas[0] < areas[1] < areas[2]
    assert np.abs(np.array(middles) - middles[0]).max() < 0.08


def test_a_nodule_is_round_small_and_brighter_than_the_lung_about_it() -> None:
    made, without = _drawn("chest_xray", "nodule", 0.6), _drawn("chest_xray", "normal", 0.6)
    lesion = made.label > 0
    places = np.argwhere(lesion)
    height, width = np.ptp(places, axis=0) + 1
    assert 0.7 < height / width < 1.4
    assert 0.02 < width / made.array.shape[1] < 0.1
    assert (made.array[lesion].astype(int) - without.array[lesion]).mean() > 15
    assert np.array_equal(made.array[~lesion & (np.abs(made.array.astype(int) - without.array) > 40)], [])
