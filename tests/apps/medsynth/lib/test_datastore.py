"""Cases of a studies folder: listed, kept up to date, changed without losing anything."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from lib.activelearning.random import RandomStrategy
from lib.datastore import CaseDatastore, check_tag

from medsynth_app.errors import InvalidValueError, NotFoundError, StaleError, UnsupportedKindError
from medsynth_app.imaging.provenance.generated_voxels import generated_here
from medsynth_app.imaging.provenance.marking import SyntheticMark, is_marked_synthetic, mark_synthetic

SECONDS_FOR_5000_CASES = 5.0


def open_now(store: CaseDatastore) -> CaseDatastore:
    """Let the next question look at the folder again, however short ago the last look was."""
    store._last_look = 0.0
    return store


@pytest.fixture
def studies(tmp_path: Path, build: Any) -> Path:
    folder = tmp_path / "studies"
    build.case(folder, "plain", build.head(seed=1))
    build.case(folder, "labelled", build.head(seed=2), with_label=True)
    build.four_dimensional(folder / "stacked.nii.gz", build.head(seed=3))
    return folder


@pytest.fixture
def store(studies: Path) -> CaseDatastore:
    return CaseDatastore(studies)


# ---- listing -------------------------------------------------------------------------------------------


def test_cases_are_listed_sorted_with_their_labels(store: CaseDatastore) -> None:
    assert store.list_images() == ["labelled", "plain", "stacked"]
    assert store.get_labeled_images() == ["labelled"]
    assert store.get_unlabeled_images() == ["plain", "stacked"]
    assert store.status() == {"total": 3, "completed": 1, "label_tags": {"final": 1}}


def test_five_thousand_case_folders(tmp_path: Path, build: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5000):
        build.touch_case(tmp_path, f"BraTS-GLI-{number:05d}-000")
    seconds = {}
    # Processor time: how long it takes where nothing else runs.
    begin = time.process_time()
    store = CaseDatastore(tmp_path)
    names = store.list_images()
    seconds["first start"] = time.process_time() - begin
    begin = time.process_time()
    CaseDatastore(tmp_path)
    seconds["next start"] = time.process_time() - begin
    begin = time.process_time()
    status = open_now(store).status()
    seconds["status"] = time.process_time() - begin
    with capsys.disabled():
        print("\n5,000 cases:", ", ".join(f"{k} {v:.2f} s" for k, v in seconds.items()))  # noqa: T201
    assert names == [f"BraTS-GLI-{number:05d}-000" for number in range(5000)]
    assert status["total"] == 5000
    assert max(seconds.values()) < SECONDS_FOR_5000_CASES


@pytest.mark.parametrize(
    "names",
    [
        ["sub.001", "sub.002", "sub"],
        ["a.b.c-1", "a.b.c-2", "a.b"],
        ["1.2.840.113619.1", "1.2.840.113619.2"],
    ],
)
def test_names_that_differ_behind_a_dot_stay_apart(
    tmp_path: Path, build: Any, names: list[str], store: CaseDatastore
) -> None:
    for seed, name in enumerate(names):
        file = build.four_dimensional(tmp_path / "up" / f"{seed}.nii.gz", build.head((32, 32, 32), seed=seed))
        assert store.add_image(name, str(file), {}) == name
    assert set(names) <= set(open_now(store).list_images())
    contents = {Path(store.root / f"{name}.nii.gz").read_bytes() for name in names}
    assert len(contents) == len(names)


def test_names_with_strange_characters_become_case_names(tmp_path: Path, build: Any) -> None:
    build.four_dimensional(tmp_path / "Köpf 1 (neu).nii.gz", build.head((32, 32, 32)))
    build.case(tmp_path, "-dash", build.head((32, 32, 32)))
    names = CaseDatastore(tmp_path).list_images()
    assert names == ["K_xF6_pf_x20_1_x20__x28_neu_x29_", "_x2D_dash"]


def test_own_folders_hidden_files_and_lone_labels_are_no_cases(studies: Path, build: Any) -> None:
    for folder in ("labels/final", "model", "logs", ".hidden", "empty"):
        (studies / folder).mkdir(parents=True, exist_ok=True)
        build.four_dimensional(studies / folder / "x.nii.gz", build.head((32, 32, 32)))
    build.nifti(studies / "loose_seg.nii.gz", build.head((32, 32, 32)).labels, np.eye(4))
    (studies / ".partial.nii.gz").write_bytes(b"")
    (studies / "notes.txt").write_text("x")
    assert CaseDatastore(studies).list_images() == ["labelled", "plain", "stacked"]


@pytest.mark.parametrize("late", ["folder", "file", "label in labels/final", "label in the case folder"])
def test_what_comes_while_the_server_runs_appears(
    store: CaseDatastore, studies: Path, build: Any, late: str
) -> None:
    assert store.status()["total"] == 3
    head = build.head(seed=1)
    if late == "folder":
        build.case(studies, "late", head)
    elif late == "file":
        build.four_dimensional(studies / "late.nii.gz", head)
    elif late == "label in labels/final":
        build.nifti(studies / "labels" / "final" / "plain.nii.gz", head.labels, head.affine)
    else:
        build.nifti(studies / "plain" / "plain_seg.nii.gz", head.labels, head.affine)
    status = open_now(store).status()
    expected = (4, 1) if late in ("folder", "file") else (3, 2)
    assert (status["total"], status["completed"]) == expected


def test_folder_that_fills_up_slowly_appears_once_it_holds_a_sequence(
    store: CaseDatastore, studies: Path, build: Any
) -> None:
    (studies / "slow").mkdir()
    assert "slow" not in open_now(store).list_images()
    build.nifti(studies / "slow" / "slow_t1.nii.gz", build.head().sequences[1], build.head().affine)
    assert "slow" in open_now(store).list_images()
    with pytest.raises(InvalidValueError, match="missing sequence flair, t1ce, t2"):
        store.case("slow").read()


def test_case_deleted_while_in_use(store: CaseDatastore, studies: Path) -> None:
    (studies / "stacked.nii.gz").unlink()
    with pytest.raises(InvalidValueError, match="its files are gone"):
        store.case("stacked")
    assert open_now(store).list_images() == ["labelled", "plain"]
    with pytest.raises(NotFoundError, match="no case 'stacked'"):
        store.case("stacked")


# ---- sequences -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["plain", "stacked"])
@pytest.mark.parametrize("modality", [None, "flair", "t1", "t1ce", "t2"])
def test_one_sequence_is_shown_as_a_scalar_volume(
    store: CaseDatastore, build: Any, case: str, modality: str | None
) -> None:
    head = build.head(seed=1 if case == "plain" else 3)
    image: Any = nib.load(store.display_file(case, modality))
    channel = build.sequences.index(modality or "flair")
    np.testing.assert_array_equal(np.asarray(image.dataobj), head.sequences[channel])
    np.testing.assert_allclose(image.affine, head.affine)


def test_unknown_sequence_names_what_there_is(store: CaseDatastore, studies: Path) -> None:
    with pytest.raises(InvalidValueError, match="'pet' must be one of flair, t1, t1ce, t2"):
        store.display_file("plain", "pet")
    (studies / "plain" / "plain_t2.nii.gz").unlink()
    with pytest.raises(InvalidValueError, match="case plain has no t2, it has flair, t1, t1ce"):
        store.display_file("plain", "t2")


def test_many_ask_at_once_for_a_sequence_of_a_stacked_file(store: CaseDatastore) -> None:
    faults: list[Exception] = []

    def ask() -> None:
        try:
            nib.load(store.display_file("stacked", "t1")).get_fdata()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test reports it
            faults.append(error)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert list((store.root / ".medsynth" / "display").glob(".*")) == []


def test_four_flat_uploads_are_one_case(tmp_path: Path, build: Any) -> None:
    head = build.head(seed=5)
    for sequence, channel in zip(build.sequences, head.sequences):
        build.nifti(tmp_path / f"X_{sequence}.nii.gz", channel, head.affine)
    store = CaseDatastore(tmp_path)
    assert store.list_images() == ["X_flair", "X_t1", "X_t1ce", "X_t2"]
    for name in store.list_images():
        np.testing.assert_array_equal(store.case(name).read().array, head.sequences)
        assert store.display_file(name).name == f"{name}.nii.gz"


# ---- labels --------------------------------------------------------------------------------------------


def test_label_of_the_case_folder_is_served_with_canonical_values(
    store: CaseDatastore, studies: Path, build: Any
) -> None:
    stored: Any = nib.load(studies / "labelled" / "labelled_seg.nii.gz")
    assert set(np.unique(stored.dataobj)) == {0, 1, 2, 4}
    served: Any = nib.load(store.label_file("labelled", "final"))
    np.testing.assert_array_equal(np.asarray(served.dataobj), build.head(seed=2).labels)
    np.testing.assert_allclose(served.affine, stored.affine)


def test_newer_label_of_the_case_folder_replaces_the_kept_copy(
    store: CaseDatastore, studies: Path, build: Any
) -> None:
    first = store.label_file("labelled", "final").read_bytes()
    head = build.head(seed=2)
    path = build.nifti(studies / "labelled" / "labelled_seg.nii.gz", np.minimum(head.labels, 2), head.affine)
    os.utime(path, (time.time() + 5, time.time() + 5))
    assert store.label_file("labelled", "final").read_bytes() != first


def test_submitted_label_covers_the_folders_and_leaves_it_alone(
    store: CaseDatastore, studies: Path, build: Any, tmp_path: Path
) -> None:
    head = build.head(seed=2)
    own = (studies / "labelled" / "labelled_seg.nii.gz").read_bytes()
    edited = np.where(head.labels == 1, 3, head.labels).astype(np.uint8)
    store.save_label("labelled", str(build.nifti(tmp_path / "l.nii.gz", edited, head.affine)), "final", {})
    served: Any = nib.load(store.label_file("labelled", "final"))
    np.testing.assert_array_equal(np.asarray(served.dataobj), edited)
    assert (studies / "labelled" / "labelled_seg.nii.gz").read_bytes() == own
    store.remove_label("labelled", "final")
    assert "labelled" in store.get_labeled_images()
    with pytest.raises(InvalidValueError, match="came with the case folder"):
        store.remove_label("labelled", "final")


def test_label_in_another_voxel_order_is_brought_to_the_images(
    store: CaseDatastore, build: Any, tmp_path: Path
) -> None:
    head = build.head(seed=1)
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = head.labels.shape[0] - 1
    path = build.nifti(tmp_path / "l.nii.gz", np.ascontiguousarray(head.labels[::-1]), head.affine @ flip)
    store.save_label("plain", str(path), "final", {})
    np.testing.assert_array_equal(
        np.asarray(nib.load(store.label_file("plain", "final")).dataobj),
        head.labels,  # type: ignore[attr-defined]
    )


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (["necrotic_core", "edema", "enhancing_tumor"], [0, 1, 2, 3]),
        (["enhancing_tumor", "necrotic_core", "edema"], [0, 3, 1, 2]),
        (["background", "necrotic_core", "edema", "enhancing_tumor"], [0, 1, 2, 3]),
        (["Edema", "Enhancing tumor", "Necrotic core"], [0, 2, 3, 1]),
    ],
)
def test_segments_are_matched_by_their_order_and_name(
    store: CaseDatastore, build: Any, tmp_path: Path, names: list[str], table: list[int]
) -> None:
    head = build.head(seed=1)
    path = build.nifti(tmp_path / "l.nii.gz", head.labels, head.affine)
    # ``idx`` is deliberately wrong: Slicer's counts segments that the label map does not hold.
    info = {"label_info": [{"name": name, "idx": 9 - i} for i, name in enumerate(names)]}
    store.save_label("plain", str(path), "final", info)
    served = np.asarray(nib.load(store.label_file("plain", "final")).dataobj)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(served, np.array(table, dtype=np.uint8)[head.labels])


@pytest.mark.parametrize("tag", ["../x", "a/b", "", ".", "x" * 65, "ä", None, 3.5, "a b"])
def test_tags_that_could_be_paths_are_refused(tag: object) -> None:
    with pytest.raises(InvalidValueError, match="tag: .* letters, digits"):
        check_tag(tag)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/b", "", ".hidden", "-x", "x" * 129, "a\\b", "a\0b"]
)
def test_names_that_could_be_paths_are_refused(store: CaseDatastore, name: str, studies: Path) -> None:
    for question in (store.case, store.study, store.display_file, store.remove_image, store.get_image_info):
        with pytest.raises(InvalidValueError, match="is not a case name"):
            question(name)
    with pytest.raises(InvalidValueError, match="is not a case name"):
        store.save_label(name, str(studies / "stacked.nii.gz"), "final", {})


# ---- uploads -------------------------------------------------------------------------------------------


def test_same_upload_again_is_accepted_and_another_one_refused(
    store: CaseDatastore, build: Any, tmp_path: Path
) -> None:
    first = build.four_dimensional(tmp_path / "a.nii.gz", build.head((32, 32, 32), seed=1))
    other = build.four_dimensional(tmp_path / "b.nii.gz", build.head((32, 32, 32), seed=2))
    assert store.add_image("new", str(first), {}) == "new"
    assert store.add_image("new", str(first), {}) == "new"
    with pytest.raises(StaleError, match="'new' exists already with other content"):
        store.add_image("new", str(other), {})
    assert (store.root / "new.nii.gz").read_bytes() == first.read_bytes()


def test_unknown_kind_of_upload_is_refused(store: CaseDatastore, tmp_path: Path) -> None:
    (tmp_path / "a.exe").write_bytes(b"x")
    with pytest.raises(UnsupportedKindError, match="allowed are"):
        store.add_image("a", str(tmp_path / "a.exe"), {})


def test_generated_case_is_never_proposed(store: CaseDatastore, studies: Path, build: Any) -> None:
    files = {name: studies / "plain" / f"plain_{name}.nii.gz" for name in build.sequences}
    store.add_case("made", files, None, {"synthetic": {"seed": 3}})
    assert "made" in store.list_images()
    assert store.is_synthetic("made")
    assert "made" not in store.get_unlabeled_images()
    drawn = {RandomStrategy()({"strategy": "random"}, store)["id"] for _ in range(40)}  # type: ignore[index]
    assert drawn == {"plain", "stacked"}
    assert CaseDatastore(studies).is_synthetic("made")
    with pytest.raises(StaleError, match="exists already"):
        store.add_case("made", files, None, {})


def test_next_case_is_found_when_all_were_served_this_second(store: CaseDatastore) -> None:
    now = int(time.time())
    for name in ("plain", "stacked"):
        store.update_image_info(name, {"strategy": {"random": {"ts": now + 5, "client_id": "a"}}})
    chosen = RandomStrategy()({"strategy": "random"}, store)
    assert chosen is not None
    assert chosen["id"] in ("plain", "stacked")


def test_random_strategy_prefers_what_was_not_served_lately(store: CaseDatastore) -> None:
    store.update_image_info("plain", {"strategy": {"random": {"ts": int(time.time())}}})
    drawn = [RandomStrategy()({"strategy": "random"}, store)["id"] for _ in range(30)]  # type: ignore[index]
    assert drawn == ["stacked"] * 30


def test_removed_case_takes_its_labels_along(store: CaseDatastore, build: Any, tmp_path: Path) -> None:
    head = build.head(seed=1)
    store.save_label("plain", str(build.nifti(tmp_path / "l.nii.gz", head.labels, head.affine)), "final", {})
    store.remove_image("plain")
    assert not (store.root / "plain").exists()
    assert not (store.root / "labels" / "final" / "plain.nii.gz").exists()
    assert open_now(store).list_images() == ["labelled", "stacked"]


# ---- the index -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", ["", "{", '{"name": "x"', "[]", "null", '{"objects": 3}', "\x00\x01", '{"name": 1}']
)
def test_broken_index_is_put_aside_and_rebuilt(store: CaseDatastore, studies: Path, content: str) -> None:
    index = studies / "datastore_v2.json"
    index.write_text(content)
    rebuilt = CaseDatastore(studies)
    assert rebuilt.list_images() == ["labelled", "plain", "stacked"]
    assert rebuilt.get_labeled_images() == ["labelled"]
    assert set(json.loads(index.read_text())["objects"]) == {"labelled", "plain", "stacked"}
    assert [path.read_text() for path in studies.glob("datastore_v2.broken-*")] == [content]


def test_index_truncated_while_the_server_runs_loses_no_case(store: CaseDatastore, studies: Path) -> None:
    index = studies / "datastore_v2.json"
    index.write_text(index.read_text()[:50])
    store.update_image_info("plain", {"note": "kept"})
    stored = json.loads(index.read_text())["objects"]
    assert set(stored) == {"labelled", "plain", "stacked"}
    assert stored["plain"]["image"]["info"]["note"] == "kept"


def test_infos_without_json_values_are_stored_as_null(store: CaseDatastore) -> None:
    store.update_image_info("plain", {"dice": float("nan"), "deep": [{"x": float("inf")}], "ok": 0.5})
    info = store.get_image_info("plain")
    assert (info["dice"], info["deep"], info["ok"]) == (None, [{"x": None}], 0.5)
    json.dumps(store.json(), allow_nan=False)


def test_read_only_store_writes_nothing(store: CaseDatastore, studies: Path, build: Any) -> None:
    index = (studies / "datastore_v2.json").read_bytes()
    reader = CaseDatastore(studies, read_only=True)
    build.case(studies, "late", build.head())
    assert "late" in open_now(reader).list_images()
    with pytest.raises(InvalidValueError, match="may only read"):
        reader.update_image_info("plain", {"a": 1})
    assert (studies / "datastore_v2.json").read_bytes() == index


def test_refused_change_leaves_the_store_usable(store: CaseDatastore, build: Any, tmp_path: Path) -> None:
    bad = build.nifti(tmp_path / "l.nii.gz", np.full((4, 4, 4), 9, np.uint8), np.eye(4))
    for _ in range(2):
        with pytest.raises(InvalidValueError, match="another grid"):
            store.save_label("plain", str(bad), "final", {})
    store.update_image_info("plain", {"still": "works"})
    assert store.get_image_info("plain")["still"] == "works"


def test_two_stores_lose_nothing_of_each_other(studies: Path, build: Any) -> None:
    first, second = CaseDatastore(studies), CaseDatastore(studies)
    first.update_image_info("plain", {"from_first": 1})
    build.case(studies, "late", build.head())
    open_now(second).list_images()  # finds the new case and writes the index
    second.update_image_info("plain", {"from_second": 2})
    info = CaseDatastore(studies).get_image_info("plain")
    assert (info["from_first"], info["from_second"]) == (1, 2)


def _write_infos(studies: Path, who: str, count: int) -> None:
    store = CaseDatastore(studies)
    for number in range(count):
        store.update_image_info("plain", {f"{who}_{number}": number})


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
def test_two_processes_that_update_at_once_lose_nothing(studies: Path) -> None:
    CaseDatastore(studies)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_infos, args=(studies, who, 15)) for who in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    info = CaseDatastore(studies).get_image_info("plain")
    assert {f"{who}_{n}" for who in "ab" for n in range(15)} <= set(info)


def _write_for_ever(studies: Path) -> None:
    store = CaseDatastore(studies)
    number = 0
    while True:
        number += 1
        store.update_image_info("plain", {"count": number, "padding": "x" * 20_000})


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork and SIGKILL")
def test_killed_writer_leaves_a_readable_index(studies: Path) -> None:
    index = studies / "datastore_v2.json"
    CaseDatastore(studies)
    generator = np.random.default_rng(0)
    seen = 0
    for _ in range(10):
        writer = multiprocessing.get_context("fork").Process(target=_write_for_ever, args=(studies,))
        writer.start()
        time.sleep(0.1 + float(generator.uniform(0, 0.05)))
        os.kill(writer.pid, signal.SIGKILL)  # type: ignore[arg-type]
        writer.join()
        stored = json.loads(index.read_text())["objects"]
        assert set(stored) == {"labelled", "plain", "stacked"}
        count = stored["plain"]["image"]["info"].get("count", 0)
        seen = max(seen, count)
    assert seen > 0, "no writer got as far as writing"
    assert list(studies.glob("datastore_v2.broken*")) == []
    CaseDatastore(studies).update_image_info("plain", {"after": True})


def test_a_read_only_folder_is_named_at_the_start(studies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(studies.rglob("*"))
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != studies)  # as on a read-only file system
    with pytest.raises(InvalidValueError, match="studies: the folder 'studies' is read-only"):
        CaseDatastore(studies)
    assert sorted(studies.rglob("*")) == before


# ---- synthetic without a mark --------------------------------------------------------------------------


@pytest.fixture
def without_header(tmp_path: Path, build: Any) -> Any:
    """A generated FLAIR, its header taken away and turned, as NRRD."""
    import SimpleITK as sitk  # noqa: PLC0415 - slow

    def make(seed: int) -> Path:
        array = build.head(seed=seed).sequences[0]
        generated_here().remember([array], SyntheticMark("tumor_case_synthesis", "1", seed))
        image = build.nifti(tmp_path / "g.nii.gz", array, np.diag([1.0, 2.0, 3.0, 1.0]))
        target = tmp_path / f"bare{seed}.nrrd"
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(image)), "PSR"), str(target))
        assert not is_marked_synthetic(target)
        return target

    return make


def test_an_uploaded_image_is_known_by_its_voxels(store: CaseDatastore, without_header: Any) -> None:
    store.add_image("real_looking", str(without_header(501)), {})
    assert store.is_synthetic("real_looking")
    assert "real_looking" not in store.get_unlabeled_images()
    assert CaseDatastore(store.root).is_synthetic("real_looking")
    assert store.get_image_info("real_looking")["synthetic"]["seed"] == 501


def test_an_image_put_into_the_folder_is_found_out_and_stays_so(
    store: CaseDatastore, studies: Path, without_header: Any
) -> None:
    (studies / "byhand.nrrd").write_bytes(without_header(502).read_bytes())
    store.refresh()
    assert not store.is_synthetic("byhand"), "nobody has read it yet"
    assert store.find_out_synthetic("byhand")
    assert "byhand" not in store.get_unlabeled_images()
    assert CaseDatastore(studies).is_synthetic("byhand")
    assert not any(store.find_out_synthetic(name) for name in ("plain", "labelled", "stacked"))


@pytest.mark.parametrize("sequence", ["t1", "t1ce", "t2"])
def test_a_mark_on_any_sequence_counts(store: CaseDatastore, studies: Path, sequence: str) -> None:
    path = studies / "plain" / f"plain_{sequence}.nii.gz"
    image: Any = nib.load(path)
    mark_synthetic(image, SyntheticMark("g", "1", 1))
    nib.save(image, path)
    assert CaseDatastore(studies).is_synthetic("plain")
