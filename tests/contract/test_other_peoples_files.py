"""Studies folders as other people have them, a row each, through every door: the right cases, or a reason by name.

The doors are the server, its datastore, ``medsynth evaluate`` and ``medsynth train``.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medsynth_app import cli
from medsynth_app.commands.support.server_process import ServerProcess
from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.imaging.studies.case_names import CASE_NAME_PATTERN, case_name, name_and_file, original_name
from medsynth_app.imaging.studies.cases import case_in_folder, find_cases, look_for_cases
from medsynth_app.imaging.studies.studies import list_studies, open_study
from tests.apps.medsynth import conftest as server_tests

from lib.datastore import CaseDatastore  # isort: skip - the server's conftest puts it on the path

SHAPE = (32, 34, 28)
SEQUENCES = server_tests.SEQUENCES
GADOLINIUM = {"flair": "FLAIR", "t1": "T1", "t1ce": "T1GD", "t2": "T2"}
YEAR_2023 = {"flair": "t2f", "t1": "t1n", "t1ce": "t1c", "t2": "t2w"}


def head(seed: int = 1) -> Any:
    return server_tests.make_head(SHAPE, seed)


def write(folder: Path, pattern: str, words: dict[str, str] | None = None, seed: int = 1, label: str = "") -> None:
    """Four sequences by a pattern of ``{}``; a label under its own name."""
    made = head(seed)
    for sequence, channel in zip(SEQUENCES, made.sequences):
        server_tests.write_nifti(folder / pattern.format((words or {}).get(sequence, sequence)), channel, made.affine)
    if label:
        values = np.where(made.labels == 3, 4, made.labels).astype(np.uint8)
        server_tests.write_nifti(folder / label, values, made.affine)


def command(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit status of ``medsynth ARGUMENTS``."""
    monkeypatch.setattr(sys, "argv", ["medsynth", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def evaluate(studies: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, Any]]:
    weights = server_tests.write_tiny_weights(folder / "w.safetensors")
    target = folder / "figures.json"
    status = command(["evaluate", str(studies), "--json", str(target), "--weights", str(weights)], monkeypatch)
    return status, json.loads(target.read_text()) if target.exists() else {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "beside"
    made.mkdir()
    return made


# ---- B 15: layouts -----------------------------------------------------------------------------------


def grades(root: Path) -> None:
    write(root / "HGG" / "Brats18_1", "Brats18_1_{}.nii.gz", seed=1, label="Brats18_1_seg.nii.gz")
    write(root / "LGG" / "Brats18_2", "Brats18_2_{}.nii.gz", seed=2, label="Brats18_2_seg.nii.gz")


def without_prefix(root: Path) -> None:
    write(root / "EGD-0001", "{}.nii.gz", GADOLINIUM, label="seg.nii.gz")


def penn(root: Path) -> None:
    write(root / "UPENN-1_11", "UPENN-1_11_{}.nii.gz", GADOLINIUM, label="UPENN-1_11_segm.nii.gz")


def small_c(root: Path) -> None:
    write(root / "UCSF-4", "UCSF-4_{}.nii.gz", {"flair": "FLAIR", "t1": "T1", "t1ce": "T1c", "t2": "T2"},
          label="UCSF-4_tumor_segmentation.nii.gz")  # fmt: skip


def year_2023(root: Path) -> None:
    write(root / "GLI-1-000", "GLI-1-000-{}.nii", YEAR_2023, label="GLI-1-000-seg.nii")


NUMBERS = {name: f"{number:04d}" for number, name in enumerate(SEQUENCES)}


def nnunet(root: Path) -> None:
    write(root / "imagesTr", "A_{}.nii.gz", NUMBERS, seed=1, label="../labelsTr/A.nii.gz")
    write(root / "imagesTr", "B_{}.nii.gz", NUMBERS, seed=2, label="../labelsTr/B.nii.gz")


def nnunet_of_another_order(root: Path) -> None:
    write(root / "imagesTr", "A_{}.nii.gz", {"t1": "0000", "t1ce": "0001", "t2": "0002", "flair": "0003"},
          label="../labelsTr/A.nii.gz")  # fmt: skip
    names = {"0": "T1", "1": "T1ce", "2": "T2", "3": "Flair"}
    (root / "dataset.json").write_text(json.dumps({"channel_names": names}))


def decathlon(root: Path) -> None:
    made = head()
    server_tests.write_four_dimensional(root / "imagesTr" / "BRATS_001.nii.gz", made)
    server_tests.write_nifti(root / "labelsTr" / "BRATS_001.nii.gz", made.labels, made.affine)


def bids(root: Path) -> None:
    words = {"flair": "FLAIR", "t1": "T1w", "t1ce": "ce-GADOLINIUM_T1w", "t2": "T2w"}
    for seed, session in enumerate(("ses-1", "ses-2")):
        stem = f"sub-01_{session}"
        write(root / "sub-01" / session / "anat", stem + "_{}.nii.gz", words, seed, f"{stem}_dseg.nii.gz")


LAYOUTS: list[tuple[Callable[[Path], None], list[str]]] = [
    (grades, ["Brats18_1", "Brats18_2"]), (without_prefix, ["EGD-0001"]), (penn, ["UPENN-1_11"]),
    (small_c, ["UCSF-4"]), (year_2023, ["GLI-1-000"]), (nnunet, ["A", "B"]), (nnunet_of_another_order, ["A"]),
    (decathlon, ["BRATS_001"]), (bids, ["sub-01_ses-1", "sub-01_ses-2"]),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "names"), LAYOUTS, ids=[layout.__name__ for layout, _ in LAYOUTS])
def test_common_layouts_are_read_by_server_and_commands(
    tmp_path: Path, folder: Path, layout: Callable[[Path], None], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "studies"
    layout(root)
    store = CaseDatastore(root)
    assert store.list_images() == names
    assert store.get_labeled_images() == names
    assert store.left_out == {}
    first = head(0 if layout is bids else 1)
    np.testing.assert_array_equal(store.case(names[0]).read().array, first.sequences)
    served: Any = nib.load(store.label_file(names[0], "final"))
    np.testing.assert_array_equal(np.asarray(served.dataobj), first.labels)
    np.testing.assert_array_equal(find_cases(root)[0].read().array, first.sequences)
    status, figures = evaluate(root, folder, monkeypatch)
    assert (status, sorted(figures["cases"]), figures["left_out"]) == (0, names, {})


def test_the_order_of_numbered_channels_is_told_where_it_was_taken_for_granted(tmp_path: Path) -> None:
    nnunet(tmp_path / "a")
    nnunet_of_another_order(tmp_path / "b")
    note = find_cases(tmp_path / "a")[0].notes[0]
    assert "flair, t1, t1ce, t2, the order of the Medical Segmentation Decathlon" in note
    assert find_cases(tmp_path / "b")[0].notes == ()


def test_numbered_volumes_are_not_channels(tmp_path: Path) -> None:
    for number in range(7):
        server_tests.write_nifti(tmp_path / f"patient_{number:04d}.nii.gz", head().sequences[0], head().affine)
    store = CaseDatastore(tmp_path)
    assert len(store.list_images()) == 7
    assert store.case("patient_0002").sequences == {}


def test_images_of_no_known_sequence_are_reported(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "studies"
    write(root / "good", "good_{}.nii.gz", label="good_seg.nii.gz")
    write(root / "odd", "odd_{}.nii.gz", {name: f"serie{n}" for n, name in enumerate(SEQUENCES)})
    store = CaseDatastore(root)
    assert store.list_images() == ["good"]
    assert "no name tells a sequence: odd_serie0.nii.gz" in store.left_out["odd"]
    status, figures = evaluate(root, folder, monkeypatch)
    assert (status, list(figures["cases"])) == (1, ["good"])
    assert "no name tells a sequence" in figures["left_out"]["odd"]


def test_a_segmentation_of_slicer_in_the_root_is_no_case(tmp_path: Path) -> None:
    write(tmp_path / "good", "good_{}.nii.gz")
    (tmp_path / "good.seg.nrrd").write_bytes(b"NRRD0004\n")
    (tmp_path / "Segmentation.seg.nrrd").write_bytes(b"NRRD0004\n")
    store = CaseDatastore(tmp_path)
    assert store.list_images() == ["good"]
    assert store.get_unlabeled_images() == ["good"]


# ---- B 1, C 9, C 21: what is no regular file ---------------------------------------------------------


def odd_entries(root: Path) -> list[str]:
    """A good case among everything that can lie around; the entries that are to be named."""
    write(root / "good", "good_{}.nii.gz", label="good_seg.nii.gz")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / "._P9_flair.nii.gz").write_bytes(b"fork")
    (root / "annex_flair.nii.gz").symlink_to(root / ".git" / "annex" / "objects" / "none")
    (root / "loop.nii.gz").symlink_to("loop.nii.gz")
    os.mkfifo(root / "pipe.nii.gz")
    (root / "around").symlink_to(root)
    (root / "X-t2f.nii").mkdir()
    (root / "X-t2f.nii" / "X-t2f.nii").write_bytes(b"x")
    write(root / "part", "part_{}.nii.gz")
    (root / "part" / "part_t2.nii.gz").unlink()
    os.mkfifo(root / "part" / "part_t2.nii.gz")
    (root / "part" / "part_t1.nii.gz").unlink()
    (root / "part" / "part_t1.nii.gz").symlink_to("nowhere")
    (root / "part" / "part_seg.nii.gz").mkdir()
    with open(os.fsencode(root) + b"/Andr\xe9_flair.nii.gz", "wb") as file:
        file.write(b"x")
    os.mkdir(os.fsencode(root) + b"/M\xfcller")
    (root / "labels" / "final").mkdir(parents=True)
    os.mkfifo(root / "labels" / "final" / "good.nii.gz")
    (root / "labels" / "final" / "part.nii.gz").symlink_to("nowhere")
    os.mkfifo(root / "labels" / "pipe")
    return [
        "__MACOSX", "annex_flair.nii.gz", "loop.nii.gz", "pipe.nii.gz", "X-t2f.nii", "part/part_t2.nii.gz",
        "part/part_t1.nii.gz", "part/part_seg.nii.gz", r"Andr\udce9_flair.nii.gz", r"M\udcfcller",
        "labels/final/good.nii.gz", "labels/final/part.nii.gz",
    ]  # fmt: skip


def test_odd_entries_are_named_and_stop_nothing(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch,
                                                caplog: pytest.LogCaptureFixture) -> None:  # fmt: skip
    root = tmp_path / "studies"
    named = odd_entries(root)
    store = CaseDatastore(root)
    assert store.list_images() == ["good", "part"]
    assert store.get_labeled_images() == ["good"]
    assert set(named) <= set(store.left_out)
    json.dumps(store.left_out).encode()
    with pytest.raises(InvalidValueError, match=r"part_t1.nii.gz is a link that leads nowhere.*_t2.nii.gz is a pipe"):
        store.case("part").read()
    told = len([r for r in caplog.records if r.getMessage().startswith("passed over: pipe.nii.gz")])
    write(root / "late", "late_{}.nii.gz")
    store._last_look = 0.0
    assert store.list_images() == ["good", "late", "part"]
    again = len([r for r in caplog.records if r.getMessage().startswith("passed over: pipe.nii.gz")])
    assert (told, again) == (1, 1), "logged once"
    status, figures = evaluate(root, folder, monkeypatch)
    assert (status, list(figures["cases"])) == (1, ["good"])
    assert {"late", "part", "pipe.nii.gz"} <= set(figures["left_out"])
    assert str(tmp_path) not in json.dumps([store.left_out, figures["left_out"]])


def test_links_to_regular_files_are_files(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "real", "real_{}.nii.gz", label="real_seg.nii.gz")
    linked = tmp_path / "studies" / "linked"
    linked.mkdir(parents=True)
    for path in (tmp_path / "elsewhere" / "real").iterdir():
        (linked / path.name.replace("real", "linked")).symlink_to(path)
    (tmp_path / "studies" / "whole").symlink_to(tmp_path / "elsewhere" / "real")
    store = CaseDatastore(tmp_path / "studies")
    assert store.get_labeled_images() == ["linked", "whole"]
    assert store.case("linked").read().array.shape == (4, *SHAPE)


def test_a_folder_that_vanishes_while_it_is_listed_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / name, name + "_{}.nii.gz")
    real, gone = os.scandir, []

    def scandir(path: Any) -> Any:
        if not isinstance(path, int) and Path(path).name == "b" and not gone:
            gone.append(path)
            shutil.rmtree(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    store = CaseDatastore(tmp_path)
    assert gone
    assert store.list_images() == ["a", "c"]
    shutil.rmtree(tmp_path / "a")
    store._last_look = 0.0
    assert store.status()["total"] == 1


@pytest.fixture(scope="module")
def served_odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Path]]:
    served = server_tests.start(tmp_path_factory.mktemp("odd"))
    odd_entries(served.studies)
    write(served.studies, "김철수_{}.nii.gz", seed=4)
    write(served.studies, "박영희_{}.nii.gz", seed=5)
    with served.process:
        yield served, served.studies


def test_a_server_on_odd_entries_starts_works_and_ends(served_odd: tuple[Any, Path]) -> None:
    served, studies = served_odd
    assert served.get("/info/").status_code == 200
    assert served.infer("good", output="image").status_code == 200
    health = served.get("/medsynth/api/health").json()
    assert {"pipe.nii.gz", "__MACOSX", "part/part_t2.nii.gz"} <= set(health["left_out"])
    assert health["left_out_count"] == len(health["left_out"])
    assert str(studies) not in json.dumps(health)
    assert served.infer("part", output="image").status_code == 422
    write(studies / "late", "late_{}.nii.gz", seed=7)
    end = time.monotonic() + 20
    while "late" not in served.get("/datastore/?output=all").json()["objects"]:
        assert time.monotonic() < end
        time.sleep(0.3)
    kim, park = case_name("김철수_flair"), case_name("박영희_flair")
    for name, seed in ((kim, 4), (park, 5)):
        answer = served.get("/datastore/image", params={"image": name})
        image = nib.Nifti1Image.from_bytes(gzip.decompress(answer.content))
        np.testing.assert_array_equal(np.asarray(image.dataobj), head(seed).sequences[0])
        assert served.infer(name, output="image").status_code == 200, "its siblings were found"
    refused = served.get("/datastore/image", params={"image": "김철수_flair"})
    assert refused.status_code == 422
    assert kim in refused.json()["detail"]
    begin = time.monotonic()
    served.process.process.terminate()
    served.process.process.wait(20)
    assert time.monotonic() - begin < 15


# ---- B 3: names --------------------------------------------------------------------------------------

NAMES = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_characters="\0/"),
        st.sampled_from("_xX0123456789ABCDEFabcdefh.-"),
    ),
    min_size=1, max_size=60,
)  # fmt: skip


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=20, unique=True))
@example(["_xAE40_", "김", "_x5F_xAE40_", "_x", "_x_", "a_x5", "a_x5F_"])
@example(["가xAB_", "_xAC00_xAB_", "___", "   ", "가나다", "라마바"])
@example(["y" * 129, "y" * 128, "y" * 300, case_name("y" * 300)])
def test_names_map_one_to_one(names: list[str]) -> None:
    mapped = [case_name(name) for name in names]
    assert all(CASE_NAME_PATTERN.fullmatch(name) for name in mapped)
    assert len(set(mapped)) == len(names)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0/"), max_size=15))
def test_short_names_can_be_read_back(name: str) -> None:
    assert original_name(case_name(name)) == name


@settings(max_examples=300, derandomize=True, deadline=None)
@given(NAMES)
def test_an_uploaded_case_is_listed_under_the_name_it_was_given(name: str) -> None:
    try:
        case, stem = name_and_file(name)
    except InvalidValueError:
        return
    assert case_name(stem) == case
    assert "/" not in stem
    assert name_and_file(case) == (case, stem) or len(case) == 128


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.text("abAB01_-. 가나다김한ä", min_size=1, max_size=8), min_size=1, max_size=6, unique=True))
def test_every_case_folder_is_a_case_of_its_own(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    root = tmp_path_factory.mktemp("names")
    kept = [n for n in names if not n.startswith(".")]
    for name in kept:
        (root / name).mkdir()
        (root / name / f"{name}_flair.nii.gz").touch()
    listing = list_studies(root)
    assert {study.path.name for study in listing.studies.values()} == set(kept)
    for study in listing.studies.values():
        assert open_study(study).sequences["flair"].name == f"{study.path.name}_flair.nii.gz"


def test_labels_of_names_in_hangul_stay_with_their_patient(tmp_path: Path) -> None:
    root = tmp_path / "studies"
    write(root / "김철수", "김철수_{}.nii.gz", seed=1)
    write(root / "박영희", "박영희_{}.nii.gz", seed=2)
    store = CaseDatastore(root)
    kim, park = case_name("김철수"), case_name("박영희")
    assert store.list_images() == sorted([kim, park])
    label = server_tests.write_nifti(tmp_path / "l.nii.gz", head(1).labels, head(1).affine)
    store.save_label(kim, str(label), "final", {})
    shutil.rmtree(root / "김철수")
    after = CaseDatastore(root)
    assert after.list_images() == [park]
    assert after.get_labeled_images() == []
    assert "belongs to no case" in after.left_out[f"labels/final/{kim}.nii.gz"]


def test_four_files_in_hangul_join_by_their_original_stem(tmp_path: Path) -> None:
    write(tmp_path, "김철수_{}.nii.gz", seed=1)
    write(tmp_path, "박영희_{}.nii.gz", seed=2)
    store = CaseDatastore(tmp_path)
    assert len(store.list_images()) == 8
    for name, seed in (("김철수_t1", 1), ("박영희_t2", 2)):
        np.testing.assert_array_equal(store.case(case_name(name)).read().array, head(seed).sequences)


def test_uploads_in_hangul_keep_apart_and_are_found_again(tmp_path: Path) -> None:
    store = CaseDatastore(tmp_path / "studies")
    for seed, name in enumerate(("김철수", "박영희", "박 영희")):
        file = server_tests.write_four_dimensional(tmp_path / "up" / f"{seed}.nii.gz", head(seed))
        assert store.add_image(name, str(file), {}) == case_name(name)
    again = CaseDatastore(tmp_path / "studies")
    assert again.list_images() == sorted(map(case_name, ("김철수", "박영희", "박 영희")))
    np.testing.assert_array_equal(again.case(case_name("박영희")).read().array, head(1).sequences)


def test_a_label_does_not_move_to_another_case_that_takes_its_name(tmp_path: Path) -> None:
    root = tmp_path / "studies"
    write(root / "HGG" / "x", "x_{}.nii.gz", seed=1)
    store = CaseDatastore(root)
    label = server_tests.write_nifti(tmp_path / "l.nii.gz", head(1).labels, head(1).affine)
    store.save_label("x", str(label), "final", {})
    assert CaseDatastore(root).get_labeled_images() == ["x"]
    write(root / "LGG" / "x", "x_{}.nii.gz", seed=2)
    both = CaseDatastore(root)
    assert both.list_images() == []
    assert {"HGG/x", "LGG/x"} <= set(both.left_out)
    shutil.rmtree(root / "HGG")
    other = CaseDatastore(root)
    assert other.list_images() == ["x"]
    assert other.get_labeled_images() == []
    assert "was made for HGG/x" in other.left_out["labels/final/x.nii.gz"]
    with pytest.raises(MedSynthError):
        other.label_file("x", "final")


# ---- B 4: several candidates -------------------------------------------------------------------------


def test_two_visits_in_one_folder_are_two_cases(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "studies"
    write(root / "X", "X_11_{}.nii.gz", seed=1, label="X_11_seg.nii.gz")
    write(root / "X", "X_21_{}.nii.gz", seed=2)
    (root / "X" / "X_21_flair.nii.gz").unlink()
    (root / "X" / "X_11_t1ce.nii.gz").unlink()
    store = CaseDatastore(root)
    assert store.list_images() == ["X_11", "X_21"]
    assert set(store.case("X_11").sequences) == {"flair", "t1", "t2"}
    assert set(store.case("X_21").sequences) == {"t1", "t1ce", "t2"}
    assert store.get_labeled_images() == ["X_11"]
    with pytest.raises(InvalidValueError, match="X: holds several cases: X_11, X_21"):
        case_in_folder(root / "X")
    status, figures = evaluate(root, folder, monkeypatch)
    assert (status, figures["cases"]) == (1, {})
    assert "missing sequence t1ce" in figures["left_out"]["X_11"]
    assert "no label map" in figures["left_out"]["X_21"]
    store.remove_image("X_21")
    assert {path.name for path in (root / "X").iterdir()} >= {"X_11_flair.nii.gz", "X_11_seg.nii.gz"}


def test_two_files_that_could_be_a_sequence_are_both_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "studies"
    write(root / "twice", "twice_{}.nii.gz", seed=1, label="twice_seg.nii.gz")
    server_tests.write_nifti(root / "twice" / "twice_t1ce.nii", head(9).sequences[2], head(9).affine)
    write(root / "labels_two", "labels_two_{}.nii.gz", seed=2, label="labels_two_seg.nii.gz")
    server_tests.write_nifti(root / "labels_two" / "labels_two-seg.nii.gz", head(3).labels, head(3).affine)
    write(root / "good", "good_{}.nii.gz", seed=3, label="good_seg.nii.gz")
    store = CaseDatastore(root)
    assert store.list_images() == ["good", "labels_two", "twice"]
    assert store.get_labeled_images() == ["good", "twice"]
    with pytest.raises(InvalidValueError, match="t1ce: 2 files could be it: twice_t1ce.nii, twice_t1ce.nii.gz"):
        store.case("twice").read()
    assert "label: 2 files could be it" in store.left_out["labels_two"]
    status, figures = evaluate(root, folder, monkeypatch)
    assert (status, list(figures["cases"])) == (1, ["good"])
    assert set(figures["left_out"]) == {"labels_two", "twice"}


def test_one_name_in_two_kinds_of_file_is_nobodys(tmp_path: Path) -> None:
    for ending in (".nii", ".nii.gz"):
        server_tests.write_four_dimensional(tmp_path / f"v{ending}", head())
    store = CaseDatastore(tmp_path)
    assert store.list_images() == []
    assert "has the name 'v' as v.nii.gz has" in store.left_out["v.nii"]


# ---- B 12: a mixed collection ------------------------------------------------------------------------


def mixed(root: Path) -> None:
    write(root / "good", "good_{}.nii.gz", seed=1, label="good_seg.nii.gz")
    write(root / "W39_1998.09.19", "W39_1998.09.19_{}.nii", seed=2, label="W39_1998.09.19_Segm.nii")
    write(root / "bare", "bare_{}.nii.gz", seed=3)
    write(root / "broken", "broken_{}.nii.gz", seed=4, label="broken_seg.nii.gz")
    (root / "broken" / "broken_t2.nii.gz").write_bytes(b"junk")
    write(root / "values", "values_{}.nii.gz", seed=5)
    server_tests.write_nifti(root / "values" / "values_seg.nii.gz", head(5).labels * 50, head(5).affine)
    write(root / "few", "few_{}.nii.gz", seed=6, label="few_seg.nii.gz")
    (root / "few" / "few_t1.nii.gz").unlink()


def test_evaluate_keeps_what_it_has_and_lists_the_rest(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "studies"
    mixed(root)
    status, figures = evaluate(root, folder, monkeypatch)
    assert status == 1
    assert sorted(figures["cases"]) == ["W39_1998.09.19", "good"]
    assert set(figures["left_out"]) == {"bare", "broken", "few", "values"}
    reasons = {"bare": "no label map", "broken": "t2: not a readable", "few": "missing sequence t1", "values": "50"}
    for name, words in reasons.items():
        assert words in figures["left_out"][name]
    assert figures["mean"]["WT"]["dice"] == np.mean([c["regions"]["WT"]["dice"] for c in figures["cases"].values()])
    assert "left out: broken: broken t2" in capsys.readouterr().err
    assert str(tmp_path) not in json.dumps(figures)


@pytest.mark.parametrize("kind", ["absent", "empty", "bare"])
def test_evaluate_on_nothing_is_wrong_use(
    tmp_path: Path, folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "studies"
    if kind != "absent":
        root.mkdir()
    if kind == "bare":
        write(root / "bare", "bare_{}.nii.gz")
    assert evaluate(root, folder, monkeypatch) == (2, {})


def test_train_says_which_cases_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "studies"
    mixed(root)
    run = ["train", "brain_tumor_segmentation", str(root), "--folder", str(tmp_path / "run")]
    arguments = [*run, "--steps", "1", "--patch-size", "64,64,64", "--width", "4", "--device", "cpu"]
    assert command(arguments, monkeypatch) == 0
    said = capfd.readouterr().err
    for name in ("bare", "broken", "few", "values"):
        assert f"left out: {name}: " in said


# ---- B 14: labels of a stock store -------------------------------------------------------------------


def test_final_labels_of_another_store_are_checked_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "studies"
    final = root / "labels" / "final"
    names = ("four", "fifties", "grid", "nrrd", "own", "김철수")
    for seed, name in enumerate(names):
        server_tests.write_four_dimensional(root / f"{name}.nii.gz", head(seed))
    four = np.where(head(0).labels == 3, 4, head(0).labels).astype(np.uint8)
    server_tests.write_nifti(final / "four.nii.gz", four, head(0).affine)
    server_tests.write_nifti(final / "fifties.nii.gz", head(1).labels * 50, head(1).affine)
    server_tests.write_nifti(final / "grid.nii.gz", head(2).labels[:-1], head(2).affine)
    write_nrrd(final / "nrrd.nrrd", head(3).labels, head(3).affine)
    server_tests.write_nifti(final / "own.nii.gz", head(4).labels, head(4).affine)
    server_tests.write_nifti(final / "김철수.nii.gz", head(5).labels, head(5).affine)
    server_tests.write_nifti(final / "nobody.nii.gz", head(5).labels, head(5).affine)
    row = {"ext": ".nii.gz", "info": {}}
    stock = {"objects": {name: {"image": row, "labels": {"final": row}} for name in names}}
    (root / "datastore_v2.json").write_text(json.dumps({"name": "x", "description": "x", **stock}))
    before = server_tests.snapshot(final)
    store = CaseDatastore(root)
    assert store.get_labeled_images() == sorted(["four", "nrrd", "own", case_name("김철수")])
    assert store.status()["completed"] == 4
    for name, seed in (("four", 0), ("nrrd", 3), ("own", 4), (case_name("김철수"), 5)):
        served: Any = nib.load(store.label_file(name, "final"))
        np.testing.assert_array_equal(np.asarray(served.dataobj), head(seed).labels)
    assert "50" in store.left_out["labels/final/fifties.nii.gz"]
    assert "another grid" in store.left_out["labels/final/grid.nii.gz"]
    assert "no case" in store.left_out["labels/final/nobody.nii.gz"]
    assert "passed over: labels/final/fifties.nii.gz" in caplog.text
    with pytest.raises(MedSynthError):
        store.label_file("fifties", "final")
    assert server_tests.snapshot(final) == before, "the files themselves stay"

    reads: list[str] = []
    import lib.final_labels as module  # noqa: PLC0415 - the module whose name is replaced

    real = module.read_submitted_label
    module.read_submitted_label = lambda path, *a, **k: reads.append(path.name) or real(path, *a, **k)
    try:
        again = CaseDatastore(root)
    finally:
        module.read_submitted_label = real
    assert (reads, again.left_out) == ([], store.left_out), "checked once"

    right = server_tests.write_nifti(tmp_path / "right.nii.gz", head(1).labels, head(1).affine)
    again.save_label("fifties", str(right), "final", {})
    last = CaseDatastore(root)
    assert "fifties" in last.get_labeled_images()
    last.remove_label("nrrd", "final")
    assert "nrrd" not in CaseDatastore(root).get_labeled_images()


def test_a_label_whose_images_come_later_is_looked_at_again(tmp_path: Path) -> None:
    root = tmp_path / "studies"
    server_tests.write_nifti(root / "labels" / "final" / "late.nii.gz", head(1).labels, head(1).affine)
    (root / "late.nii.gz").write_bytes(b"half of it")
    assert CaseDatastore(root).get_labeled_images() == []
    server_tests.write_four_dimensional(root / "late.nii.gz", head(1))
    assert CaseDatastore(root).get_labeled_images() == ["late"]


def write_nrrd(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    import SimpleITK as sitk  # noqa: PLC0415 - slow

    image = sitk.GetImageFromArray(array.transpose(2, 1, 0))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    image.SetDirection((lps[:3, :3] / np.linalg.norm(lps[:3, :3], axis=0)).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


# ---- how long it takes -------------------------------------------------------------------------------


def test_ten_thousand_cases_are_listed_by_names_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10_000):
        folder = tmp_path / f"case-{number:05d}"
        folder.mkdir()
        for sequence in ("flair", "seg"):
            (folder / f"case-{number:05d}_{sequence}.nii.gz").touch()
    opened: list[Any] = []
    with monkeypatch.context() as patched:
        patched.setattr(nib, "load", opened.append)
        patched.setattr(Path, "open", lambda path, *a, **k: opened.append(path))
        patched.setattr(Path, "read_text", lambda path, *a, **k: opened.append(path))
        begin = time.process_time()
        listing = list_studies(tmp_path)
        seconds = time.process_time() - begin
    assert (len(listing.studies), listing.left_out, opened) == (10_000, {}, [])
    assert seconds < 5
    assert len(look_for_cases(tmp_path).cases) == 10_000
