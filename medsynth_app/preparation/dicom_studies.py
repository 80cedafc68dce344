"""The studies in a folder of DICOM files, however nested, and which of their series are the four sequences.

Of several series that may be one sequence, originals go before derived ones, thin slices before thick ones, and of
the same protocol twice the later one: the first was repeated for a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from medsynth_app.imaging.dicom.sequence_mapping import SequenceMapping
from medsynth_app.imaging.dicom.series_facts import SeriesFacts, facts_of
from medsynth_app.imaging.dicom.series_roles import modality_of
from medsynth_app.preparation.study_input import SeriesInput
from medsynth_app.vocabulary import Modality

LEAST_IMAGES = 10
"""A series of fewer images is a localiser, a single slice or a fragment, no volume of a head."""
THICKEST_SLICES_MM = 10.0
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_COMPUTED = {"PROJECTION IMAGE", "MIP", "MINIP", "SUBTRACTION", "ADC", "PHASE MAP"}
_PREAMBLE, _MAGIC = 128, b"DICM"


@dataclass
class DicomSeries:
    """One series of a folder.

    Attributes:
        facts: what names and times tell.
        files: its images.
        patient: PatientID.
        study: StudyInstanceUID.
        study_date: StudyDate.
        image_type: ImageType.
        sop_class: SOPClassUID.
        acquired: AcquisitionDate and -Time of an image, else the series'; sorts by time.
        positions: ImagePositionPatient of the images that tell one.
        frames: images, those of multi-frame files included.
    """

    facts: SeriesFacts
    patient: str
    study: str
    study_date: str
    image_type: tuple[str, ...]
    sop_class: str
    acquired: str
    files: list[Path] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    frames: int = 0

    @property
    def is_derived(self) -> bool:
        """Whether it was computed of other images."""
        return bool(self.image_type) and self.image_type[0].upper() == "DERIVED"

    @property
    def coarsest_mm(self) -> float:
        """The largest distance between neighbouring voxels, as far as the headers tell."""
        in_plane = max(self.facts.grid[2:4], default=1.0)
        if len(self.positions) < 2:
            return in_plane
        places = np.array(self.positions)
        span = float(np.linalg.norm(places.max(axis=0) - places.min(axis=0)))
        return max(in_plane, span / (len(self.positions) - 1))

    @property
    def unfit(self) -> str:
        """Why it can be none of the sequences, ``""`` where it can."""
        kinds = [word.upper() for word in self.image_type]
        faults = {
            f"{self.facts.modality or 'its modality'} is not MR": self.facts.modality != "MR",
            "a secondary capture": self.sop_class.startswith(SECONDARY_CAPTURE),
            "a localiser": "LOCALIZER" in kinds,
            f"a derived image ({' '.join(self.image_type[:4])})": bool(_COMPUTED & set(kinds)),
            f"only {self.frames} images": self.frames < LEAST_IMAGES,
            f"slices {self.coarsest_mm:.1f} mm apart, allowed are {THICKEST_SLICES_MM:g}": (
                self.coarsest_mm > THICKEST_SLICES_MM
            ),
        }
        return next((words for words, is_so in faults.items() if is_so), "")

    def as_input(self, modality: str) -> SeriesInput:
        """The series as a sequence."""
        return SeriesInput(
            modality, self.facts.title, tuple(sorted(self.files)), True,
            frame_of_reference=self.facts.frame_of_reference, uid=self.facts.uid,
        )  # fmt: skip


def read_folder(files: Iterable[Path]) -> dict[tuple[str, str], list[DicomSeries]]:
    """Series by patient and study, from the headers of DICOM files; others are passed over."""
    series: dict[str, DicomSeries] = {}
    for path in files:
        header = _header(path)
        if header is None or not header.get("SeriesInstanceUID"):
            continue
        uid = f"{header.get('StudyInstanceUID', '')}/{header.SeriesInstanceUID}"
        if uid not in series:
            series[uid] = _series(header)
        entry = series[uid]
        entry.files.append(path)
        entry.frames += int(header.get("NumberOfFrames") or 1)
        if header.get("ImagePositionPatient"):
            entry.positions.append(np.array([float(v) for v in header.ImagePositionPatient]))
    studies: dict[tuple[str, str], list[DicomSeries]] = {}
    for entry in series.values():
        studies.setdefault((entry.patient, entry.study), []).append(entry)
    return studies


def is_dicom_file(path: Path) -> bool:
    """Whether a file starts as DICOM files do."""
    try:
        with path.open("rb") as file:
            return file.read(_PREAMBLE + 4)[_PREAMBLE:] == _MAGIC
    except OSError:
        return False


@dataclass(frozen=True)
class Choice:
    """Which series were taken.

    Attributes:
        candidates: modality -> series that may be it, the best first.
        passed_over: title and reason of the others.
        notes: what the reader should know.
    """

    candidates: dict[str, list[DicomSeries]]
    passed_over: tuple[dict[str, str], ...]
    notes: tuple[str, ...]


def choose_series(series: list[DicomSeries], mapping: SequenceMapping | None = None) -> Choice:
    """Sort the series of one study by sequence, the best candidate first.

    Args:
        series: all of the study.
        mapping: an operator's patterns; a sequence with a pattern is decided by it alone.
    """
    candidates: dict[str, list[DicomSeries]] = {m.value: [] for m in Modality}
    passed_over, notes = [], []
    for entry in sorted(series, key=lambda s: s.facts.number):
        reason = entry.unfit
        role = None if reason else _role(entry.facts, mapping or {})
        if role is None:
            passed_over.append({"series": entry.facts.title, "reason": reason or "none of the four sequences"})
        else:
            candidates[role].append(entry)
    notes += _before_contrast_by_time(candidates)
    for role, fitting in candidates.items():
        fitting.sort(key=_worse)
        for other in fitting[1:]:
            passed_over.append({"series": other.facts.title, "reason": f"{role}: {_why_not(other, fitting[0])}"})
        if len(fitting) > 1:
            best = fitting[0]
            notes.append(f"{role}: took {best.facts.title!r} (series {best.facts.number}) of {len(fitting)} candidates")
    return Choice(candidates, tuple(passed_over), tuple(notes))


def _role(facts: SeriesFacts, mapping: SequenceMapping) -> str | None:
    named = [m for m, p in mapping.items() if p.search(facts.description) or p.search(facts.protocol)]
    if named:
        return named[0]
    own = modality_of(facts)
    return own.value if own is not None and own.value not in mapping else None


def _before_contrast_by_time(candidates: Mapping[str, list[DicomSeries]]) -> list[str]:
    """Scanners fill the agent's tag in before the injection too: of two like series the earlier is without it."""
    with_agent, plain = candidates[Modality.T1CE.value], candidates[Modality.T1.value]
    if plain or len(with_agent) < 2:
        return []
    # Without the tag, do their words speak of contrast?
    silent = [s for s in with_agent if _role(_without_agent(s.facts), {}) == Modality.T1.value]
    others = [s for s in with_agent if s not in silent]
    if not silent or not (others or len({s.acquired for s in silent}) > 1):
        return []
    first = min(silent, key=lambda s: (s.acquired, s.facts.number))
    if others and first.acquired >= min(s.acquired for s in others):
        return []
    with_agent.remove(first)
    plain.append(first)
    return [f"t1: {first.facts.title!r} names a contrast agent, but was acquired first: taken as before contrast"]


def _without_agent(facts: SeriesFacts) -> SeriesFacts:
    return SeriesFacts(**{**vars(facts), "contrast_agent": ""})


def _worse(series: DicomSeries) -> tuple[bool, float, float]:
    """Sorts the best series first."""
    return series.is_derived, round(series.coarsest_mm, 1), -series.facts.number


def _why_not(other: DicomSeries, best: DicomSeries) -> str:
    title = repr(best.facts.title)
    if other.is_derived and not best.is_derived:
        return f"derived, {title} is original"
    if round(other.coarsest_mm, 1) > round(best.coarsest_mm, 1):
        return f"{other.coarsest_mm:.1f} mm between voxels, {title} has {best.coarsest_mm:.1f}"
    return f"{title} was acquired later with like voxels"


def _header(path: Path) -> Dataset | None:
    try:
        return dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, OSError, EOFError, ValueError, KeyError, AttributeError, NotImplementedError):
        return None


def _series(header: Dataset) -> DicomSeries:
    times = [f"{header.get(d) or ''}{header.get(t) or ''}" for d, t in (
        ("AcquisitionDate", "AcquisitionTime"), ("SeriesDate", "SeriesTime"), ("ContentDate", "ContentTime"),
    )]  # fmt: skip
    image_type = header.get("ImageType") or []
    return DicomSeries(
        facts=facts_of(header),
        patient=str(header.get("PatientID") or ""),
        study=str(header.get("StudyInstanceUID") or ""),
        study_date=str(header.get("StudyDate") or ""),
        image_type=(image_type,) if isinstance(image_type, str) else tuple(str(v) for v in image_type),
        sop_class=str(header.get("SOPClassUID") or ""),
        acquired=next((t for t in times if t), ""),
    )
