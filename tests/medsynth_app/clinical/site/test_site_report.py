"""The site report on masks whose place is known, drawn on the atlas' own grid."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import medsynth_app.clinical.site
from medsynth_app.clinical.site.site_report import (
    SiteConfiguration,
    SiteReport,
    describe_site,
    find_components,
    region_occupancy,
)
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.atlas import Atlas, load_atlas
from medsynth_app.imaging.atlas.brain_regions import Side
from medsynth_app.imaging.atlas.registration import GateResult, Registration
from medsynth_app.vocabulary import RESEARCH_NOTICE

GOOD = GateResult("brain_dice", 0.95, "at least 0.9", True, "the outline does not fit")
BAD = GateResult("brain_dice", 0.7, "at least 0.9", False, "the outline does not fit")
VOXEL_ML = 0.008


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return load_atlas(tmp_path_factory.mktemp("atlas"))


@pytest.fixture(scope="module")
def schema() -> dict[str, object]:
    path = Path(medsynth_app.clinical.site.__file__).with_name("site_report.schema.json")
    content: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return content


def registration(atlas: Atlas, gate: GateResult = GOOD, *, side_known: bool = True) -> Registration:
    """A patient who lies exactly in the atlas."""
    return Registration(
        matrix=np.eye(4),
        displacement=None,
        patient_affine=atlas.affine,
        patient_shape=atlas.labels.shape,
        start="pitch 0",
        gates=(gate,),
        side_known=side_known,
        seconds=1.0,
    )


def ball(atlas: Atlas, mni_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    starts = atlas.affine[:3, 3] - mni_mm
    x, y, z = np.ogrid[tuple(slice(0, n) for n in atlas.labels.shape)]
    squared = sum((2 * axis + start) ** 2 for axis, start in zip((x, y, z), starts))
    return np.asarray(squared <= radius_mm**2)


def tumor(atlas: Atlas, mni_mm: tuple[float, float, float], radius_mm: float = 10.0) -> np.ndarray:
    """Oedema around a core of half the radius."""
    labels = np.where(ball(atlas, mni_mm, radius_mm), 2, 0).astype(np.uint8)
    labels[ball(atlas, mni_mm, radius_mm / 2)] = 3
    return labels


def report(atlas: Atlas, labels: np.ndarray, **options: bool) -> SiteReport:
    return describe_site(labels, registration(atlas, **options), atlas)


@pytest.mark.parametrize(
    ("mni_mm", "side", "lobe", "icd10_site"),
    [
        ((-34, 40, 20), "left", "frontal", "C71.1"),
        ((54, -20, -16), "right", "temporal", "C71.2"),
        ((26, -62, 50), "right", "parietal", "C71.3"),
        ((-28, -90, 0), "left", "occipital", "C71.4"),
        ((-28, -62, -40), "left", "cerebellum", "C71.6"),
        ((2, -28, -34), "midline", "brainstem", "C71.7"),
        ((14, -18, 8), "right", "deep", "C71.0"),
    ],
)
def test_side_lobe_and_site(
    atlas: Atlas, mni_mm: tuple[float, float, float], side: str, lobe: str, icd10_site: str
) -> None:
    found = report(atlas, tumor(atlas, mni_mm, 8.0))
    assert (found.side, found.lobes[0].lobe, found.icd10_site) == (side, lobe, icd10_site)
    assert found.components[0].lobe == lobe


def test_volumes_are_counted_in_millilitres(atlas: Atlas) -> None:
    labels = tumor(atlas, (-34, 40, 20))
    labels[ball(atlas, (-34, 40, 20), 3)] = 1
    volumes = report(atlas, labels).volumes_ml
    for name, value in (("necrotic_core", 1), ("edema", 2), ("enhancing_tumor", 3)):
        assert volumes[name] == pytest.approx((labels == value).sum() * VOXEL_ML)
    assert volumes["whole_tumor"] == pytest.approx(volumes["tumor_core"] + volumes["edema"])


def test_region_shares_add_up(atlas: Atlas) -> None:
    found = report(atlas, tumor(atlas, (-34, 40, 20)))
    assert sum(lobe.percent_of_tumor for lobe in found.lobes) == pytest.approx(100)
    assert sum(lobe.percent_of_core for lobe in found.lobes) == pytest.approx(100)
    assert sum(region.tumor_ml for region in found.regions) <= found.volumes_ml["whole_tumor"] + 1e-9
    assert [region.tumor_ml for region in found.regions] == sorted(
        (region.tumor_ml for region in found.regions), reverse=True
    )


def test_a_region_filled_to_the_brim(atlas: Atlas) -> None:
    labels = np.where(atlas.mask("HESCHL", Side.LEFT), 3, 0)
    found = report(atlas, labels)
    assert [(region.code, region.side) for region in found.regions] == [("HESCHL", "left")]
    assert found.regions[0].percent_of_region == pytest.approx(100)
    assert found.regions[0].name_ko == "왼쪽 청각피질(헤슐이랑)"


def test_distance_to_eloquent_regions_is_in_millimetres(atlas: Atlas) -> None:
    labels = np.zeros(atlas.labels.shape, np.uint8)
    index = tuple(np.rint((np.array((-34.0, 44.0, 20.0)) - atlas.affine[:3, 3]) / 2).astype(int))
    labels[index] = 3
    point = np.array(index) * 2 + atlas.affine[:3, 3]
    found = {(row.code, row.side): row for row in report(atlas, labels).eloquent}
    for key in (("BROCA", Side.LEFT), ("M1_FACE", Side.LEFT), ("THAL", Side.RIGHT), ("CHIASM", Side.MIDLINE)):
        places = np.argwhere(atlas.mask(*key)) * 2 + atlas.affine[:3, 3]
        expected = np.linalg.norm(places - point, axis=1).min()
        row = found[key[0], key[1].value]
        assert row.distance_mm == pytest.approx(expected)
        assert row.core_distance_mm == pytest.approx(expected)


def test_distance_is_zero_where_the_tumor_overlaps_and_core_counts_apart(atlas: Atlas) -> None:
    labels = tumor(atlas, (-40, -6, 60), 14.0)
    labels[(labels == 3) & (atlas.labels == atlas.label_of["M1_HAND", Side.LEFT])] = 2
    row = next(r for r in report(atlas, labels).eloquent if (r.code, r.side) == ("M1_HAND", "left"))
    assert row.distance_mm == 0.0
    assert row.core_distance_mm is not None
    assert row.core_distance_mm > 0.0


def test_without_core_there_is_no_core_distance(atlas: Atlas) -> None:
    found = report(atlas, np.where(ball(atlas, (-34, 40, 20), 8), 2, 0))
    assert {row.core_distance_mm for row in found.eloquent} == {None}
    assert {lobe.percent_of_core for lobe in found.lobes} == {0.0}


@pytest.mark.parametrize(
    ("mni_mm", "radius_mm", "crosses"),
    [((-34, 40, 20), 10.0, False), ((-6, 40, 20), 10.0, False), ((-8, 40, 20), 24.0, True)],
)
def test_midline_crossing_needs_more_than_the_registrations_error(
    atlas: Atlas, mni_mm: tuple[float, float, float], radius_mm: float, crosses: bool
) -> None:
    found = report(atlas, tumor(atlas, mni_mm, radius_mm))
    assert found.crosses_midline is crosses
    assert any("across the midline" in warning for warning in found.warnings) is crosses


def test_butterfly_is_bilateral_and_overlapping(atlas: Atlas) -> None:
    labels = np.maximum(tumor(atlas, (-26, 36, 16), 16.0), tumor(atlas, (26, 36, 16), 16.0))
    labels[ball(atlas, (0, 28, 8), 14)] = 3
    found = report(atlas, labels)
    assert found.side == "bilateral"
    assert found.crosses_midline
    assert found.percent_left == pytest.approx(50, abs=5)
    assert found.percent_left + found.percent_right == pytest.approx(100)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("center_mm", "radius_mm", "side"),
    [
        ((-12, 36, 16), 32.0, "left"),  # about three quarters on the left
        ((-5, 36, 16), 40.0, "bilateral"),
        ((4, -28, -34), 9.0, "midline"),
    ],
)
def test_side_is_where_most_of_the_tumor_lies_and_crossing_is_told_apart(
    atlas: Atlas, center_mm: tuple[float, float, float], radius_mm: float, side: str
) -> None:
    found = report(atlas, tumor(atlas, center_mm, radius_mm))
    assert found.side == side
    assert found.percent_left is not None
    if side == "left":
        assert 100 * SiteConfiguration().main_side_share < found.percent_left < 80
        assert found.crosses_midline
        assert report(atlas, tumor(atlas, center_mm, radius_mm), side_known=False).side == "unknown"


def test_pieces_are_described_one_by_one(atlas: Atlas) -> None:
    labels = np.maximum(tumor(atlas, (-34, 40, 20), 10.0), tumor(atlas, (30, -60, 44), 6.0))
    labels[ball(atlas, (-30, -70, -40), 1)] = 2
    found = report(atlas, labels)
    assert [(piece.number, piece.side, piece.lobe) for piece in found.components] == [
        (1, "left", "frontal"),
        (2, "right", "parietal"),
    ]
    assert found.multifocal
    assert found.small_components == 1
    assert found.components[0].center_mm == pytest.approx((-34, 40, 20), abs=1)
    assert found.components[0].gap_mm == 0.0
    expected_gap = np.linalg.norm(np.subtract((-34, 40, 20), (30, -60, 44))) - 16
    assert found.components[1].gap_mm == pytest.approx(expected_gap, abs=3)


def test_components_are_numbered_by_size_and_touch_at_corners() -> None:
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[0, 0, 0] = 1
    labels[3, 3, 3] = labels[4, 4, 4] = 2
    components = find_components(labels)
    assert components[3, 3, 3] == components[4, 4, 4] == 1
    assert components[0, 0, 0] == 2
    assert find_components(np.zeros((3, 3, 3))).max() == 0


def test_occupancy_separates_core_and_edema(atlas: Atlas) -> None:
    own = atlas.mask("INS", Side.RIGHT)
    inside = np.argwhere(own)
    labels = np.zeros(own.shape, np.uint8)
    half, quarter = len(inside) // 2, len(inside) // 4
    labels[tuple(inside[:quarter].T)] = 1
    labels[tuple(inside[quarter:half].T)] = 2
    occupancy = region_occupancy(labels, atlas.labels)
    assert occupancy["INS", Side.RIGHT] == pytest.approx((0.25, 0.25), abs=0.01)
    assert occupancy["INS", Side.LEFT] == (0.0, 0.0)
    assert set(occupancy) == {region.key for region in atlas.regions}


def test_mirrored_masks_have_mirrored_reports(atlas: Atlas) -> None:
    left = report(atlas, tumor(atlas, (-34, 40, 20)))
    right = report(atlas, tumor(atlas, (34, 40, 20)))
    assert (left.side, right.side) == ("left", "right")
    assert left.percent_left == pytest.approx(right.percent_right)


def test_unknown_side_names_no_side(atlas: Atlas, schema: dict[str, object]) -> None:
    found = report(atlas, tumor(atlas, (-34, 40, 20)), side_known=False)
    assert found.side == "unknown"
    assert found.percent_left is None
    assert {region.side for region in found.regions} <= {"unknown", "midline"}
    assert not any("left" in region.name_en.split() for region in found.regions)
    assert "left and right cannot be told" in found.warnings[0]
    jsonschema.validate(found.to_json(), schema)


def test_failed_registration_tells_volumes_but_no_site(atlas: Atlas, schema: dict[str, object]) -> None:
    found = describe_site(tumor(atlas, (-34, 40, 20)), registration(atlas, BAD), atlas)
    assert not found.assessable
    assert found.reasons == ("brain_dice is 0.7, allowed is at least 0.9: the outline does not fit",)
    assert found.volumes_ml["whole_tumor"] > 1
    assert (found.side, found.regions, found.icd10_site) == ("unknown", (), "C71.9")
    jsonschema.validate(found.to_json(), schema)


def test_empty_mask_is_not_assessable(atlas: Atlas, schema: dict[str, object]) -> None:
    found = report(atlas, np.zeros(atlas.labels.shape, np.uint8))
    assert not found.assessable
    assert "mask is empty" in found.reasons[0]
    jsonschema.validate(found.to_json(), schema)


def test_report_validates_and_survives_json(atlas: Atlas, schema: dict[str, object]) -> None:
    plain = report(atlas, tumor(atlas, (-34, 40, 20))).to_json()
    jsonschema.validate(plain, schema)
    assert json.loads(json.dumps(plain, ensure_ascii=False, allow_nan=False)) == plain
    assert plain["notice"] == RESEARCH_NOTICE


def test_schema_refuses_what_the_report_never_says(atlas: Atlas, schema: dict[str, object]) -> None:
    plain = report(atlas, tumor(atlas, (-34, 40, 20))).to_json()
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**plain, "icd10_site": "C72.0"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**plain, "reasons": ["but assessable"]}, schema)


@pytest.mark.parametrize(
    ("value", "message"),
    [(4, r"values \[4\] are not allowed, allowed are \[0, 1, 2, 3\]"), (7, r"values \[7\]")],
)
def test_strange_labels_are_refused(atlas: Atlas, value: int, message: str) -> None:
    labels = np.zeros(atlas.labels.shape, np.uint8)
    labels[40, 40, 40] = value
    with pytest.raises(InvalidValueError, match=message):
        report(atlas, labels)


def test_wrong_shapes_are_refused(atlas: Atlas) -> None:
    with pytest.raises(InvalidValueError, match=r"labels: shape \(3, 3, 3\) differs from the registered"):
        report(atlas, np.zeros((3, 3, 3)))
    with pytest.raises(InvalidValueError, match="differs from the atlas labels"):
        region_occupancy(np.zeros((3, 3, 3)), atlas.labels)
