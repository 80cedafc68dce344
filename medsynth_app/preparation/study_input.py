"""A study as it came in: which file or DICOM series is which sequence, and what was passed over."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import file_digest
from medsynth_app.imaging.dicom.series_reading import read_series
from medsynth_app.imaging.geometry import same_grid
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import Modality


@dataclass(frozen=True)
class SeriesInput:
    """One sequence of a study, not read yet.

    Attributes:
        modality: which sequence it is.
        title: how messages call it: a series' description, a file's name.
        files: one image file, or the DICOM images of one series.
        is_dicom: which of the two.
        channel: which channel of a 4-D file it is.
        frame_of_reference: DICOM's FrameOfReferenceUID, ``""`` where unknown.
        uid: SeriesInstanceUID, ``""`` where unknown.
    """

    modality: str
    title: str
    files: tuple[Path, ...]
    is_dicom: bool = False
    channel: int | None = None
    frame_of_reference: str = ""
    uid: str = ""

    def read(self) -> Volume:
        """(1, X, Y, Z) on its own grid.

        Raises:
            UnsupportedKindError, InvalidValueError: it is no readable volume.
        """
        if self.is_dicom:
            return read_series(self.files, repr(self.title))
        volume = read_volume(self.files[0], self.title)
        if self.channel is not None:
            return Volume(volume.array[self.channel : self.channel + 1], volume.affine)
        if volume.array.shape[0] != 1:
            raise InvalidValueError(f"{self.title}: must be a single 3-D image, has {volume.array.shape[0]} channels")
        return volume

    def digest(self) -> str:
        """SHA-256 of its files' contents; the same images in another order or folder give the same."""
        parts = sorted(file_digest(path, "sha256") for path in self.files)
        return hashlib.sha256("".join([*parts, str(self.channel)]).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """JSON values; no path."""
        record: dict[str, Any] = {"series": self.title, "files": len(self.files)}
        return {**record, "series_instance_uid": self.uid} if self.uid else record


@dataclass(frozen=True)
class StudyInput:
    """A study.

    Attributes:
        name: how results are called.
        series: modality -> series; at most four.
        case: the same as files of a case, where they are image files.
        passed_over: series or files that were not taken: title and reason.
        problems: modality -> why there is none.
        notes: choices that the reader should know.
    """

    name: str
    series: dict[str, SeriesInput]
    case: CaseFiles | None = None
    passed_over: tuple[dict[str, str], ...] = ()
    problems: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def missing(self, modalities: Sequence[str]) -> list[str]:
        """The wanted sequences that are not there."""
        return [m for m in modalities if m not in self.series]

    def check_complete(self, modalities: Sequence[str], blanks: int) -> None:
        """Refuse what cannot be segmented.

        Raises:
            InvalidValueError: more than ``blanks`` sequences are missing, or all; names each and why.
        """
        missing = self.missing(modalities)
        if len(missing) <= min(blanks, len(modalities) - 1):
            return
        told = [f"{m}: {self.problems[m]}" if m in self.problems else m for m in missing]
        reasons = ("; " if set(missing) & set(self.problems) else ", ").join(told)
        raise InvalidValueError(
            f"{self.name}: missing sequence {reasons}; needed are {', '.join(modalities)}, "
            f"found {', '.join(self.series) or 'none'}",
            code="missing_sequence",
        )

    def digest(self) -> str:
        """SHA-256 of all its images and what each is taken for."""
        parts = [f"{name}:{series.digest()}" for name, series in sorted(self.series.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def study_of_case(case: CaseFiles) -> StudyInput:
    """A case's files as a study; they are looked at only when they are read."""
    series = {}
    for channel, modality in enumerate(m.value for m in Modality):
        if case.combined is not None:
            series[modality] = SeriesInput(modality, f"{case.name} {modality}", (case.combined,), channel=channel)
        elif modality in case.sequences:
            series[modality] = SeriesInput(modality, f"{case.name} {modality}", (case.sequences[modality],))
    return StudyInput(case.name, series, case, notes=case.notes)


def stacked(volumes: dict[str, Volume], modalities: Sequence[str], case: str = "") -> Volume:
    """Series on one grid as the channels of one image, (C, X, Y, Z) float32; what is missing is 0.

    Raises:
        InvalidValueError: they do not share a grid.
    """
    names = [m for m in modalities if m in volumes]
    prefix = f"{case} " if case else ""
    first = volumes[names[0]]
    array = np.zeros((len(modalities), *first.spatial_shape[::-1]), np.float32).transpose(0, 3, 2, 1)
    for name in names:
        if not same_grid(first, volumes[name]):
            raise InvalidValueError(
                f"{prefix}{name}: its grid {volumes[name].spatial_shape} differs from {names[0]} "
                f"{first.spatial_shape} in "
                "shape or position; all sequences of a prepared case must share one grid"
            )
        array[list(modalities).index(name)] = volumes[name].array[0]
    return Volume(array, first.affine)
