"""A tumour in a real head: there and nowhere else, where it was asked, with the host's own tumour kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.imaging.provenance.same_images import case_digests, same_examination
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder
from medsynth_app.library.generation import generate
from medsynth_app.segmentation.training.validation_cases import check_validation_cases
from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.generator import GenerationRequest, Host, Synthetic
from medsynth_app.synthesis.tumor.generator import generate_tumor_case
from medsynth_app.synthesis.tumor.host.head import read_host
from medsynth_app.synthesis.tumor.request import TumorCaseRequest
from medsynth_app.synthesis.tumor.saving import save_tumor_case
from medsynth_app.synthesis.weights import WeightsStore
from medsynth_app.synthesis.writing import write_case

REACH_MM = 5.0


@pytest.fixture(scope="module")
def host_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head with a small tumour on the left; drawn, so that anybody can run this, and taken for a real one."""
    folder = tmp_path_factory.mktemp("hosts")
    case = generate_tumor_case(TumorCaseRequest(seed=3, side="left", site="frontal", volume_ml=15.0, spacing_mm=2.0))
    return save_tumor_case(case, folder, "head")


@pytest.fixture(scope="module")
def host(host_folder: Path) -> CaseFiles:
    found = case_in_folder(host_folder)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def made(host: CaseFiles) -> Synthetic:
    return _generate(host, side="right", site="parietal", volume_ml=20.0)


def _generate(host: CaseFiles, seed: int = 1, find_tumor: Any = None, **conditions: Any) -> Synthetic:
    row = CATALOGUE.row("tumor_case_synthesis")
    parsed = row.conditions.parse({"host": host.name, **conditions})
    return row.build(WeightsStore()).generate(GenerationRequest(seed, parsed, host=Host(host, find_tumor)))


def _new(made: Synthetic, host: CaseFiles) -> np.ndarray:
    assert host.label is not None
    return (np.asarray(nib.load(host.label).dataobj) != made.label) & (made.label > 0)


def test_far_from_the_tumor_every_voxel_is_the_hosts(made: Synthetic, host: CaseFiles) -> None:
    before = host.read()
    away = distance_transform_edt(~_new(made, host), sampling=before.spacing) > REACH_MM
    np.testing.assert_array_equal(made.array[:, away], before.array[:, away])
    np.testing.assert_array_equal(made.affine, before.affine)
    assert (made.array[:, _new(made, host)] != before.array[:, _new(made, host)]).mean() > 0.9


def test_the_label_holds_both_tumors_and_the_volumes_the_new_one(made: Synthetic, host: CaseFiles) -> None:
    own = np.asarray(nib.load(host.label).dataobj)
    assert (made.label[own > 0] > 0).all()
    assert sum(made.facts["volumes_ml"].values()) == pytest.approx(20.0, abs=0.05)
    assert _new(made, host).sum() * 0.008 == pytest.approx(20.0, abs=0.5)
    assert made.facts["host"] == "head"
    assert made.facts["host_label"] == "given"


def test_it_looks_like_a_tumor(made: Synthetic, host: CaseFiles) -> None:
    """Oedema is bright on FLAIR and T2, the ring on T1ce, the middle dark on T1."""
    before = host.read().array
    healthy = (before != 0).all(axis=0) & (made.label == 0)
    new = _new(made, host)
    middle = [float(np.median(channel[healthy])) for channel in before]
    edema, ring, dead = (new & (made.label == value) for value in (2, 3, 1))
    assert np.median(made.array[0][edema]) > 1.1 * middle[0]
    assert np.median(made.array[3][edema]) > middle[3]
    assert np.median(made.array[2][ring]) > 1.1 * middle[2]
    assert np.median(made.array[1][dead]) < middle[1]


def test_same_request_same_voxels(made: Synthetic, host: CaseFiles) -> None:
    again = _generate(host, side="right", site="parietal", volume_ml=20.0)
    np.testing.assert_array_equal(again.array, made.array)
    other = _generate(host, seed=2, side="right", site="parietal", volume_ml=20.0)
    assert (other.array != made.array).any()


@pytest.mark.parametrize("site", ["M1_HAND", "CBL_HEM"])
def test_a_region_of_the_atlas_is_a_site(host: CaseFiles, site: str) -> None:
    made = _generate(host, side="right", site=site, volume_ml=3.0)
    place = np.array(made.facts["seed_point_mm"])
    # The world of BraTS: the middle is at x = -118.5, the patient's right is positive.
    assert place[0] > -118.5
    assert (place[2] > 90) == (site == "M1_HAND")


def test_a_point_is_one_of_mni_space(host: CaseFiles) -> None:
    made = _generate(host, seed_point_mm=[30.0, -60.0, 30.0], volume_ml=5.0)
    place = np.array(made.facts["seed_point_mm"])
    assert place[0] == pytest.approx(-118.5 + 30, abs=15)


def test_turned_files_give_the_same_tumor_in_the_world(
    made: Synthetic, host: CaseFiles, tmp_path: Path
) -> None:
    folder = tmp_path / "head"
    folder.mkdir()
    for path in host_files(host):
        image = nib.load(path)
        turned = image.as_reoriented(nib.orientations.axcodes2ornt(("A", "L", "S")))
        # A permutation and flips, told in the affine.
        nib.save(nib.Nifti1Image(np.asarray(turned.dataobj), turned.affine), folder / path.name)
    case = case_in_folder(folder)
    again = _generate(case, side="right", site="parietal", volume_ml=20.0)
    assert again.array.shape[1:] == nib.load(next(iter(case.sequences.values()))).shape
    np.testing.assert_allclose(again.facts["seed_point_mm"], made.facts["seed_point_mm"], atol=6.0)
    assert nib.orientations.aff2axcodes(again.affine) != nib.orientations.aff2axcodes(made.affine)


def host_files(host: CaseFiles) -> list[Path]:
    assert host.label is not None
    return [*host.sequences.values(), host.label]


def test_an_unlabelled_head_is_labelled_first_or_refused(host: CaseFiles) -> None:
    bare = CaseFiles(host.name, host.sequences)
    with pytest.raises(InvalidValueError, match="host: head has no label"):
        read_host(Host(bare))
    own = np.asarray(nib.load(host.label).dataobj)
    head = read_host(Host(bare, lambda volume: own))
    assert head.label_origin == "network"
    np.testing.assert_array_equal(head.label, own)


def test_what_is_no_host_is_refused_by_name(host: CaseFiles, tmp_path: Path) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    for path in host_files(host):
        image = nib.load(path)
        affine = image.affine @ np.diag([1, 1, 3, 1])
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[:, :, ::3], affine), folder / path.name)
    with pytest.raises(InvalidValueError, match="host: .* must be cubes"):
        read_host(Host(case_in_folder(folder)))
    with pytest.raises(InvalidValueError, match="host: head: missing sequence t2"):
        read_host(Host(CaseFiles("head", {k: v for k, v in host.sequences.items() if k != "t2"}, label=host.label)))


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"mass_effect": 0.5}, "mass_effect: 0.5 has no meaning with a host"),
        ({"spacing_mm": 2.0}, "spacing_mm: 2.0 has no meaning with a host"),
        ({"site": "VERMIS", "volume_ml": 100.0}, "volume_ml: 100.0 ml does not fit the site 'VERMIS'"),
        ({"site": "nowhere"}, "site: 'nowhere' is not known"),
        ({"host": 7}, "host: 7 must be the name of a case"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(conditions: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        TumorCaseRequest.from_parameters({"host": "head", **conditions})


def test_a_mask_and_a_host_are_refused(host: CaseFiles) -> None:
    row = CATALOGUE.row("tumor_case_synthesis")
    request = GenerationRequest(1, row.conditions.parse({"host": "head"}), label=host.label, host=Host(host))
    with pytest.raises(InvalidValueError, match="label: a host takes a tumour that is grown in it"):
        row.build(WeightsStore()).generate(request)


def test_learned_images_take_no_host() -> None:
    with pytest.raises(InvalidValueError, match="host: learned images"):
        CATALOGUE.row("tumor_case_synthesis", "learned").conditions.parse({"host": "head"})


def test_a_host_that_validates_is_not_trained_on_with_a_tumor(
    made: Synthetic, host: CaseFiles, tmp_path: Path
) -> None:
    written = case_in_folder(write_case(made, tmp_path, "made"))
    assert written is not None
    # The drawn head of this test stands for a real one: without its mark and unknown by its voxels.
    folder = tmp_path / "head"
    folder.mkdir()
    for path in host_files(host):
        image = nib.load(path)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), image.affine), folder / path.name)
    real = case_in_folder(folder)
    same = same_examination({"head": case_digests(real), "made": case_digests(written)})
    assert same["made"] == "head"
    with pytest.raises(InvalidValueError, match="validation: head"):
        check_validation_cases([real, written], {"head"})


def test_the_library_takes_a_folder_as_host(host_folder: Path, tmp_path: Path) -> None:
    made = generate("tumor_case_synthesis", seed=4, host=str(host_folder), volume_ml=4.0, side="right")
    assert made.record["conditions"]["host"] == "head"
    assert str(host_folder.parent) not in str(made.record)
    for name in ("one", "two"):
        shutil.copytree(host_folder, tmp_path / "several" / name)
    with pytest.raises(InvalidValueError, match="host: 'several' must be the folder of one case"):
        generate("tumor_case_synthesis", host=str(tmp_path / "several"))
    with pytest.raises(NotFoundError, match="host: .*nowhere"):
        generate("tumor_case_synthesis", host=str(tmp_path / "nowhere"))
