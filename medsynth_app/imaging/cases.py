"""Case folders: which file of a patient is which sequence.

A case is several files that show one head. Three layouts are known:
  CASE/CASE_flair.nii.gz, _t1, _t1ce, _t2 (+ _seg)         BraTS 2018-2021
  CASE/CASE-t2f.nii.gz, -t1n, -t1c, -t2w (+ -seg)          BraTS 2023 on
  CASE.nii.gz, 4-D with the channels FLAIR, T1, T1ce, T2   Medical Segmentation Decathlon
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.reading import is_image_name, read_channels, read_volume
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import LABEL_FILE_SUFFIXES, Modality

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
        origins: modality -> what its file was made from and why it is that sequence, where a file's name does not
            tell (DICOM series).
    """

    name: str
    sequences: dict[str, Path] = field(default_factory=dict)
    combined: Path | None = None
    label: Path | None = None
    notes: tuple[str, ...] = ()
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
                f"needed are {', '.join(modalities)}, found {', '.join(self.sequences) or 'none'}",
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


def image_stem(file_name: str) -> str:
    """A file's name without its image ending; only the ending goes, other dots stay (``a.b.nii.gz`` -> ``a.b``)."""
    lower = file_name.lower()
    for ending in (".nii.gz", ".seg.nrrd", ".nii", ".nrrd"):
        if lower.endswith(ending):
            return file_name[: -len(ending)]
    return Path(file_name).stem


def sequence_of(file_name: str) -> str | None:
    """The modality that a file's name tells (``X_t1ce.nii.gz`` -> ``t1ce``), ``"label"``, or None."""
    stem = image_stem(file_name).lower()
    if stem.endswith(LABEL_FILE_SUFFIXES):
        return "label"
    for modality in Modality:
        if stem.endswith(modality.file_suffixes):
            return modality.value
    return None


def case_in_folder(folder: Path) -> CaseFiles | None:
    """The case whose files lie in ``folder``, or None if no file there is a known sequence."""
    sequences: dict[str, Path] = {}
    label = None
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        if not is_image_name(entry.name) or entry.name.startswith(".") or not entry.is_file():
            continue
        kind = sequence_of(entry.name)
        if kind == "label":
            label = Path(entry.path)
        elif kind is not None:
            sequences.setdefault(kind, Path(entry.path))
    return CaseFiles(folder.name, sequences, label=label) if sequences else None


def find_cases(root: Path) -> list[CaseFiles]:
    """All case folders directly under ``root`` (or ``root`` itself, if it is one), sorted by name.

    Raises:
        InvalidValueError: the folder does not exist or holds no case.
    """
    if not root.is_dir():
        raise InvalidValueError(f"cases: {root.name!r} is not a folder")
    folders = [
        Path(entry.path) for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")
    ]
    cases = [case for case in map(case_in_folder, sorted(folders)) if case is not None]
    own = case_in_folder(root)
    if own is not None:
        cases.append(own)
    if not cases:
        raise InvalidValueError(
            f"cases: no BraTS-style case under {root.name!r}; expected CASE/CASE_flair.nii.gz, _t1, _t1ce, _t2"
        )
    return cases
