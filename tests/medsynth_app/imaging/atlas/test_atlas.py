"""The atlas: built from installed packages, right side, known places, cached whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.imaging.atlas import atlas as atlas_module
from medsynth_app.imaging.atlas.atlas import ATLAS_SHAPE, Atlas, atlas_brain, load_atlas
from medsynth_app.imaging.atlas.brain_regions import SIDED_REGIONS, Side, SidedRegion
from medsynth_app.imaging.atlas.template import load_t1_template


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("atlas")


@pytest.fixture(scope="module")
def atlas(cache: Path) -> Atlas:
    return load_atlas(cache)


def place(atlas: Atlas, mni_mm: tuple[float, float, float]) -> str:
    """Code and side at an MNI point, for example ``M1_HAND left``."""
    index = np.rint(np.linalg.inv(atlas.affine) @ (*mni_mm, 1.0))[:3].astype(int)
    label = int(atlas.labels[tuple(index)])
    if label == 0:
        return "outside"
    region = atlas.regions[label - 1]
    return f"{region.region.code} {region.side.value}"


def test_grid_is_icbm_2009a_at_two_millimetres(atlas: Atlas) -> None:
    assert atlas.labels.shape == ATLAS_SHAPE
    assert atlas.labels.dtype == np.int16
    template = load_t1_template()
    np.testing.assert_allclose(atlas.affine[:3, 3], template.affine[:3, 3])
    np.testing.assert_allclose(atlas.affine[:3, :3], 2 * template.affine[:3, :3])


@pytest.mark.parametrize("region", SIDED_REGIONS, ids=lambda region: "-".join(region.key))
def test_every_region_has_voxels_on_its_own_side(atlas: Atlas, region: SidedRegion) -> None:
    index = np.argwhere(atlas.mask(*region.key))
    x = index[:, 0] * atlas.affine[0, 0] + atlas.affine[0, 3]
    assert len(index) > 20
    if region.side is Side.LEFT:
        assert np.mean(x <= 2) > 0.97
    elif region.side is Side.RIGHT:
        assert np.mean(x >= -2) > 0.97
    else:
        assert abs(float(x.mean())) < 3


@pytest.mark.parametrize(
    ("mni_mm", "expected"),
    [
        ((-38, -20, 54), "M1_HAND left"),  # hand knob, Yousry 1997
        ((38, -22, 54), "M1_HAND right"),
        ((-6, -30, 64), "M1_LEG left"),
        ((-6, -4, 60), "SMA left"),
        ((-48, 16, 14), "BROCA left"),
        ((-56, -40, 12), "STG_POST left"),
        ((-38, 2, 0), "INS left"),
        ((28, -18, -16), "MTL right"),
        ((10, -84, 6), "OCC_CALC right"),
        ((12, -18, 8), "THAL right"),
        ((-26, 4, 2), "BG left"),
        ((-20, -8, 8), "IC_CST left"),
        ((0, 26, 6), "CC_GENU midline"),
        ((0, -36, 16), "CC_SPLEN midline"),
        ((6, -28, -34), "PONS right"),
        ((-24, -62, -34), "CBL_HEM left"),
        ((0, -60, -20), "VERMIS midline"),
        ((-36, -44, 2), "OPTRAD left"),
        ((90, 0, 0), "outside"),
    ],
)
def test_well_known_places(atlas: Atlas, mni_mm: tuple[float, float, float], expected: str) -> None:
    assert place(atlas, mni_mm) == expected


def test_the_whole_template_brain_is_covered(atlas: Atlas) -> None:
    brain, _ = atlas_brain()
    assert float((atlas.labels[brain] > 0).mean()) > 0.999
    assert int((atlas.labels[~brain] > 0).sum()) < 0.01 * int(brain.sum())


@pytest.mark.parametrize("code", [region.region.code for region in SIDED_REGIONS if region.side is Side.LEFT])
def test_left_and_right_are_of_like_size(atlas: Atlas, code: str) -> None:
    left, right = atlas.volume_ml[code, Side.LEFT], atlas.volume_ml[code, Side.RIGHT]
    assert 0.6 < left / right < 1.7


def test_a_second_load_comes_from_the_cache(
    atlas: Atlas, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atlas_module, "build_labels", lambda: pytest.fail("built again"))
    again = load_atlas(cache)
    assert again.version == atlas.version
    np.testing.assert_array_equal(again.labels, atlas.labels)
    assert [path.name for path in cache.iterdir()] == [f"brain_atlas_{atlas.version}.npz"]


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 torn"])
def test_a_torn_cache_is_rebuilt(
    atlas: Atlas, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"brain_atlas_{atlas.version}.npz").write_bytes(content)
    monkeypatch.setattr(atlas_module, "build_labels", lambda: atlas.labels)
    np.testing.assert_array_equal(load_atlas(tmp_path).labels, atlas.labels)
    with np.load(tmp_path / f"brain_atlas_{atlas.version}.npz") as stored:
        np.testing.assert_array_equal(stored["labels"], atlas.labels)


def test_a_cache_that_cannot_be_written_does_no_harm(
    atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setattr(atlas_module, "build_labels", lambda: atlas.labels)
    assert load_atlas(blocked / "below").version == atlas.version


def test_another_recipe_is_another_version(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atlas_module, "RECIPE_VERSION", "next")
    assert atlas_module._version_hash() != atlas.version


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(atlas_module, "_PARCELLATION", ("no_such_package", "atlas.nii.gz"))
    with pytest.raises(NotFoundError, match="'no_such_package' with its atlas.nii.gz is not installed"):
        load_atlas(tmp_path)


def test_asking_for_a_side_that_is_not_there(atlas: Atlas) -> None:
    with pytest.raises(InvalidValueError, match="'VERMIS' on side 'left' is not in the atlas"):
        atlas.mask("VERMIS", Side.LEFT)
