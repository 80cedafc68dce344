"""The library of random lesions."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from medsynth_app.clinical.knowledge.lesion_library import (
    LOBE_PRIOR,
    SHIPPED_FOLDER,
    LesionLibrary,
    LibraryConfiguration,
    _draw_occupancies,
    build_lesion_library,
    library_version,
    load_lesion_library,
    mirror_order,
    occupancy_vector,
    site_proximity,
)
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.atlas import Atlas, load_atlas
from medsynth_app.imaging.atlas.brain_regions import Lobe, Side, SidedRegion

SMALL = LibraryConfiguration(count=40, seed=3)
Sites = tuple[SidedRegion, ...]


@pytest.fixture(scope="module")
def library(toy_atlas: Atlas) -> LesionLibrary:
    return build_lesion_library(toy_atlas, SMALL)


def test_same_seed_same_library_other_seed_other_library(toy_atlas: Atlas, library: LesionLibrary) -> None:
    again = build_lesion_library(toy_atlas, SMALL)
    np.testing.assert_array_equal(again.occupancy, library.occupancy)
    other = build_lesion_library(toy_atlas, replace(SMALL, seed=4))
    assert not np.array_equal(other.occupancy, library.occupancy)
    assert other.version != library.version


def test_every_lesion_has_its_mirror_image(library: LesionLibrary) -> None:
    half = len(library.occupancy) // 2
    mirrored = library.occupancy[:half][:, mirror_order(library.sites)]
    np.testing.assert_array_equal(library.occupancy[half:], mirrored)
    np.testing.assert_array_equal(library.effective_ml[half:], library.effective_ml[:half])


def test_lesions_fill_something_and_no_site_more_than_once(library: LesionLibrary) -> None:
    assert library.occupancy.min() >= 0.0
    assert library.occupancy.max() <= 1.0 + 1e-6
    assert np.all(library.occupancy.sum(axis=1) > 0.0)
    assert np.all(library.effective_ml > 0.0)
    assert len(np.unique(library.occupancy[:20], axis=0)) == 20


def test_lobes_follow_larjavaara() -> None:
    assert sum(LOBE_PRIOR.values()) == pytest.approx(1.0)
    assert [LOBE_PRIOR[lobe] for lobe in (Lobe.FRONTAL, Lobe.TEMPORAL, Lobe.PARIETAL, Lobe.OCCIPITAL)] == [
        0.40, 0.29, 0.14, 0.03,
    ]  # fmt: skip


def test_proximity_reaches_neighbours_but_not_through_the_falx(toy_atlas: Atlas) -> None:
    proximity = site_proximity(toy_atlas, 10.0)
    index = {site.key: row for row, site in enumerate(toy_atlas.regions)}
    broca = index["BROCA", Side.LEFT]
    np.testing.assert_allclose(proximity.sum(axis=1), 1.0)
    assert proximity[broca, broca] > proximity[broca, index["M1_HAND", Side.LEFT]] > 0.01
    assert proximity[broca, index["BROCA", Side.RIGHT]] == 0.0
    assert proximity[index["PONS", Side.LEFT], index["OCC_CALC", Side.LEFT]] == 0.0
    mirror = mirror_order(toy_atlas.regions)
    np.testing.assert_allclose(proximity, proximity[mirror][:, mirror])


@pytest.mark.parametrize("count", [0, 1, 7])
def test_odd_counts_are_refused(toy_atlas: Atlas, count: int) -> None:
    with pytest.raises(InvalidValueError, match=f"count of lesions is {count}; allowed: even numbers"):
        build_lesion_library(toy_atlas, LibraryConfiguration(count=count))


def test_cache_is_used_and_a_broken_one_is_rebuilt(
    toy_atlas: Atlas, library: LesionLibrary, tmp_path: Path
) -> None:
    first = load_lesion_library(toy_atlas, SMALL, tmp_path)
    path = tmp_path / f"lesion_library_{library_version(toy_atlas, SMALL)}.npz"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    np.testing.assert_array_equal(first.occupancy, library.occupancy)
    np.savez_compressed(
        path,
        occupancy=np.zeros_like(first.occupancy),
        effective_ml=first.effective_ml,
        proximity=first.proximity,
    )
    assert load_lesion_library(toy_atlas, SMALL, tmp_path).occupancy.max() == 0.0
    path.write_bytes(path.read_bytes()[:100])
    rebuilt = load_lesion_library(toy_atlas, SMALL, tmp_path)
    np.testing.assert_array_equal(rebuilt.occupancy, library.occupancy)


def test_the_shipped_library_is_what_the_recipe_draws(tmp_path: Path) -> None:
    atlas = load_atlas(tmp_path)
    shipped = load_lesion_library(atlas, cache_folder=tmp_path)
    # made anew with `load_lesion_library(load_atlas())` and moved to SHIPPED_FOLDER whenever this fails
    assert (SHIPPED_FOLDER / f"lesion_library_{shipped.version}.npz").is_file()
    assert not list(tmp_path.glob("lesion_library_*"))
    first = np.stack(list(islice(_draw_occupancies(atlas, LibraryConfiguration()), 3)))
    np.testing.assert_allclose(shipped.occupancy[:3], first, atol=1e-6)
    np.testing.assert_array_equal(shipped.occupancy[750:], shipped.occupancy[:750][:, mirror_order(shipped.sites)])


def test_a_folder_that_cannot_be_written_costs_only_time(toy_atlas: Atlas, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert len(load_lesion_library(toy_atlas, SMALL, blocked).occupancy) == 40


def test_occupancy_vector_weighs_edema(toy_sites: Sites) -> None:
    vector = occupancy_vector(
        {("BROCA", Side.LEFT): (0.3, 0.5), ("CHIASM", Side.MIDLINE): (1.0, 0.0)}, toy_sites
    )
    expected = {("BROCA", Side.LEFT): 0.5, ("CHIASM", Side.MIDLINE): 1.0}
    assert {site.key: value for site, value in zip(toy_sites, vector) if value} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({("NOWHERE", Side.LEFT): (0.1, 0.0)}, "'NOWHERE'.* is not a site of the atlas"),
        ({("BROCA", Side.LEFT): (1.5, 0.0)}, "allowed: 0 to 1"),
        ({("BROCA", Side.LEFT): (float("nan"), 0.0)}, "allowed: 0 to 1"),
        ({("BROCA", Side.LEFT): (0.2, -0.1)}, "allowed: 0 to 1"),
    ],
)
def test_bad_occupancies_are_refused(
    toy_sites: Sites, entry: dict[tuple[str, Side], tuple[float, float]], message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        occupancy_vector(entry, toy_sites)


def test_arrays_that_do_not_fit_are_refused(library: LesionLibrary) -> None:
    with pytest.raises(InvalidValueError, match="do not fit 40 lesions and 12 sites"):
        replace(library, sites=library.sites[:-1])
