"""The sample studies are what their script makes, and what their README says."""

import gzip
import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.imaging.provenance.marking import is_synthetic, read_mark
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.studies.cases import find_cases


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "sample-data"


@pytest.fixture(scope="module")
def script(folder: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location("make_sample_data", folder / "make_sample_data.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


def _listed(folder: Path) -> dict[str, str]:
    lines = (folder / "checksums.txt").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def test_checksums_name_every_file_and_match(folder: Path) -> None:
    listed = _listed(folder)
    present = {str(path.relative_to(folder)) for path in folder.glob("studies/*/*.nii.gz")}
    assert set(listed) == present
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


def test_folder_stays_small(folder: Path) -> None:
    # What a server that ran on the samples keeps beside them is not part of the project.
    own = [path for path in folder.rglob("*") if path.is_file() and ".medsynth" not in path.parts]
    assert sum(path.stat().st_size for path in own) <= 8e6


def test_the_script_makes_a_small_case_again(folder: Path, script: ModuleType) -> None:
    def size(sample: object) -> int:
        return sum(path.stat().st_size for path in (folder / "studies" / sample.name).iterdir())

    sample = min(script.SAMPLE_CASES, key=size)
    for name, content in script.packed_files(sample).items():
        stored = (folder / "studies" / sample.name / name).read_bytes()
        assert gzip.decompress(content) == gzip.decompress(stored), name


def test_check_sees_a_changed_file(folder: Path, script: ModuleType, tmp_path: Path) -> None:
    sample = script.SAMPLE_CASES[1]
    copy = tmp_path / sample.name
    copy.mkdir()
    (copy / "a").write_bytes(gzip.compress(b"as it was"))
    made = {"a": gzip.compress(b"as it was"), "b": gzip.compress(b"missing")}
    original = script.packed_files
    script.packed_files = lambda _: made
    try:
        assert script.differing_files(sample, tmp_path) == ["b"]
        (copy / "a").write_bytes(gzip.compress(b"changed"))
        assert script.differing_files(sample, tmp_path) == ["a", "b"]
    finally:
        script.packed_files = original


def test_cases_are_readable_and_complete(folder: Path, script: ModuleType) -> None:
    cases = find_cases(folder / "studies")
    assert {case.name for case in cases} == {sample.name for sample in script.SAMPLE_CASES}
    for case in cases:
        volume = case.read()
        label = read_volume(case.label)
        assert label.spatial_shape == volume.spatial_shape
        np.testing.assert_array_equal(label.affine, volume.affine)
        assert set(np.unique(label.array)) <= {0, 1, 2, 3}
        assert ((volume.array > 0).all(axis=0) == (volume.array > 0).any(axis=0)).all()


def test_one_case_is_full_size_and_one_has_no_enhancing_tumour(folder: Path) -> None:
    labels = [read_volume(case.label).array for case in find_cases(folder / "studies")]
    assert (1, 240, 240, 155) in [label.shape for label in labels]
    assert sum(not (label == 3).any() for label in labels) == 1


def test_every_file_says_that_it_is_synthetic(folder: Path) -> None:
    for path in folder.glob("studies/*/*.nii.gz"):
        image = nib.load(path)
        mark = read_mark(image)
        assert is_synthetic(image), path.name
        assert {"generator", "version", "seed", "conditions"} <= set(mark), path.name
        assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
        np.testing.assert_allclose(image.get_sform(), image.get_qform(), atol=1e-4)
        assert image.header.get_xyzt_units()[0] == "mm"


def test_notice_of_the_template_is_kept(folder: Path) -> None:
    text = " ".join((folder / "README.md").read_text().replace(">", " ").split())
    assert "Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre" in text
    assert "provided that the above copyright notice appear in all copies" in text
