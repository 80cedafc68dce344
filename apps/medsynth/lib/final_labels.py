"""Final labels as files: one that did not come through this server is checked like an upload.

A store of stock MONAI Label that was moved over holds other values, other grids, other kinds of files; a label may
also lie under a name that another case has by now. What fits is served, brought to MedSynth's values where it has
others; what does not is named and counts for nothing. Each file is looked at once, as long as it stays as it is.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medsynth_app.active_learning.label_versions import LabelVersions
from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.files import whole_file
from medsynth_app.imaging.formats.nifti_file import open_nifti
from medsynth_app.imaging.formats.nifti_grid import read_nifti_grid
from medsynth_app.imaging.labels import read_submitted_label, write_label
from medsynth_app.imaging.provenance.marking import mark_of_file
from medsynth_app.imaging.reading import NIFTI_ENDINGS, is_image_name, read_volume
from medsynth_app.imaging.studies.file_roles import image_stem
from medsynth_app.imaging.studies.folder_entries import FolderEntries, read_folder
from medsynth_app.imaging.studies.studies import Study, case_name, open_study
from medsynth_app.imaging.volume import Volume

logger = logging.getLogger(__name__)

LABEL_ENDING = ".nii.gz"
SECONDS_OF_CHECKS = 20.0
"""So long one look at the folder may take over the check of labels; those that are left wait for the next look."""


@dataclass(frozen=True)
class CheckedLabel:
    """What is known of a label file.

    Attributes:
        size: bytes.
        time_ns: when it was changed last.
        place: of the case that it was made for.
        reason: why it cannot be served; empty where it can.
        images_ns: when the case's images were changed last, where there is a reason: it may lie in them.
        is_converted: whether a copy with MedSynth's values is served in its place.
    """

    size: int
    time_ns: int
    place: str
    reason: str = ""
    images_ns: int = 0
    is_converted: bool = False


class FinalLabels:
    """The files of ``labels/final``.

    Args:
        root: the studies folder.
        own: the server's folder in it.
        read_only: nothing is written.
    """

    def __init__(self, root: Path, own: Path, read_only: bool) -> None:
        self.folder = root / "labels" / "final"
        self.left_out: dict[str, str] = {}
        self.waiting = 0
        self._root, self._own, self._read_only = root, own, read_only
        self._versions = LabelVersions(own / "versions")
        self._record = own / "final_labels.json"
        self._known = _read_record(self._record)
        self._served: dict[str, Path] = {}

    def look(self, studies: Mapping[str, Study]) -> dict[str, float]:
        """Case name -> when its final label was written, of those that can be served.

        Args:
            studies: all cases.
        """
        left_out: dict[str, str] = {}
        found: dict[str, float] = {}
        served: dict[str, Path] = {}
        entries = read_folder(self.folder) if self.folder.is_dir() else FolderEntries()
        # A file whose case is away keeps its record: another case of that name is not to get the label.
        known = {name: checked for name, checked in self._known.items() if name in entries.files}
        end, self.waiting = time.monotonic() + SECONDS_OF_CHECKS, 0
        for name, path in self._by_case(entries, studies, left_out).items():
            place = studies[name].place(self._root)
            try:
                checked = self._known_still(path, studies[name], studies)
                if checked is None and time.monotonic() > end:
                    self.waiting += 1
                    left_out[path.name] = "was not checked yet"
                    continue
                known[path.name] = checked = checked or self._checked(studies[name], path, studies)
                reason = checked.reason or ("" if checked.place == place else _of_another(checked.place, place))
                if reason:
                    left_out[path.name] = reason
                else:
                    found[name] = path.stat().st_mtime
                    served[name] = self._copy(name) if checked.is_converted else path
            except FileNotFoundError:
                continue  # removed since its name was read
        self.left_out = {f"labels/final/{name}": reason for name, reason in sorted(left_out.items())}
        self._served = served
        if known != self._known:
            self._known = known
            self._write_record()
        return found

    def is_of_another(self, study: Study) -> bool:
        """Whether the final label under a case's name was made for a case at another place."""
        known = self._known.get(f"{study.name}{LABEL_ENDING}")
        return known is not None and known.place != study.place(self._root)

    def file(self, name: str) -> Path:
        """The file that is served for a case: the label itself, or its copy with MedSynth's values."""
        return self._served.get(name, self.folder / f"{name}{LABEL_ENDING}")

    def files(self, name: str) -> list[Path]:
        """Everything that holds a case's final label, whatever it is called."""
        return [*self._by_case_name(name), self._copy(name)]

    def forget(self, name: str) -> None:
        """The case's final label is gone."""
        self._served.pop(name, None)

    def _by_case_name(self, name: str) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in read_folder(self.folder).files.values() if _case_of(path.name, {name}) == name]

    def _by_case(
        self, entries: FolderEntries, studies: Mapping[str, Study], left_out: dict[str, str]
    ) -> dict[str, Path]:
        left_out.update(entries.odd)
        candidates: dict[str, list[Path]] = {}
        for file_name, path in entries.files.items():
            if is_image_name(file_name):
                case = _case_of(file_name, studies)
                if case is None:
                    left_out[file_name] = "belongs to no case of the studies"
                else:
                    candidates.setdefault(case, []).append(path)
        chosen = {}
        for case, paths in candidates.items():
            own = [path for path in paths if len(paths) > 1 and self._is_newest_version(case, path)]
            if own or len(paths) == 1:
                chosen[case] = (own or paths)[0]
            else:
                names = ", ".join(path.name for path in paths)
                left_out.update({path.name: f"several files could be the label of {case}: {names}" for path in paths})
        return chosen

    def _is_newest_version(self, name: str, path: Path) -> bool:
        """Whether the file is what a client submitted last, checked then."""
        if path.name != f"{name}{LABEL_ENDING}":
            return False
        newest = self._versions.versions(name)[-1:]
        if not newest or newest[0].deleted:
            return False
        try:
            return self._versions.file(name, newest[0].number).read_bytes() == path.read_bytes()
        except OSError:
            return False

    def _known_still(self, path: Path, study: Study, studies: Mapping[str, Study]) -> CheckedLabel | None:
        """What is known of a file that stayed as it was, or None."""
        known, facts = self._known.get(path.name), path.stat()
        if known is None or (known.size, known.time_ns) != (facts.st_size, facts.st_mtime_ns):
            return None
        return None if known.reason and known.images_ns != _images_ns(study, studies) else known

    def _checked(self, study: Study, path: Path, studies: Mapping[str, Study]) -> CheckedLabel:
        facts = path.stat()
        checked = CheckedLabel(facts.st_size, facts.st_mtime_ns, study.place(self._root))
        if self._is_newest_version(study.name, path):
            return checked
        try:
            return replace(checked, is_converted=self._check_content(study, path, studies))
        except MedSynthError as error:
            return replace(checked, reason=error.message, images_ns=_images_ns(study, studies))

    def _check_content(self, study: Study, path: Path, studies: Mapping[str, Study]) -> bool:
        """As for an upload; whether a copy had to be made. Raises as ``read_submitted_label``."""
        grid = _grid_of(_images(study, studies)[0], study.name)
        labels = read_submitted_label(path, grid, name="label")
        stored = read_volume(path, "label")
        same_grid = stored.spatial_shape == labels.shape and np.allclose(stored.affine, grid.affine, atol=1e-3)
        if path.name == f"{study.name}{LABEL_ENDING}" and same_grid and np.array_equal(stored.array[0], labels):
            return False
        if self._read_only:
            raise InvalidValueError("label: was not checked by the server yet")
        write_label(labels, grid.affine, self._copy(study.name), mark_of_file(path))
        return True

    def _copy(self, name: str) -> Path:
        return self._own / "labels" / f"{name}-final{LABEL_ENDING}"

    def _write_record(self) -> None:
        if self._read_only:
            return
        try:
            with whole_file(self._record) as beside:
                beside.write_text(json.dumps({name: asdict(c) for name, c in self._known.items()}), encoding="utf-8")
        except OSError as error:
            logger.warning("what is known of the final labels could not be kept: %s", error.strerror)


def _case_of(file_name: str, names: Any) -> str | None:
    """The case of a label file: named by the case, or like the file that became the case. None where both differ."""
    stem = image_stem(file_name)
    found = {name for name in (stem, case_name(stem)) if name in names}
    return found.pop() if len(found) == 1 else None


def _of_another(made_for: str, place: str) -> str:
    return f"was made for {made_for}, and the case of that name is {place} now; submit it again if it fits"


def _images(study: Study, studies: Mapping[str, Study]) -> list[Path]:
    """The files of a case's images; raises as ``open_study``."""
    case = open_study(study, studies)
    return [case.combined] if case.combined else list(case.sequences.values()) or [study.path]


def _images_ns(study: Study, studies: Mapping[str, Study]) -> int:
    try:
        return max(path.stat().st_mtime_ns for path in _images(study, studies))
    except (OSError, MedSynthError):
        return 0


def _grid_of(path: Path, name: str) -> Volume:
    """The grid of an image, without its voxels where the header tells it; raises as ``read_volume``."""
    if path.name.lower().endswith(NIFTI_ENDINGS):
        try:
            image: Any = open_nifti(path, name)
            affine = read_nifti_grid(path, name)
            affine = np.asarray(image.affine, dtype=float) if affine is None else affine
            return Volume(np.broadcast_to(np.uint8(0), (1, *image.shape[:3])), affine)
        except Exception:  # noqa: BLE001 - the reader says in words what is wrong with it
            logger.debug("header of %s cannot be read alone", name)
    return read_volume(path, name)


def _read_record(path: Path) -> dict[str, CheckedLabel]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): CheckedLabel(**row) for name, row in record.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError):
        logger.warning("what was known of the final labels cannot be read; they are checked again")
        return {}
