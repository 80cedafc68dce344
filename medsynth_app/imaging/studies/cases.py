"""Case folders: which file of a patient is which sequence.

A case is several files that show one head. Known layouts (see ``case_listing`` and ``file_roles``):
  CASE/CASE_flair.nii.gz, _t1, _t1ce, _t2 (+ _seg)         BraTS 2018-2021, also in HGG and LGG
  CASE/CASE-t2f.nii.gz, -t1n, -t1c, -t2w (+ -seg)          BraTS 2023 on
  CASE/flair.nii.gz, T1.nii.gz, T1GD.nii.gz, T2.nii.gz     names without the case's
  sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz, _FLAIR ...    BIDS; T1ce is _ce-AGENT_T1w
  imagesTr/CASE_0000.nii.gz to _0003 (+ labelsTr/CASE)     nnU-Net
  CASE.nii.gz, 4-D with the channels FLAIR, T1, T1ce, T2   Medical Segmentation Decathlon, also in imagesTr
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.imaging.formats.nifti_file import open_nifti
from medsynth_app.imaging.reading import (
    IMAGE_ENDINGS,
    NIFTI_ENDINGS,
    is_image_name,
    read_channels,
    read_volume,
)
from medsynth_app.imaging.studies.case_listing import IMAGE_FOLDERS, Study, list_studies
from medsynth_app.imaging.studies.case_names import case_name
from medsynth_app.imaging.studies.file_groups import cases_of, channel_order, group_files, has_channels
from medsynth_app.imaging.studies.file_roles import file_role, image_stem, sequence_of
from medsynth_app.imaging.studies.folder_entries import ARCHIVER_FOLDER, is_regular, read_folder
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import Modality

__all__ = [
    "CaseFiles", "FoundCases", "case_in_folder", "channel_count", "find_cases", "image_stem", "label_beside",
    "look_for_cases", "sequence_of",
]  # fmt: skip

_CHANNEL_ORDER = [m.value for m in Modality]


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case.

    Attributes:
        name: case name.
        sequences: modality -> file with that sequence alone.
        combined: one 4-D file with all four sequences, or None.
        label: label map, or None.
        notes: what was done to the files that the user should know (chosen or interpolated series).
        problems: modality or ``label`` -> why there is no file for it, where that is known.
        origins: modality -> what its file was made from and why it is that sequence, where a file's name does not
            tell (DICOM series).
    """

    name: str
    sequences: dict[str, Path] = field(default_factory=dict)
    combined: Path | None = None
    label: Path | None = None
    notes: tuple[str, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)
    origins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def series_used(self, modalities: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
        """Modality -> the series or file that ``read`` takes for it, and ``why``; missing sequences are not in it.

        Args:
            modalities: which ones; all four by default.
        """
        wanted = _CHANNEL_ORDER if modalities is None else list(modalities)
        absent = self.missing(wanted)
        return {modality: self._origin(modality) for modality in wanted if modality not in absent}

    def _origin(self, modality: str) -> dict[str, Any]:
        if modality in self.origins:
            return dict(self.origins[modality])
        if self.combined is not None:
            place = _CHANNEL_ORDER.index(modality) + 1
            why = f"channel {place} of {len(_CHANNEL_ORDER)} ({', '.join(_CHANNEL_ORDER)})"
            return {"file": self.combined.name, "why": why}
        return {"file": self.sequences[modality].name, "why": "name of the file"}

    def missing(self, modalities: Sequence[str]) -> list[str]:
        """The wanted sequences that have no file."""
        if self.combined is not None:
            return [m for m in modalities if m not in _CHANNEL_ORDER]
        return [m for m in modalities if m not in self.sequences]

    def read(self, modalities: Sequence[str] | None = None, *, blanks: int = 0) -> Volume:
        """The wanted sequences as channels, (C, X, Y, Z) float32.

        Args:
            modalities: which ones, in this order; all four by default.
            blanks: how many may be missing; those are 0 everywhere.

        Raises:
            InvalidValueError: more sequences are missing (named), or the files do not fit together.
        """
        modalities = [m.value for m in Modality] if modalities is None else list(modalities)
        missing = self.missing(modalities)
        if len(missing) > min(blanks, len(modalities) - 1):
            raise InvalidValueError(
                f"{self.name}: missing sequence {', '.join(missing)}; "
                f"needed are {', '.join(modalities)}, found {', '.join(self.sequences) or 'none'}"
                + "".join(f"; {m}: {self.problems[m]}" for m in missing if m in self.problems),
                code="missing_sequence",
            )
        if self.combined is not None:
            return _read_combined(self.combined, self.name, modalities)
        found = [m for m in modalities if m not in missing]
        volume = read_channels([self.sequences[m] for m in found], [f"{self.name} {m}" for m in found])
        if not missing:
            return volume
        array = np.zeros((len(modalities), *volume.spatial_shape), dtype=np.float32)
        array[[modalities.index(m) for m in found]] = volume.array
        return Volume(array, volume.affine)


def _read_combined(path: Path, name: str, modalities: Sequence[str]) -> Volume:
    volume = read_volume(path, name)
    if volume.array.shape[0] != len(_CHANNEL_ORDER):
        raise InvalidValueError(
            f"{name}: must have {len(_CHANNEL_ORDER)} channels ({', '.join(_CHANNEL_ORDER)}), "
            f"has {volume.array.shape[0]}",
            code="missing_sequence",
        )
    channels = volume.array[[_CHANNEL_ORDER.index(m) for m in modalities]]
    return Volume(channels.astype(np.float32), volume.affine)


def case_in_folder(folder: Path, stem: str | None = None, name: str | None = None) -> CaseFiles | None:
    """The case whose files lie in ``folder``, or None if no file there is a known sequence.

    Where several files could be one sequence, none of them is taken; ``problems`` names them.

    Args:
        folder: the folder.
        stem: what the names of its files begin with, where the folder holds several cases.
        name: of the case; the folder's or the stem by default.

    Raises:
        InvalidValueError: the folder holds several cases, and no stem says which.
    """
    entries = read_folder(folder)
    order = channel_order(folder) if has_channels(entries) else None
    cases = cases_of(group_files(entries.files, order, entries.odd), folder.name)
    if stem is None and len(cases) > 1:
        raise InvalidValueError(
            f"{folder.name}: holds several cases: {', '.join(list(cases)[:10])}; give each a folder of its own",
            code="several_cases",
        )
    group = next(iter(cases.values()), None) if stem is None else cases.get(stem)
    if group is None or not group.sequences:
        return None
    label = folder / group.label if group.label else label_beside(folder, group.stem)
    return CaseFiles(
        name or stem or folder.name,
        {modality: folder / file for modality, file in group.sequences.items()},
        label=label, notes=group.notes, problems=group.problems,
    )  # fmt: skip


def label_beside(folder: Path, stem: str) -> Path | None:
    """The label map of a case in one of MSD's and nnU-Net's image folders, which lies in a folder beside it."""
    other = IMAGE_FOLDERS.get(folder.name)
    if other is None:
        return None
    found = [folder.parent / other / f"{stem}{ending}" for ending in IMAGE_ENDINGS]
    there = [path for path in found if is_regular(path)]
    return there[0] if len(there) == 1 else None


def channel_count(path: Path) -> int:
    """Number of channels of a NIfTI file by its header, 1 for other kinds and for what cannot be read."""
    if not path.name.lower().endswith(NIFTI_ENDINGS) or not is_regular(path):
        return 1
    try:
        header: Any = open_nifti(path, path.name)
        shape = header.shape
    except (MedSynthError, ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error):
        return 1
    return shape[3] if len(shape) == 4 else 1


@dataclass(frozen=True)
class FoundCases:
    """Cases for a command.

    Attributes:
        cases: sorted by place.
        left_out: what looks like a case or a part of one and cannot be used: its place below the folder -> why.
    """

    cases: list[CaseFiles]
    left_out: dict[str, str]

    def with_labels(self) -> FoundCases:
        """Only the labelled cases; the others are left out by name."""
        left_out = dict(self.left_out)
        for case in self.cases:
            if case.label is None:
                left_out[case.name] = case.problems.get("label", "has no label map (_seg, -seg, _segm ...)")
        return FoundCases([case for case in self.cases if case.label is not None], left_out)


def find_cases(root: Path) -> list[CaseFiles]:
    """The cases of ``look_for_cases``.

    Raises:
        InvalidValueError: the folder does not exist or holds no case.
    """
    return look_for_cases(root).cases


def look_for_cases(root: Path) -> FoundCases:
    """All cases under ``root``, or ``root`` itself, if it is one, sorted by place; what is none is named.

    Args:
        root: a folder as ``list_studies`` reads it; besides four files that lie loose in it are one case.

    Raises:
        InvalidValueError: the folder does not exist or holds no case.
    """
    if not root.is_dir():
        raise InvalidValueError(f"cases: {root.name!r} is not a folder")
    listing = list_studies(root)
    left_out = {place: why for place, why in listing.left_out.items() if place.split("/")[-1] != ARCHIVER_FOLDER}
    cases = []
    for study in sorted(listing.studies.values(), key=lambda study: study.path.as_posix()):
        if study.is_folder:
            case = _folder_case(study)
        elif study.path.parent != root and channel_count(study.path) == len(Modality):
            label = label_beside(study.path.parent, image_stem(study.path.name))
            case = CaseFiles(study.name, combined=study.path, label=label)
        elif study.path.parent != root:
            case = None
        else:
            continue
        if case is None:
            left_out[study.place(root)] = "tells no sequence, and is no 4-D image of four channels"
        else:
            cases.append(case)
    names = {case.name for case in cases}
    for case in _loose_cases(root, bool(cases), left_out):
        if case.name in names:
            left_out[f"{case.name} (loose files)"] = f"has the name of the case folder {case.name}; rename one"
        else:
            cases.append(case)
    if not cases:
        raise InvalidValueError(
            f"cases: no BraTS-style case under {root.name!r}; expected CASE/CASE_flair.nii.gz, _t1, _t1ce, _t2"
            + "".join(f"; {place}: {why}" for place, why in list(left_out.items())[:3])
        )
    return FoundCases(cases, dict(sorted(left_out.items())))


def _folder_case(study: Study) -> CaseFiles | None:
    # A folder directly below the root has always been called as it is; deeper ones need the name that is theirs alone.
    own = study.stem is None and case_name(study.path.name) == study.name
    return case_in_folder(study.path, study.stem, study.path.name if own else study.name)


def _loose_cases(root: Path, there_are_others: bool, left_out: dict[str, str]) -> list[CaseFiles]:
    """The cases whose files lie directly in the folder: sequences by stem, and 4-D files."""
    entries = read_folder(root)
    order = channel_order(root) if has_channels(entries) else None
    groups = group_files(entries.files, order, entries.odd)
    found = cases_of(groups, root.name)
    cases = []
    for stem in found:
        alone = len(found) == 1 and not there_are_others
        case = case_in_folder(root, stem, root.name if alone or not stem else stem)
        if case is not None:
            cases.append(case)
    for name, path in entries.files.items():
        if file_role(name).kind is not None or not is_image_name(name):
            continue
        if channel_count(path) == len(Modality):
            label = groups.get(image_stem(name))
            beside = root / label.label if label and label.label else label_beside(root, image_stem(name))
            cases.append(CaseFiles(image_stem(name), combined=path, label=beside))
        elif not found:
            left_out[name] = "tells no sequence, and is no 4-D image of four channels"
    return cases
