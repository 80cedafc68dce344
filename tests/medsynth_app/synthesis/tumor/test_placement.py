"""Where tumours start."""

import numpy as np
import pytest

from medsynth_app.imaging.atlas.template import TEMPLATE_TO_BRATS
from medsynth_app.synthesis.anatomy.icbm_brain import IndividualBrain, brats_grid
from medsynth_app.synthesis.tumor.placement import SITE_CENTRE_MNI_MM, seed_point
from medsynth_app.synthesis.tumor.request import Side, TumorCaseRequest, TumorSite

MIDLINE_MM = TEMPLATE_TO_BRATS[0, 3]


@pytest.fixture(scope="module")
def brain() -> IndividualBrain:
    return IndividualBrain(4, brats_grid(3.0))


@pytest.mark.parametrize("site", list(TumorSite))
@pytest.mark.parametrize("side", list(Side))
def test_a_site_is_met_on_the_side_asked_for(brain: IndividualBrain, site: TumorSite, side: Side) -> None:
    request = TumorCaseRequest(seed=4, site=site, side=side, volume_ml=10.0)
    point = np.array(seed_point(request, brain))
    assert (point[0] > MIDLINE_MM) == (side is Side.RIGHT)
    mirror = 1.0 if side is Side.RIGHT else -1.0
    x, y, z = SITE_CENTRE_MNI_MM[site]
    centre = (TEMPLATE_TO_BRATS @ np.array([mirror * x, y, z, 1.0]))[:3]
    assert np.linalg.norm(point - centre) < 25.0


def test_seeds_draw_different_points(brain: IndividualBrain) -> None:
    points = {seed_point(TumorCaseRequest(seed=seed, site=TumorSite.FRONTAL), brain) for seed in range(5)}
    assert len(points) == 5


def test_a_large_tumour_never_lands_where_it_has_no_room(brain: IndividualBrain) -> None:
    for seed in range(12):
        point = seed_point(TumorCaseRequest(seed=seed, volume_ml=120.0), brain)
        assert point[2] > 40, "neither brainstem nor cerebellum"
