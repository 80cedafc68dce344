"""Every label that was submitted for a case, newest last: nothing that a reader drew is ever overwritten.

One folder a case, two files a version: ``0003.nii.gz`` and then ``0003.json``, which says who and when. A version
is there once its JSON file is; that it counts only together with the final label, the index and its line in the audit
is the datastore's business (``lib.change_journal``).
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medsynth_app.errors import NotFoundError
from medsynth_app.files import whole_file
from medsynth_app.imaging.labels import write_label
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.json_values import mended

logger = logging.getLogger(__name__)

LABEL_ENDING = ".nii.gz"
PROPOSAL_STEM = "proposal"


@dataclass(frozen=True)
class LabelVersion:
    """One submission.

    Attributes:
        number: 1 for the first.
        seconds: when, UNIX time.
        author: who, as far as the client said; may be empty.
        deleted: the reader took the label away; there is no file.
        info: what the client sent beside it.
    """

    number: int
    seconds: float
    author: str
    deleted: bool
    info: Mapping[str, Any]

    def shown(self) -> dict[str, Any]:
        """For a client."""
        return {
            "version": self.number,
            "ts": int(self.seconds),
            "author": self.author,
            "deleted": self.deleted,
            "model": str(self.info.get("model", "")),
        }


class LabelVersions:
    """The versions of all cases.

    Args:
        folder: one sub-folder a case; made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def versions(self, case: str) -> list[LabelVersion]:
        """All versions of a case, oldest first."""
        folder = self.folder / case
        names = sorted(path for path in folder.glob("*.json") if path.stem.isdigit()) if folder.is_dir() else []
        return [version for version in map(_read, names) if version is not None]

    def cases(self) -> Iterator[str]:
        """Names of the cases that have versions."""
        if self.folder.is_dir():
            yield from (entry.name for entry in os.scandir(self.folder) if entry.is_dir())

    def add(
        self,
        case: str,
        labels: np.ndarray,
        affine: np.ndarray,
        info: Mapping[str, Any],
        author: str,
        mark: SyntheticMark | None = None,
    ) -> LabelVersion:
        """Keep a label map, on the disk for good before this returns.

        Args:
            case: case name.
            labels: (X, Y, Z) uint8.
            affine: (4, 4) voxel -> RAS mm.
            info: JSON values.
            author: who.
            mark: of the case, where it is synthetic.
        """
        number = self._next(case)
        with whole_file(self._label(case, number), durable=True) as beside:
            write_label(labels, affine, beside, mark)
        return self._commit(case, LabelVersion(number, time.time(), author, False, dict(info)))

    def adopt(self, case: str, label: Path) -> None:
        """Keep a label file that came into the folder by hand and is about to be replaced."""
        newest = self.versions(case)
        if newest and not newest[-1].deleted:
            if self.file(case, newest[-1].number).read_bytes() == label.read_bytes():
                return
        number = self._next(case)
        with whole_file(self._label(case, number), durable=True) as beside:
            shutil.copyfile(label, beside)
        self._commit(case, LabelVersion(number, label.stat().st_mtime, "", False, {"origin": "file"}))

    def delete_newest(self, case: str) -> None:
        """Note that the label was taken away; the versions stay."""
        if self.versions(case):
            self._commit(case, LabelVersion(self._next(case), time.time(), "", True, {}))

    def coming(self, case: str, count: int) -> list[Path]:
        """The files that the next ``count`` versions of a case will have."""
        numbers = range(self._next(case), self._next(case) + count)
        return [path for n in numbers for path in (self._label(case, n), self._record(case, n))]

    def file(self, case: str, number: int) -> Path:
        """The label map of a version.

        Raises:
            NotFoundError: there is none; lists those that are there.
        """
        known = [version.number for version in self.versions(case) if not version.deleted]
        if number not in known:
            there = ", ".join(map(str, known)) or "none"
            raise NotFoundError(f"version: case {case!r} has no label version {number}, there are {there}")
        return self._label(case, number)

    def keep_proposal(self, case: str, proposal: Path, number: int) -> None:
        """Put the model's answer that a version corrects beside it."""
        ending = proposal.name[proposal.name.index(".") :]
        os.replace(proposal, self.folder / case / f"{number:04d}-{PROPOSAL_STEM}{ending}")

    def proposal(self, case: str, number: int) -> Path | None:
        """The model's answer that a version corrects, or None where the reader had none."""
        return next(iter((self.folder / case).glob(f"{number:04d}-{PROPOSAL_STEM}.*")), None)

    def _next(self, case: str) -> int:
        return max((version.number for version in self.versions(case)), default=0) + 1

    def _label(self, case: str, number: int) -> Path:
        return self.folder / case / f"{number:04d}{LABEL_ENDING}"

    def _record(self, case: str, number: int) -> Path:
        return self.folder / case / f"{number:04d}.json"

    def _commit(self, case: str, version: LabelVersion) -> LabelVersion:
        record = {
            "seconds": version.seconds, "author": version.author, "deleted": version.deleted,
            "info": dict(version.info),
        }  # fmt: skip
        with whole_file(self._record(case, version.number), durable=True) as beside:
            beside.write_text(json.dumps(record), encoding="utf-8")
        return version


def _read(path: Path) -> LabelVersion | None:
    try:
        record = mended(json.loads(path.read_text(encoding="utf-8")))
        return LabelVersion(
            int(path.stem), float(record["seconds"]), str(record["author"]), bool(record["deleted"]), record["info"]
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        logger.error("a label version cannot be read and is passed over")
        return None
