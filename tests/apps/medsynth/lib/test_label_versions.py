"""Every submitted label stays readable, whatever comes after it and whenever the process dies."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lib.datastore import CaseDatastore

from medsynth_app.active_learning.label_versions import LabelVersions
from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.imaging.reading import read_volume

KILLS = 10
INFO = {"client_id": "ann", "model": "brain_tumor_segmentation"}


@pytest.fixture
def head(build: Any) -> Any:
    return build.head(seed=1)


@pytest.fixture
def store(tmp_path: Path, build: Any, head: Any) -> CaseDatastore:
    build.case(tmp_path / "studies", "plain", head)
    build.case(tmp_path / "studies", "labelled", head, with_label=True)
    return CaseDatastore(tmp_path / "studies")


@pytest.fixture
def submit(store: CaseDatastore, build: Any, head: Any, tmp_path: Path) -> Any:
    def save(value: int, case: str = "plain", **info: Any) -> None:
        """A label with one voxel more of ``value``."""
        labels = head.labels.copy()
        labels[0, 0, 0] = value
        file = build.nifti(tmp_path / "label.nii.gz", labels, head.affine)
        store.save_label(case, str(file), "final", {**INFO, **info})

    return save


def first_voxel(path: Path) -> int:
    return int(read_volume(path, "label").array[0, 0, 0, 0])


def test_each_submission_is_a_version_with_author_and_time(store: CaseDatastore, submit: Any) -> None:
    for value in (1, 2, 3):
        submit(value, client_id=f"reader {value}")
    versions = CaseDatastore(store.root).label_versions("plain")
    assert [(v.number, v.author) for v in versions] == [(1, "reader 1"), (2, "reader 2"), (3, "reader 3")]
    assert versions[0].seconds <= versions[1].seconds <= versions[2].seconds
    assert [first_voxel(store.label_version_file("plain", n)) for n in (1, 2, 3)] == [1, 2, 3]
    assert first_voxel(store.label_file("plain", "final")) == 3
    info = store.get_label_info("plain", "final")
    assert (info["author"], info["version"], info["model"]) == ("reader 3", 3, INFO["model"])


def test_refused_label_is_no_version_and_changes_nothing(
    store: CaseDatastore, submit: Any, build: Any, tmp_path: Path
) -> None:
    submit(2)
    before = {path: path.read_bytes() for path in store.root.rglob("*.nii.gz")}
    wrong_grid = build.nifti(tmp_path / "w.nii.gz", np.ones((4, 4, 4), np.uint8), np.eye(4))
    with pytest.raises(InvalidValueError, match="another grid"):
        store.save_label("plain", str(wrong_grid), "final", INFO)
    image = read_volume(store.display_file("plain"), "plain")
    unknown = build.nifti(tmp_path / "u.nii.gz", np.ones(image.spatial_shape, np.uint8), image.affine)
    with pytest.raises(InvalidValueError, match="liver"):
        store.save_label("plain", str(unknown), "final", {**INFO, "label_info": [{"name": "liver", "idx": 1}]})
    assert {path: path.read_bytes() for path in store.root.rglob("*.nii.gz")} == before
    assert len(store.label_versions("plain")) == 1


@pytest.mark.parametrize("number", [0, 2, 99])
def test_unknown_version_lists_those_that_are_there(store: CaseDatastore, submit: Any, number: int) -> None:
    submit(1)
    with pytest.raises(NotFoundError, match=f"no label version {number}, there are 1"):
        store.label_version_file("plain", number)


def test_label_that_came_by_hand_is_kept_when_it_is_replaced(
    store: CaseDatastore, submit: Any, build: Any, head: Any
) -> None:
    labels = head.labels.copy()
    labels[0, 0, 0] = 2
    build.nifti(store.root / "labels" / "final" / "plain.nii.gz", labels, head.affine)
    submit(3)
    assert [first_voxel(store.label_version_file("plain", n)) for n in (1, 2)] == [2, 3]
    submit(1)
    assert len(store.label_versions("plain")) == 3, "what was submitted is not adopted a second time"


def test_label_of_the_case_folder_is_never_written_to(store: CaseDatastore, submit: Any) -> None:
    own = store.root / "labelled" / "labelled_seg.nii.gz"
    before = own.read_bytes()
    submit(3, "labelled")
    assert own.read_bytes() == before
    assert first_voxel(store.label_file("labelled", "final")) == 3
    store.remove_label("labelled", "final")
    assert first_voxel(store.label_file("labelled", "final")) == 0


def test_removed_label_does_not_come_back_but_can_be_read(store: CaseDatastore, submit: Any) -> None:
    submit(2)
    store.remove_label("plain", "final")
    again = CaseDatastore(store.root)
    assert again.get_labeled_images() == ["labelled"]
    assert [(v.number, v.deleted) for v in again.label_versions("plain")] == [(1, False), (2, True)]
    assert first_voxel(again.label_version_file("plain", 1)) == 2
    with pytest.raises(NotFoundError):
        again.label_version_file("plain", 2)
    submit(3)
    assert [v.number for v in store.label_versions("plain")] == [1, 2, 3]


def test_removed_case_takes_its_versions_along(store: CaseDatastore, submit: Any) -> None:
    submit(2)
    store.remove_image("plain")
    assert list(store.versions.cases()) == []


@pytest.mark.parametrize("lost", ["final label", "index", "both"])
def test_version_that_was_complete_when_the_server_died_becomes_the_label(
    store: CaseDatastore, submit: Any, lost: str
) -> None:
    submit(1)
    label, index = store.root / "labels" / "final" / "plain.nii.gz", store.root / "datastore_v2.json"
    kept = label.read_bytes(), index.read_bytes()
    submit(2)
    if lost in ("final label", "both"):
        label.write_bytes(kept[0])
    if lost in ("index", "both"):
        index.write_bytes(kept[1])
    else:
        # without its entry nothing tells that the file is old
        record = json.loads(kept[1])
        index.write_text(json.dumps(record))
    again = CaseDatastore(store.root)
    assert first_voxel(again.label_file("plain", "final")) == 2
    assert again.get_label_info("plain", "final")["version"] == 2


@pytest.mark.parametrize("half", ["0002.nii.gz", ".5-abc.0002.json"])
def test_half_a_version_does_not_count(store: CaseDatastore, submit: Any, half: str) -> None:
    submit(1)
    (store.versions.folder / "plain" / half).write_bytes(b"half")
    again = CaseDatastore(store.root)
    assert [v.number for v in again.label_versions("plain")] == [1]
    submit(3)
    assert first_voxel(again.label_version_file("plain", 2)) == 3


def test_broken_record_is_passed_over(store: CaseDatastore, submit: Any) -> None:
    submit(1)
    submit(2)
    (store.versions.folder / "plain" / "0001.json").write_text("{")
    assert [v.number for v in LabelVersions(store.versions.folder).versions("plain")] == [2]
    assert first_voxel(CaseDatastore(store.root).label_file("plain", "final")) == 2


def _submit_for_ever(root: Path, files: dict[int, str], acknowledged: Any) -> None:
    store = CaseDatastore(root)
    number = 0
    while True:
        number += 1
        value, case = number % 3 + 1, ("plain", "labelled")[number % 2]
        store.save_label(case, files[value], "final", {**INFO, "number": number})
        os.write(acknowledged, f"{case} {store.get_label_info(case, 'final')['version']} {value}\n".encode())


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork and SIGKILL")
def test_writer_killed_at_random_loses_no_acknowledged_label(
    store: CaseDatastore, build: Any, head: Any, tmp_path: Path
) -> None:
    files = {}
    for value in (1, 2, 3):
        labels = head.labels.copy()
        labels[0, 0, 0] = value
        files[value] = str(build.nifti(tmp_path / f"{value}.nii.gz", labels, head.affine))
    generator = np.random.default_rng(0)
    acknowledged: dict[tuple[str, int], int] = {}
    for _ in range(KILLS):
        reading, writing = os.pipe()
        writer = multiprocessing.get_context("fork").Process(target=_submit_for_ever, args=(store.root, files, writing))
        writer.start()
        time.sleep(float(generator.uniform(0.1, 0.8)))
        os.kill(writer.pid, signal.SIGKILL)  # type: ignore[arg-type]
        writer.join()
        os.close(writing)
        with open(reading, encoding="utf-8") as lines:
            for case, version, value in (line.split() for line in lines):
                acknowledged[case, int(version)] = int(value)
        again = CaseDatastore(store.root)
        for case in ("plain", "labelled"):
            numbers = [number for name, number in acknowledged if name == case]
            if numbers:
                current = again.get_label_info(case, "final")["version"]
                assert current >= max(numbers)
                path = again.label_version_file(case, current)
                assert again.label_file(case, "final").read_bytes() == path.read_bytes()
    assert len(acknowledged) > KILLS, "the writer came to nothing"
    for (case, version), value in acknowledged.items():
        assert first_voxel(again.label_version_file(case, version)) == value
