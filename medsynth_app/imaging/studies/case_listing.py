"""What a case is: the one place that says it, for the server, the commands and the trainings.

Directly under the root lie case folders and single files; a single file is a 4-D image with all four sequences, or
one 3-D or 2-D image. Case folders may lie deeper, in folders that sort them (HGG and LGG, BIDS' subject, session and
``anat``, nnU-Net's and MSD's ``imagesTr``). Names alone are looked at, so that thousands take a second. What looks
like an image and is no case is passed over and named; it never stops the rest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from medsynth_app.imaging.studies.case_names import case_name
from medsynth_app.imaging.studies.file_groups import (
    FileGroup,
    cases_of,
    channel_order,
    group_files,
    has_channels,
)
from medsynth_app.imaging.studies.file_roles import LABEL, file_role, image_stem
from medsynth_app.imaging.studies.folder_entries import (
    PICTURE_ENDINGS,
    FolderEntries,
    read_folder,
    shown_name,
)

RESERVED_NAMES = ("labels", "logs", "model")
IMAGE_FOLDERS = {"imagesTr": "labelsTr", "imagesTs": "labelsTs", "imagesVal": "labelsVal"}
"""Folders of MSD and nnU-Net in which every image is a case, and where the labels of the same names lie."""
OTHER_FOLDERS = (*IMAGE_FOLDERS.values(), "derivatives", "sourcedata")
"""Folders of those layouts and of BIDS in which no cases are looked for."""
DEEPEST = 4
"""Levels below the root on which case folders are looked for: ``DATASET/sub-01/ses-1/anat``."""


@dataclass(frozen=True)
class Study:
    """A case by its place on disk; its files are looked up only when it is opened.

    Attributes:
        name: case name, matches ``CASE_NAME_PATTERN``.
        path: its folder or its single file.
        is_folder: which of the two.
        stem: what its files' names begin with where the folder holds other cases too; None = the folder is its own.
        has_label: whether a label map came with it.
    """

    name: str
    path: Path
    is_folder: bool
    stem: str | None = None
    has_label: bool = field(default=False, compare=False)

    def place(self, root: Path) -> str:
        """Where it lies below the studies folder, whatever the image's ending is."""
        path = self.path if self.is_folder else self.path.with_name(image_stem(self.path.name))
        place = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        return shown_name(place if self.stem is None else f"{place}/{self.stem}")


@dataclass(frozen=True)
class StudyListing:
    """A studies folder as it was looked at.

    Attributes:
        studies: case name -> case, sorted by name.
        left_out: what looks like a case or a part of one and cannot be used: its place below the folder -> why.
        times: every folder that was looked into -> when it was changed last, ns; whoever sees others looks again.
    """

    studies: dict[str, Study] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    times: dict[Path, int] = field(default_factory=dict)


def list_studies(root: Path) -> StudyListing:
    """All cases of a studies folder.

    Args:
        root: an existing folder.

    Raises:
        OSError: the folder itself is gone or may not be read; what is wrong below it is in ``left_out``.
    """
    search = _Search(root)
    search.look_into_root()
    studies = search.unique()
    return StudyListing(dict(sorted(studies.items())), dict(sorted(search.left_out.items())), search.times)


class _Search:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.left_out: dict[str, str] = {}
        self.times: dict[Path, int] = {}
        self._found: list[tuple[int, Study]] = []

    def look_into_root(self) -> None:
        entries = read_folder(self.root)
        self.times[self.root] = entries.time_ns
        self._note_odd(entries, "")
        for name, path in entries.files.items():
            if file_role(name).kind != LABEL:
                self._add(0, Study(case_name(image_stem(name)), path, False))
        # Their labels are read by the commands, see ``find_cases``.
        self._explain(group_files(entries.files, _order(self.root, entries)), "")
        for name, path in entries.folders.items():
            if name not in RESERVED_NAMES and name not in OTHER_FOLDERS and not _leads_back(path):
                self._look_into(path, name, 1)

    def _look_into(self, folder: Path, place: str, depth: int) -> bool:
        """Whether cases were found in a folder or below it, or what keeps them away was named."""
        try:
            entries = read_folder(folder)
        except FileNotFoundError:
            return True  # removed since its name was read: no case, and nothing to tell
        except OSError as error:
            self.left_out[place] = f"cannot be read: {error.strerror}"
            return True
        self.times[folder] = entries.time_ns
        self._note_odd(entries, f"{place}/")
        groups = group_files(entries.files, _order(folder, entries), entries.odd)
        cases = cases_of(groups, folder.name)
        if cases:
            self._add_cases(folder, place, depth, cases, groups)
        elif folder.name in IMAGE_FOLDERS and self._add_files(folder, place, depth, entries):
            return True
        found = bool(cases)
        if not cases and depth < DEEPEST:
            for name, path in entries.folders.items():
                if name not in OTHER_FOLDERS and not _leads_back(path):
                    found |= self._look_into(path, f"{place}/{name}", depth + 1)
        if not found and entries.files:
            self.left_out[place] = _unknown(groups, entries)
            return True
        if not found and entries.dicom:
            self.left_out[place] = _dicom(entries)
            return True
        return found or bool(entries.odd)

    def _add_cases(
        self, folder: Path, place: str, depth: int, cases: dict[str, FileGroup], groups: dict[str, FileGroup]
    ) -> None:
        alone = len(cases) == 1 and folder.name not in IMAGE_FOLDERS
        beside = self._labels_beside(folder)
        for stem, group in cases.items():
            if depth == 1 and alone:
                name = case_name(folder.name)
            elif stem and (folder.name in IMAGE_FOLDERS or folder.name in stem or stem.startswith("sub-")):
                name = case_name(stem)
            else:
                name = case_name(place if alone else f"{place}/{stem}")
            if group.sequences:
                has_label = group.label is not None or stem in beside
                self._add(depth - 1 if alone else depth, Study(name, folder, True, None if alone else stem, has_label))
            else:
                self.left_out[place if alone else f"{place}/{stem}"] = _words(group)
        self._explain({"" if alone else s: g for s, g in cases.items() if g.sequences}, place)
        labels = {label for label in (case.label for case in cases.values()) if label}
        for stem, group in groups.items():
            if stem not in cases and group.label is not None and group.label not in labels:
                self.left_out[f"{place}/{group.label}"] = "a label map whose name fits no case of its folder"

    def _add_files(self, folder: Path, place: str, depth: int, entries: FolderEntries) -> bool:
        """Single files of a folder that holds nothing but cases."""
        if not entries.files or has_channels(entries):
            return False
        beside = self._labels_beside(folder)
        for name, path in entries.files.items():
            stem = image_stem(name)
            if name.lower().endswith(PICTURE_ENDINGS):
                self.left_out[f"{place}/{name}"] = "a picture among volumes"
            else:
                self._add(depth, Study(case_name(stem), path, False, has_label=stem in beside))
        return True

    def _labels_beside(self, folder: Path) -> set[str]:
        """Stems of the label maps for an image folder of MSD or nnU-Net."""
        other = folder.parent / IMAGE_FOLDERS.get(folder.name, "")
        if folder.name not in IMAGE_FOLDERS or not other.is_dir():
            return set()
        entries = read_folder(other)
        self.times[other] = entries.time_ns
        stems = Counter(image_stem(name) for name in entries.files if not name.lower().endswith(PICTURE_ENDINGS))
        return {stem for stem, count in stems.items() if count == 1}

    def _explain(self, groups: dict[str, FileGroup], place: str) -> None:
        for stem, group in groups.items():
            if group.problems:
                self.left_out["/".join(part for part in (place, stem) if part) or "."] = _words(group)

    def _note_odd(self, entries: FolderEntries, place: str) -> None:
        self.left_out.update({f"{place}{name}": reason for name, reason in entries.odd.items()})

    def _add(self, level: int, study: Study) -> None:
        self._found.append((2 * level + (0 if study.is_folder else 1), study))

    def unique(self) -> dict[str, Study]:
        """The cases whose name is theirs alone; of several the one that lies highest, a folder before a file."""
        ranked: dict[str, list[tuple[int, Study]]] = {}
        for rank, study in self._found:
            ranked.setdefault(study.name, []).append((rank, study))
        studies = {}
        for name, found in ranked.items():
            found.sort(key=lambda row: row[0])
            first = [study for rank, study in found if rank == found[0][0]]
            if len(first) == 1:
                studies[name] = first[0]
            for _, study in found[1:] if len(first) == 1 else found:
                others = [self._file_place(s) for _, s in found if s is not study]
                self.left_out[self._file_place(study)] = f"has the name {name!r} as {', '.join(others)} has; rename one"
        return studies

    def _file_place(self, study: Study) -> str:
        place = shown_name(study.path.relative_to(self.root).as_posix())
        return place if study.stem is None else f"{place}/{study.stem}"


def _leads_back(folder: Path) -> bool:
    """Whether a linked folder is one of those that it lies in."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _order(folder: Path, entries: FolderEntries) -> dict[int, str] | None:
    order = channel_order(folder) if has_channels(entries) else None
    return None if order is None else dict(order)


def _words(group: FileGroup) -> str:
    return "; ".join(f"{kind}: {reason}" for kind, reason in sorted(group.problems.items()))


def _dicom(entries: FolderEntries) -> str:
    return (
        f"holds DICOM files ({', '.join(entries.dicom[:3])}), which a studies folder does not take: send them to a "
        "PACS and name its DICOMweb address as studies, or make a case of them (medsynth prepare)"
    )


def _unknown(groups: dict[str, FileGroup], entries: FolderEntries) -> str:
    some = ", ".join(list(entries.files)[:3])
    if any(group.label for group in groups.values()):
        return f"holds a label map but no image whose name tells its sequence: {some}"
    return (
        f"holds images, but no name tells a sequence: {some}; expected are names that end in _flair, _t1, _t1ce, _t2, "
        "or -t2f, -t1n, -t1c, -t2w, or in _0000 to _0003"
    )
