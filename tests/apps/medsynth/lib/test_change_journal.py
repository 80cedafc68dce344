"""Whatever fails at whatever write, and whenever the process is killed: a change happened whole, or not at all.

Each change is made with a fault at its n-th write, for every n that there is (a kill in a process of its own); then the
folder is opened again as a server does at its start.
"""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lib.audited_datastore import AuditedCases
from lib.change_journal import ChangeJournal

from medsynth_app.audit import broken_lines
from medsynth_app.imaging.reading import read_volume

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs fork")

NEEDS_ROOM = ("open", "os.mkdir", "os.link", "fsync", "write")
WRITES = (*NEEDS_ROOM, "os.rename", "os.remove", "os.rmdir")
KILLED = 9
MOST_WRITES = 200
INFO = {"client_id": "ann"}


@dataclass
class Faults:
    """What goes wrong in this process.

    Attributes:
        root: only writes below it count.
        mode: ``kill``: the process dies at write ``at``; ``full``: from ``at`` on, nothing that needs room works;
            ``once``: write ``at`` alone fails.
        at: 1 for the first.
    """

    root: Path
    mode: str
    at: int
    seen: int = 0

    def met(self, event: str) -> None:
        if (self.mode == "full" and event not in NEEDS_ROOM):
            return
        self.seen += 1
        if self.mode == "kill" and self.seen == self.at:
            os._exit(KILLED)
        if (self.mode == "full" and self.seen >= self.at) or (self.mode == "once" and self.seen == self.at):
            raise OSError(errno.ENOSPC, "no room")


_present: list[Faults] = []
"""The one that is armed; the hook itself stays for good."""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _present or event not in WRITES:
        return
    if event == "open":
        path, mode, flags = arguments
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or any(c in (mode or "") for c in "wax+")
        if not writes or not str(path).startswith(str(_present[0].root)) or str(path).endswith(".lock"):
            return
    _present[0].met(event)


@pytest.fixture(scope="module", autouse=True)
def _hooked() -> Iterator[None]:
    sys.addaudithook(_hook)
    fsync, write = os.fsync, os.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: (_hook("fsync", ()), fsync(handle))[1])
        patch.setattr(os, "write", lambda handle, content: (_hook("write", ()), write(handle, content))[1])
        yield


def state_of(store: AuditedCases, line: str) -> dict[str, Any]:
    """All that a change changes, as a client sees it."""
    store.refresh()
    found: dict[str, Any] = {"cases": store.list_images(), "lines": 0}
    for case in found["cases"]:
        tags = sorted(store._datastore.objects[case].labels)
        found[case] = {tag: first_voxel(store.label_file(case, tag)) for tag in tags}
        infos = [store.get_label_info(case, tag) for tag in tags]
        found[f"{case} infos"] = [(i.get("version"), i.get("client_id"), i.get("note")) for i in infos]
        found[f"{case} versions"] = [(v.number, v.author, v.deleted) for v in store.label_versions(case)]
    if store.audit.path.is_file():
        found["lines"] = sum(row["action"] == line for row in store.audit.last(1000))
        assert broken_lines(store.audit.path) == []
    return found


def first_voxel(path: Path) -> int:
    return int(read_volume(path, "label").array[0, 0, 0, 0])


Change = Callable[[AuditedCases], object]


def made(root: Path, change: Change, line: str, mode: str, at: int) -> tuple[str, int, dict[str, Any] | None]:
    """``stored``, ``failed`` or ``killed``; how many writes were seen; what that server then says of the cases."""
    if mode != "kill":
        return _made(root, change, line, mode, at)
    child = multiprocessing.get_context("fork").Process(target=_made, args=(root, change, line, mode, at))
    child.start()
    child.join()
    assert child.exitcode in (0, KILLED)
    return ("killed", at, None) if child.exitcode == KILLED else ("stored", 0, None)


def _made(root: Path, change: Change, line: str, mode: str, at: int) -> tuple[str, int, dict[str, Any]]:
    store = AuditedCases(root)
    faults = Faults(root, mode, at)
    _present.append(faults)
    try:
        change(store)
        result = "stored"
    except OSError as error:
        result = "failed" if error.errno == errno.ENOSPC else repr(error)
    finally:
        _present.clear()
    return result, faults.seen, state_of(store, line)


@pytest.fixture
def studies(tmp_path: Path, build: Any) -> Path:
    """A case without a label, one with a submitted label, one with a label put there by hand."""
    folder, head = tmp_path / "studies", build.head(seed=1)
    for name in ("new", "submitted", "byhand"):
        build.case(folder, name, head)
    for value in (1, 2, 3):
        labels = head.labels.copy()
        labels[0, 0, 0] = value
        build.nifti(tmp_path / f"{value}.nii.gz", labels, head.affine)
    store = AuditedCases(folder)
    store.save_label("submitted", str(tmp_path / "1.nii.gz"), "final", INFO)
    shutil.copyfile(tmp_path / "1.nii.gz", folder / "labels" / "final" / "byhand.nii.gz")
    store.refresh()
    return folder


def submit(case: str, tag: str = "final") -> Callable[[Path], Change]:
    return lambda files: lambda store: store.save_label(case, str(files / "2.nii.gz"), tag, {"client_id": "bob"})


def generate(files: Path) -> Change:
    image = files / "studies" / "new" / "new_flair.nii.gz"
    return lambda store: store.add_case("made", {"flair": image}, files / "2.nii.gz", {"task": "t"})


CHANGES: dict[str, tuple[Callable[[Path], Change], str]] = {
    "first label": (submit("new"), "label.stored"),
    "another label": (submit("submitted"), "label.stored"),
    "label over one put there by hand": (submit("byhand"), "label.stored"),
    "label of another tag": (submit("submitted", "original"), "label.stored"),
    "label described": (
        lambda files: lambda store: store.update_label_info("submitted", "final", {"note": "n"}), "label.described",
    ),
    "label removed": (lambda files: lambda store: store.remove_label("submitted", "final"), "label.removed"),
    "case uploaded": (
        lambda files: lambda store: store.add_image("up", str(files / "studies" / "new" / "new_flair.nii.gz"), {}),
        "case.stored",
    ),
    "case generated": (generate, "case.stored"),
    "case removed": (lambda files: lambda store: store.remove_image("submitted"), "case.removed"),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["kill", "full", "once"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_whole_or_not_there_whatever_fails(studies: Path, tmp_path: Path, name: str, mode: str) -> None:
    make, line = CHANGES[name]
    change = make(tmp_path)
    before = state_of(AuditedCases(studies), line)
    results, after = [], None
    for at in [MOST_WRITES, *range(1, MOST_WRITES)]:  # first without any fault: what it looks like afterwards
        root = tmp_path / f"run-{at}"
        shutil.copytree(studies, root)
        result, seen, live = made(root, change, line, mode, at)
        found = state_of(AuditedCases(root), line)
        shutil.rmtree(root)
        if after is None:
            assert (result, live) == ("stored", None if mode == "kill" else found)
            after = found
            assert after["lines"] == before["lines"] + 1
            continue
        if seen < at:
            break
        results.append(result)
        assert found in (before, after), f"between, after write {at}"
        if result != "killed":
            assert found == live == (after if result == "stored" else before), f"said {result} at write {at}"
    assert len(results) >= 8, "hardly anything was written"
    assert ("killed" if mode == "kill" else "failed") in results
    if mode == "full":
        assert results.count("stored") <= 3, "only what comes after the line in the audit may fail unnoticed"


@pytest.mark.parametrize("name", ["another label", "case removed"])
def test_a_start_on_a_disk_that_is_still_full_undoes_as_well(studies: Path, tmp_path: Path, name: str) -> None:
    make, line = CHANGES[name]
    before = state_of(AuditedCases(studies), line)
    for at in range(1, MOST_WRITES):
        root = tmp_path / f"run-{at}"
        shutil.copytree(studies, root)
        result, _, _ = made(root, make(tmp_path), line, "kill", at)
        if result != "killed":
            break
        result, _, live = made(root, lambda store: store.refresh(), line, "full", 1)
        assert live is not None
        assert live == before or live["lines"] == before["lines"] + 1
        assert state_of(AuditedCases(root), line) == live
        shutil.rmtree(root)
    assert at > 8


def test_a_note_of_another_shape_costs_nothing(tmp_path: Path) -> None:
    journal = ChangeJournal(tmp_path, tmp_path / "changes")
    for number, content in enumerate(["", "{", "[1]", '[{"path": 1}]', json.dumps([])]):
        (tmp_path / "changes" / str(number)).mkdir(parents=True)
        (tmp_path / "changes" / str(number) / "note.json").write_text(content)
    journal.recover(lambda identifier: False)
    assert journal.left() == []


def test_a_file_system_without_hard_links_keeps_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuses)
    (tmp_path / "a").write_text("before")
    def fails() -> None:
        with ChangeJournal(tmp_path, tmp_path / "c").change([tmp_path / "a"]):
            (tmp_path / "a").write_text("after")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fails()
    assert (tmp_path / "a").read_text() == "before"
