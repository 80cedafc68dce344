"""Label map -> RT Structure Set (PS3.3 A.19): closed contours per slice on the images of one series.

A region with a hole has its outer and inner borders as contours of their own, to be filled by the even-odd rule, as
radiotherapy systems read several contours of one region on one slice.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path

import contourpy
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from medsynth_app import __version__
from medsynth_app.errors import UnsupportedKindError
from medsynth_app.files import whole_file
from medsynth_app.imaging.dicom.segmentation_object import EmptySegmentationError
from medsynth_app.imaging.dicom.series_facts import SYNTHETIC_DATA_TAG, says_synthetic
from medsynth_app.imaging.dicom.study_writing import IMPLEMENTATION_UID
from medsynth_app.imaging.label_writing import SEGMENT_COLORS
from medsynth_app.vocabulary import RESEARCH_NOTICE, TumorLabel

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
PLACE_TOLERANCE_MM = 0.5
_COPIED = (
    "SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID",
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "FrameOfReferenceUID",
    "PositionReferenceIndicator",
)  # fmt: skip


def write_structure_set(
    labels: np.ndarray, affine: np.ndarray, images: Sequence[Path], target: Path, description: str
) -> None:
    """Store a label map as contours that refer to their images.

    Args:
        labels: (columns, rows, slices) uint8, values 0..3, on the grid of the series.
        affine: (4, 4) voxel -> RAS mm.
        images: the single-frame images of that series.
        target: ``.dcm`` file to write; appears whole or not at all.
        description: SeriesDescription.

    Raises:
        EmptySegmentationError: no voxel is labelled.
        UnsupportedKindError: the images are multi-frame, or do not lie on the label map's slices.
    """
    present = [label for label in TumorLabel if (labels == label).any()]
    if not present:
        raise EmptySegmentationError("structure set: no tumour voxel was found, there is nothing to draw")
    headers = [dcmread(path, stop_before_pixels=True) for path in images]
    slices = _images_by_slice(headers, affine, labels.shape[2])
    result = _file(headers[0], description)
    result.StructureSetROISequence = DicomSequence([_region(label, headers[0]) for label in present])
    result.ROIContourSequence = DicomSequence(
        [_contours(label, labels == label, affine, slices) for label in present]
    )
    result.RTROIObservationsSequence = DicomSequence([_observation(label) for label in present])
    result.ReferencedFrameOfReferenceSequence = DicomSequence([_reference(headers)])
    with whole_file(target) as beside:
        result.save_as(beside, write_like_original=False)


def plane_contours(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Closed borders (N, 2) of a mask (columns, rows) in voxels, half way between inside and outside."""
    padded = np.pad(mask.astype(np.float32), 1)
    # contourpy takes z[y, x]: the mask's first axis is x.
    for line in contourpy.contour_generator(z=padded.T).lines(0.5):
        points = np.asarray(line)[:-1] - 1.0
        if len(points) >= 3:
            yield points


def _images_by_slice(headers: Sequence[Dataset], affine: np.ndarray, count: int) -> dict[int, Dataset]:
    found: dict[int, Dataset] = {}
    inverse = np.linalg.inv(_LPS @ affine)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    for header in headers:
        if int(header.get("NumberOfFrames") or 1) > 1 or "ImagePositionPatient" not in header:
            raise UnsupportedKindError("structure set: multi-frame images are not supported; use --dicom-seg")
        place = inverse @ np.append([float(v) for v in header.ImagePositionPatient], 1.0)
        index = round(float(place[2]))
        if np.abs((place[:3] - [0, 0, index]) * spacing).max() > PLACE_TOLERANCE_MM or not 0 <= index < count:
            raise UnsupportedKindError("structure set: an image does not lie on the slices of the label map")
        found[index] = header
    return found


def _contours(label: TumorLabel, mask: np.ndarray, affine: np.ndarray, slices: dict[int, Dataset]) -> Dataset:
    item = Dataset()
    item.ROIDisplayColor = [round(255 * c) for c in SEGMENT_COLORS[label]]
    item.ReferencedROINumber = int(label)
    lps = _LPS @ affine
    contours = []
    for index in np.flatnonzero(mask.any(axis=(0, 1))):
        for points in plane_contours(mask[:, :, index]):
            places = np.c_[points, np.full(len(points), index)] @ lps[:3, :3].T + lps[:3, 3]
            contour = Dataset()
            contour.ContourImageSequence = DicomSequence([_image_reference(slices[int(index)])])
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [format_number_as_ds(round(float(v), 4)) for v in places.ravel()]
            contours.append(contour)
    item.ContourSequence = DicomSequence(contours)
    return item


def _image_reference(header: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item


def _region(label: TumorLabel, header: Dataset) -> Dataset:
    item = Dataset()
    item.ROINumber = int(label)
    item.ReferencedFrameOfReferenceUID = header.get("FrameOfReferenceUID", "")
    item.ROIName = label.label_name
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    return item


def _observation(label: TumorLabel) -> Dataset:
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = int(label)
    item.RTROIInterpretedType = ""
    item.ROIInterpreter = ""
    return item


def _reference(headers: Sequence[Dataset]) -> Dataset:
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = headers[0].SeriesInstanceUID
    series.ContourImageSequence = DicomSequence([_image_reference(header) for header in headers])
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    study.ReferencedSOPInstanceUID = headers[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = DicomSequence([series])
    frame.FrameOfReferenceUID = headers[0].get("FrameOfReferenceUID", "")
    frame.RTReferencedStudySequence = DicomSequence([study])
    return frame


def _file(source: Dataset, description: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    result = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    result.is_little_endian, result.is_implicit_VR = True, False
    for key in _COPIED:
        if key in source:
            setattr(result, key, source[key].value)
    now = datetime.datetime.now()
    result.SOPClassUID, result.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    result.Modality = "RTSTRUCT"
    result.SeriesInstanceUID = generate_uid(prefix=None)
    result.SeriesNumber, result.InstanceNumber = 301, 1
    result.SeriesDescription = description[:64]
    result.StructureSetLabel = "MedSynth"
    result.StructureSetDescription = RESEARCH_NOTICE
    result.StructureSetDate = result.SeriesDate = now.strftime("%Y%m%d")
    result.StructureSetTime = result.SeriesTime = now.strftime("%H%M%S")
    result.Manufacturer, result.SoftwareVersions = "MedSynth", __version__
    result.ApprovalStatus = "UNAPPROVED"
    if says_synthetic(source):
        result.add_new(SYNTHETIC_DATA_TAG, "CS", "YES")
    return result
