"""Label map <-> DICOM SEG object.

Writing is the work of dcmqi's ``itkimage2segimage`` (Herz 2017), which copies patient, study and frame of
reference from the source images. Segments are named by their label value, whichever of them are present: a case
without necrosis keeps the name of its oedema. (Their numbers must run from 1 without gaps and mean nothing.)
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from medsynth_app import __version__
from medsynth_app.errors import InvalidValueError, MedSynthError, UnsupportedKindError
from medsynth_app.imaging.dicom.series_facts import SYNTHETIC_DATA_TAG, SeriesFacts, says_synthetic
from medsynth_app.imaging.dicom.series_reading import LPS_TO_RAS
from medsynth_app.imaging.formats.viewer_segments import label_of_name
from medsynth_app.imaging.label_writing import SEGMENT_COLORS
from medsynth_app.imaging.labels import SubmittedLabel, overlap_warning, write_label
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import LABEL_NAMES, TumorLabel

logger = logging.getLogger(__name__)

CONVERTER = "itkimage2segimage"
CONVERTER_SECONDS = 300
PLACE_TOLERANCE_VOXELS = 0.05
KINDS = ("BINARY", "FRACTIONAL", "LABELMAP")
LEAST_FRACTION = 0.5
_UNREADABLE = (
    InvalidDicomError, AttributeError, KeyError, IndexError, TypeError, ValueError, NotImplementedError, RuntimeError,
    EOFError, OSError,
)  # fmt: skip
"""What pydicom raises for objects that are cut off, contradict themselves or are compressed in an unknown way."""

_CATEGORY = ("49755003", "SCT", "Morphologically Abnormal Structure")
_TYPES = {
    TumorLabel.NECROTIC_CORE: ("6574001", "SCT", "Necrosis"),
    TumorLabel.EDEMA: ("79654002", "SCT", "Edema"),
    TumorLabel.ENHANCING_TUMOR: ("C113842", "NCIt", "Enhancing Lesion"),
}
"""Codes of PS3.16 CID 7159, lesion segmentation types."""


class EmptySegmentationError(InvalidValueError):
    """A label map without any voxel; a SEG object needs at least one segment with voxels."""

    code = "empty_segmentation"


def write_segmentation(
    labels: np.ndarray, affine: np.ndarray, source: Path, target: Path, description: str, automatic: bool
) -> None:
    """Store a label map as a DICOM SEG object that refers to its images.

    Args:
        labels: (X, Y, Z) uint8, values 0..3, on the grid of the source series.
        affine: (4, 4) voxel -> RAS mm.
        source: folder with the images of that one series, and nothing else.
        target: ``.dcm`` file to write.
        description: SeriesDescription.
        automatic: made by a model; False for a label that a reader submitted.

    Raises:
        EmptySegmentationError: no voxel is labelled.
        MedSynthError: the converter is not installed, or refuses the images.
    """
    present = [label for label in TumorLabel if (labels == label).any()]
    if not present:
        raise EmptySegmentationError(
            "segmentation: no tumour voxel was found, and a DICOM SEG object cannot be empty; "
            "output=json answers the figures"
        )
    with tempfile.TemporaryDirectory(prefix="medsynth-") as folder:
        image, record = Path(folder) / "labels.nii.gz", Path(folder) / "segments.json"
        write_label(labels, affine, image)
        record.write_text(json.dumps(_record(present, description, automatic)), encoding="utf-8")
        _convert(image, source, record, target)
    _copy_synthetic_mark(source, target)


def _convert(image: Path, source: Path, record: Path, target: Path) -> None:
    command = [
        _converter(), "--inputImageList", str(image), "--inputDICOMDirectory", str(source),
        "--inputMetadata", str(record), "--outputDICOM", str(target),
    ]  # fmt: skip
    try:
        outcome = subprocess.run(  # noqa: S603 - a fixed program, no shell
            command, capture_output=True, text=True, timeout=CONVERTER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MedSynthError(f"segmentation: {CONVERTER} took more than {CONVERTER_SECONDS} s") from error
    if outcome.returncode != 0 or not target.is_file():
        lines = [line for line in (outcome.stderr + outcome.stdout).splitlines() if "rror" in line]
        reason = lines[-1].strip()[:200] if lines else f"exit status {outcome.returncode}"
        raise UnsupportedKindError(f"segmentation: {CONVERTER} refused the series: {reason}")


def _copy_synthetic_mark(source: Path, target: Path) -> None:
    """What is drawn on synthetic images is synthetic too."""
    if says_synthetic(dcmread(next(source.iterdir()), stop_before_pixels=True)):
        dataset = dcmread(target)
        dataset.add_new(SYNTHETIC_DATA_TAG, "CS", "YES")
        dataset.save_as(target)


def _converter() -> str:
    beside_python = Path(sys.executable).parent / CONVERTER
    found = str(beside_python) if beside_python.is_file() else shutil.which(CONVERTER)
    if not found:
        raise MedSynthError(f"segmentation: {CONVERTER} is not installed (package dcmqi)")
    return found


def _record(present: Sequence[TumorLabel], description: str, automatic: bool) -> dict[str, Any]:
    """dcmqi's description of the segments."""
    return {
        "ContentCreatorName": "MedSynth",
        "SeriesDescription": description[:64],
        "SeriesNumber": "300",
        "InstanceNumber": "1",
        "ContentLabel": "SEGMENTATION",
        "ContentDescription": f"MedSynth {__version__} brain tumour segmentation, research only"[:64],
        "ClinicalTrialSeriesID": "1",
        "ClinicalTrialTimePointID": "1",
        "ClinicalTrialCoordinatingCenterName": "MedSynth",
        "BodyPartExamined": "BRAIN",
        "segmentAttributes": [[_segment(label, automatic) for label in present]],
    }


def _segment(label: TumorLabel, automatic: bool) -> dict[str, Any]:
    segment: dict[str, Any] = {
        "labelID": int(label),
        "SegmentLabel": label.label_name,
        "SegmentDescription": label.label_name.replace("_", " "),
        "SegmentAlgorithmType": "AUTOMATIC" if automatic else "SEMIAUTOMATIC",
        "SegmentAlgorithmName": f"MedSynth {__version__}",
        "SegmentedPropertyCategoryCodeSequence": _code(_CATEGORY),
        "SegmentedPropertyTypeCodeSequence": _code(_TYPES[label]),
        "recommendedDisplayRGBValue": [round(255 * c) for c in SEGMENT_COLORS[label]],
    }
    return segment


def _code(code: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("CodeValue", "CodingSchemeDesignator", "CodeMeaning"), code))


def read_segmentation(path: Path, image: Volume, name: str = "label") -> np.ndarray:
    """The voxels of ``segmentation_label``; raises as that."""
    return segmentation_label(path, image, name).labels


def segmentation_label(path: Path, image: Volume, name: str = "label") -> SubmittedLabel:
    """The label map of a SEG object on the grid of its image.

    Segments are known by name (``necrotic_core`` ...) or by the code of their type; other segments are passed
    over. Where segments overlap, the one with the higher label value wins. Of a FRACTIONAL object a voxel belongs to a
    segment from ``LEAST_FRACTION`` of its largest value on.

    Args:
        path: DICOM SEG file: BINARY, FRACTIONAL or LABELMAP.
        image: the image it refers to; only its grid is used.
        name: how errors call it.

    Raises:
        UnsupportedKindError: not a readable SEG object, or of another kind.
        InvalidValueError: no segment is one of ours, or a frame does not lie on the image's slices.
    """
    try:
        dataset = dcmread(path)
        check_kind(dataset, name)
        segments = {int(s.SegmentNumber): _label_of(s) for s in dataset.SegmentSequence}
        if not any(segments.values()):
            raise InvalidValueError(f"{name}: none of its segments is one of {', '.join(LABEL_NAMES)}")
        pixels = dataset.pixel_array.reshape(-1, int(dataset.Rows), int(dataset.Columns))
        groups = list(dataset.PerFrameFunctionalGroupsSequence)
        if len(groups) != len(pixels):
            raise UnsupportedKindError(
                f"{name}: not a readable DICOM SEG object: {len(pixels)} frames, but places of {len(groups)}"
            )
        labels, overlap = np.zeros(image.spatial_shape, np.uint8), np.zeros(image.spatial_shape, bool)
        for frame, group in zip(pixels, groups):
            index = _slice_index(dataset, group, image, frame.shape, name)
            for label, mask in _masks(dataset, group, frame, segments):
                plane = labels[:, :, index]
                overlap[:, :, index] |= mask.T & (plane != 0) & (plane != label)
                np.maximum(plane, mask.T * np.uint8(label), out=plane)
    except _UNREADABLE as error:
        raise UnsupportedKindError(f"{name}: not a readable DICOM SEG object") from error
    return SubmittedLabel(labels, overlap_warning(overlap, name))


def newest_segmentation(folder: Path) -> Path:
    """The SEG object of a series' folder that was written last.

    Raises:
        UnsupportedKindError: there is none.
    """
    found: list[tuple[tuple[str, str, int], Path]] = []
    for path in sorted(folder.glob("*.dcm")):
        try:
            dataset = dcmread(path, stop_before_pixels=True)
            written = str(dataset.get("ContentDate") or ""), str(dataset.get("ContentTime") or "")
            found.append(((*written, int(dataset.get("InstanceNumber") or 0)), path))
        except _UNREADABLE:
            continue
    if not found:
        raise UnsupportedKindError("label: the series holds no readable DICOM SEG object")
    if len(found) > 1:
        logger.warning("a series holds %d DICOM SEG objects; the newest one is read", len(found))
    return max(found)[1]


def check_kind(dataset: Dataset, name: str = "label") -> None:
    """Refuse, before any voxel is read, what a SEG object's attributes say cannot be read.

    Raises:
        UnsupportedKindError: neither BINARY, FRACTIONAL nor LABELMAP, or its fractions have no largest value.
    """
    kind = str(dataset.get("SegmentationType") or "").strip().upper()
    if kind not in KINDS:
        raise UnsupportedKindError(
            f"{name}: not a readable DICOM SEG object: SegmentationType {kind[:20]!r} must be one of {', '.join(KINDS)}"
        )
    largest = dataset.get("MaximumFractionalValue")
    if kind == "FRACTIONAL" and not (isinstance(largest, int) and largest > 0):
        raise UnsupportedKindError(
            f"{name}: not a readable DICOM SEG object: MaximumFractionalValue {str(largest)[:20]} must be above 0"
        )


def _masks(
    dataset: Dataset, group: Dataset, frame: np.ndarray, segments: Mapping[int, TumorLabel | None]
) -> Iterator[tuple[TumorLabel, np.ndarray]]:
    """Our labels in a frame, each with its mask (rows, columns)."""
    kind = str(dataset.SegmentationType).strip().upper()
    if kind == "LABELMAP":
        # The voxel is the number of its segment.
        yield from ((label, frame == number) for number, label in segments.items() if label is not None)
        return
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    found = group.get("SegmentIdentificationSequence") or shared.get("SegmentIdentificationSequence")
    label = segments.get(int(found[0].ReferencedSegmentNumber))
    if label is not None:
        least = LEAST_FRACTION * int(dataset.MaximumFractionalValue) if kind == "FRACTIONAL" else 1
        yield label, frame >= least


def holds_our_segments(dataset: Dataset) -> bool:
    """Whether a SEG object, or its metadata, has a segment that is one of our labels."""
    return any(_label_of(segment) for segment in dataset.get("SegmentSequence") or [])


def frames_may_fit(dataset: Dataset, facts: SeriesFacts) -> bool:
    """Whether frames of a SEG object, by its metadata, have the size and direction of a series' images.

    What is not told on either side may fit.
    """
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    own = (dataset.get("PerFrameFunctionalGroupsSequence") or [Dataset()])[0]
    orientation = own.get("PlaneOrientationSequence") or shared.get("PlaneOrientationSequence")
    size = (dataset.get("Rows"), dataset.get("Columns"))
    if None not in size and len(facts.grid) >= 2 and facts.grid[:2] != tuple(float(n) for n in size):
        return False
    cosines = [float(v) for v in orientation[0].get("ImageOrientationPatient") or ()] if orientation else []
    if len(cosines) != 6 or len(facts.grid) != 10:
        return True
    return bool(np.abs(np.array(cosines) - facts.grid[4:]).max() < 2e-3)


def _label_of(segment: Dataset) -> TumorLabel | None:
    label = label_of_name(str(segment.get("SegmentLabel") or ""))
    if label is not None:
        return label
    types = segment.get("SegmentedPropertyTypeCodeSequence")
    value = str(types[0].get("CodeValue", "")) if types else ""
    return next((label for label, code in _TYPES.items() if code[0] == value), None)


def _slice_index(dataset: Dataset, group: Dataset, image: Volume, size: tuple[int, ...], name: str) -> int:
    """The slice of the image on which a frame lies, voxel for voxel."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]

    def first(key: str) -> Any:
        return (group.get(key) or shared.get(key))[0]

    position = np.array([float(v) for v in first("PlanePositionSequence").ImagePositionPatient])
    orientation = first("PlaneOrientationSequence").ImageOrientationPatient
    directions = np.array([float(v) for v in orientation]).reshape(2, 3)
    place = np.linalg.inv(image.affine) @ LPS_TO_RAS @ np.append(position, 1.0)
    index = round(float(place[2]))
    own = (LPS_TO_RAS[:3, :3] @ image.affine[:3, :2] / image.spacing[:2]).T
    fits = np.abs(place[:3] - [0, 0, index]).max() <= PLACE_TOLERANCE_VOXELS
    if not (fits and 0 <= index < image.spatial_shape[2] and np.abs(directions - own).max() < 1e-3):
        raise InvalidValueError(f"{name}: a frame of the SEG object lies beside the slices of its image")
    if size != image.spatial_shape[1::-1]:
        raise InvalidValueError(f"{name}: frames of {size[1]}x{size[0]} on an image of {image.spatial_shape[:2]}")
    return index
