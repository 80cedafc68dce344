"""What is known of a DICOM series before its voxels are read, and the few tags that pydicom does not name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

SYNTHETIC_DATA_TAG = 0x0008001C
"""Synthetic Data (0008,001C), in the standard since 2023; pydicom 2 does not know its name."""

LONGEST_TEXT = 200
"""Longer descriptions are cut: a value of type LO holds 64 characters."""


@dataclass(frozen=True)
class SeriesFacts:
    """One series of a study, by the attributes that tell its sequence and its grid.

    Attributes:
        uid: SeriesInstanceUID.
        modality: ``MR``, ``SEG`` ...
        description: SeriesDescription.
        protocol: ProtocolName.
        sequence_name: SequenceName, or PulseSequenceName.
        scanning_sequence: ScanningSequence, for example ``("SE", "IR")``.
        echo_time_ms: EchoTime, None where unknown.
        repetition_time_ms: RepetitionTime.
        inversion_time_ms: InversionTime.
        contrast_agent: ContrastBolusAgent, ``""`` where none was given.
        number: SeriesNumber.
        frame_of_reference: FrameOfReferenceUID.
        grid: rows, columns, row and column spacing and the six direction cosines of one image, rounded; two
            series of equal ``grid`` differ at most in their slices.
        image_type: ImageType, for example ``("DERIVED", "PRIMARY", "T2 MAP")``.
        synthetic: whether the images say that they are generated, (0008,001C) = YES.
    """

    uid: str
    modality: str = "MR"
    description: str = ""
    protocol: str = ""
    sequence_name: str = ""
    scanning_sequence: tuple[str, ...] = ()
    echo_time_ms: float | None = None
    repetition_time_ms: float | None = None
    inversion_time_ms: float | None = None
    contrast_agent: str = ""
    number: int = 0
    frame_of_reference: str = ""
    grid: tuple[float, ...] = ()
    synthetic: bool = False
    image_type: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """How messages call the series: its description, else its protocol, else its number."""
        return self.description or self.protocol or f"series {self.number} without description"


def facts_of(image: Dataset) -> SeriesFacts:
    """The facts of a series from the metadata of one of its images; absent attributes stay unknown.

    A multi-frame image tells them in its functional groups: those of its first frame count.
    """
    places = [image, *_group_items(image)]
    spacing = [_number(v) or 0.0 for v in _values(_holder(places, "PixelSpacing"), "PixelSpacing")]
    cosines = _values(_holder(places, "ImageOrientationPatient"), "ImageOrientationPatient")
    size = [_number(image.get(key)) or 0.0 for key in ("Rows", "Columns")]
    return SeriesFacts(
        uid=_text(image, "SeriesInstanceUID"),
        modality=_text(image, "Modality"),
        description=_text(image, "SeriesDescription"),
        protocol=_text(image, "ProtocolName"),
        sequence_name=_text(image, "SequenceName") or _text(image, "PulseSequenceName"),
        scanning_sequence=_scanning_sequence(image, places),
        echo_time_ms=_first_number(places, "EchoTime", "EffectiveEchoTime"),
        repetition_time_ms=_first_number(places, "RepetitionTime"),
        inversion_time_ms=_first_number(places, "InversionTime", "InversionTimes"),
        contrast_agent=_contrast_agent(image),
        number=int(_number(image.get("SeriesNumber")) or 0),
        frame_of_reference=_text(image, "FrameOfReferenceUID"),
        grid=tuple(round(v, 3) for v in (*size, *spacing, *(_number(v) or 0.0 for v in cosines))),
        synthetic=says_synthetic(image),
        image_type=tuple(str(v) for v in _values(image, "ImageType")),
    )


def _group_items(image: Dataset) -> Iterator[Dataset]:
    """The functional groups of the first frame, each as it stands in its sequence."""
    for key in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for element in (image.get(key) or [Dataset()])[0]:
            if element.VR == "SQ" and element.value:
                yield element.value[0]


def _holder(places: Sequence[Dataset], key: str) -> Dataset:
    return next((place for place in places if _values(place, key)), places[0])


def _first_number(places: Sequence[Dataset], *keys: str) -> float | None:
    """The first of the attributes that is a number above 0; scanners and pseudonymisers write 0 for unknown."""
    for key in keys:
        for place in places:
            found = next((n for n in map(_number, _values(place, key)) if n), None)
            if found is not None:
                return found
    return None


def _scanning_sequence(image: Dataset, places: Sequence[Dataset]) -> tuple[str, ...]:
    """ScanningSequence, or what Enhanced MR says in its place."""
    words = [str(v).strip().upper() for v in _values(image, "ScanningSequence")]
    if not words:
        pulse = _text(image, "EchoPulseSequence").upper()
        words += [code for word, code in (("SPIN", "SE"), ("GRADIENT", "GR")) if pulse in (word, "BOTH")]
        words += ["IR"] if any(_text(place, "InversionRecovery").upper() == "YES" for place in places) else []
    return tuple(words)


def _contrast_agent(image: Dataset) -> str:
    agents = image.get("ContrastBolusAgentSequence")
    return _text(image, "ContrastBolusAgent") or (_text(agents[0], "CodeMeaning") if agents else "")


def says_synthetic(image: Dataset) -> bool:
    """Whether Synthetic Data (0008,001C) says YES."""
    element = image.get(SYNTHETIC_DATA_TAG)
    return element is not None and str(element.value).strip().upper() == "YES"


def _text(image: Dataset, key: str) -> str:
    value = image.get(key)
    return "" if value is None else str(value).strip()[:LONGEST_TEXT]


def _values(image: Dataset, key: str) -> list[Any]:
    value = image.get(key)
    if value is None or value == "":
        return []
    return [value] if isinstance(value, (str, int, float)) else list(value)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
