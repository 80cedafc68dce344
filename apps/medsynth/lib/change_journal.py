"""A change of several files that happens whole or not at all, whenever the process dies and however full the disk is.

Before anything is touched, what is there is set aside (hard links, which need no room) and a note says how to put it
back. The change is made; its last step is the line in the audit, and that line is what makes it count. When a change
fails, or a note is found that a killed process left, everything is put back by renaming and deleting alone, which a
full disk allows; unless the audit has the line, then the change stands.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsynth_app.files import whole_file

logger = logging.getLogger(__name__)

NOTE = "note.json"
WITHOUT_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""How a file system says that it cannot: then a copy is set aside."""


@dataclass(frozen=True)
class _Touched:
    """One path that a change writes, replaces or takes away.

    Attributes:
        path: below the root.
        aside: name of what was there before, inside the change's own folder; "" where nothing was.
    """

    path: Path
    aside: str


class Change:
    """A change under way; made by ``ChangeJournal``.

    Attributes:
        identifier: what its line in the audit carries.
    """

    def __init__(self, folder: Path, touched: list[_Touched]) -> None:
        self.folder = folder
        self.identifier = folder.name
        self._touched = touched

    def take_away(self, path: Path) -> None:
        """Remove a file or folder so that it can come back; for a path that was announced."""
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return
        aside = next(each.aside for each in self._touched if each.path == path)
        os.rename(path, self.folder / aside)

    def undo(self) -> None:
        """Put everything back; may be repeated after it was interrupted."""
        for each in self._touched:
            aside = self.folder / each.aside
            if each.aside:
                if os.path.lexists(aside):
                    each.path.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(aside, each.path)
                # else an earlier try, or a folder that was not taken away yet
            elif each.path.is_dir() and not each.path.is_symlink():
                shutil.rmtree(each.path)
            else:
                each.path.unlink(missing_ok=True)
        self.forget()

    def forget(self) -> None:
        """The note first: without it the rest means nothing."""
        (self.folder / NOTE).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class ChangeJournal:
    """Notes of the changes under way. The caller sees to it that there is one at a time.

    Args:
        root: what is changed lies below it.
        folder: where notes and what is set aside are kept, on the same file system.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder

    @contextmanager
    def change(self, paths: Iterable[Path]) -> Iterator[Change]:
        """Everything inside happens, or nothing does.

        Args:
            paths: all that is going to be written, replaced or removed. Folders that are there are not copied: they
                can be removed with ``Change.take_away`` only.
        """
        change = self._begin(list(dict.fromkeys(paths)))
        try:
            yield change
        except BaseException:
            try:
                change.undo()
            except OSError:
                logger.exception("a change that failed is undone when something changes next")
            raise
        try:
            change.forget()
        except OSError as error:
            # The change stands: the audit has its line, which the next look at the notes finds.
            logger.warning("the note of a finished change stays: %s", type(error).__name__)

    def recover(self, is_noted: Callable[[str], bool]) -> int:
        """Finish or undo what a process that died left; answers how many changes were undone.

        Args:
            is_noted: whether the audit has the line of a change.
        """
        undone = 0
        for folder in self.left():
            change = self._read(folder)
            if change is None or is_noted(change.identifier):
                Change(folder, []).forget()
                continue
            change.undo()
            undone += 1
            logger.warning("a change that was broken off is undone")
        return undone

    def left(self) -> list[Path]:
        """Folders of changes that are not finished; under the caller's lock there is none but of a dead process."""
        try:
            return sorted(Path(entry.path) for entry in os.scandir(self.folder) if entry.is_dir())
        except FileNotFoundError:
            return []

    def _begin(self, paths: list[Path]) -> Change:
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir(parents=True, mode=0o700)
        try:
            touched = [self._set_aside(path, folder, str(number)) for number, path in enumerate(paths)]
            rows = [{"path": each.path.relative_to(self.root).as_posix(), "aside": each.aside} for each in touched]
            with whole_file(folder / NOTE, durable=True) as beside:
                beside.write_text(json.dumps(rows), encoding="utf-8")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Change(folder, touched)

    @staticmethod
    def _set_aside(path: Path, folder: Path, name: str) -> _Touched:
        if not os.path.lexists(path):
            return _Touched(path, "")
        if path.is_symlink() or not path.is_dir():
            try:
                os.link(path, folder / name, follow_symlinks=False)
            except OSError as error:
                if error.errno not in WITHOUT_HARD_LINKS:
                    raise
                shutil.copy2(path, folder / name, follow_symlinks=False)
        return _Touched(path, name)

    def _read(self, folder: Path) -> Change | None:
        """The change of a note; None where there is no note: nothing was touched yet, or all was put back."""
        try:
            rows: Any = json.loads((folder / NOTE).read_text(encoding="utf-8"))
            return Change(folder, [_Touched(self.root / str(row["path"]), str(row["aside"])) for row in rows])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            logger.error("the note of a change cannot be read; the change stays as it is")
            return None
