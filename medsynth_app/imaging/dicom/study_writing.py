"""A case -> a DICOM study: one classic single-frame MR series a sequence, so that any viewer and archive takes it.

What a NIfTI file does not tell is not made up: acquisition times stay empty, the scanning sequence is "research
mode". The same case gives the same UIDs, so sending it twice replaces and does not double it.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import format_number_as_ds

from medsynth_app import __version__
from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_folder
from medsynth_app.imaging.dicom.series_facts import SYNTHETIC_DATA_TAG
from medsynth_app.imaging.geometry import reorient
from medsynth_app.imaging.provenance.marking import is_marked_synthetic
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import RESEARCH_NOTICE, Modality

DESCRIPTIONS = {
    Modality.FLAIR: "FLAIR",
    Modality.T1: "T1",
    Modality.T1CE: "T1 contrast-enhanced",
    Modality.T2: "T2",
}
"""SeriesDescription; ``series_roles`` reads them back."""

_SLICE_AXES = {
    "S": ("L", "P", "S"), "I": ("L", "P", "S"),
    "R": ("P", "I", "R"), "L": ("P", "I", "R"),
    "A": ("L", "I", "P"), "P": ("L", "I", "P"),
}  # fmt: skip
"""Third voxel axis -> axes of columns, rows and slices: axial, sagittal and coronal images as they are hung."""

IMPLEMENTATION_UID = "2.25.220236548087713349573905513270310426131"
SHEAR_TOLERANCE = 1e-3


@dataclass(frozen=True)
class WrittenStudy:
    """What was written.

    Attributes:
        study_uid: StudyInstanceUID.
        series_uids: modality -> SeriesInstanceUID.
        missing: sequences that the case does not have.
        synthetic: whether the images are marked as synthetic.
        files: number of images.
    """

    study_uid: str
    series_uids: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    synthetic: bool = False
    files: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "study_instance_uid": self.study_uid,
            "series_instance_uids": dict(self.series_uids),
            "missing": list(self.missing),
            "synthetic": self.synthetic,
            "files": self.files,
        }


def write_study(case: CaseFiles, folder: Path, *, synthetic: bool | None = None) -> WrittenStudy:
    """Write a case as a DICOM study.

    Integer voxels that fit into 16 bits keep their values; others are scaled to 16 bits with a rescale slope
    (error at most half a 65535th of the range). Axes are turned (exactly) to the usual display of the slices.

    Args:
        case: at least one sequence; all on one grid or on several.
        folder: must not exist or be empty; appears whole or not at all.
        synthetic: whether to set Synthetic Data (0008,001C); None = as the NIfTI headers say.

    Raises:
        InvalidValueError: no sequence, the folder is in use, or an affine is sheared.
        UnsupportedKindError: a file is not readable.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidValueError(f"folder: {folder.name!r} exists and is not an empty folder")
    volumes = {m: _turned(case.read([m]), f"{case.name} {m}") for m in Modality if not case.missing([m])}
    if not volumes:
        raise InvalidValueError(f"{case.name}: holds no sequence", code="missing_sequence")
    marked = _says_synthetic(case) if synthetic is None else synthetic
    digest = _digest(case.name, volumes)
    study = WrittenStudy(
        study_uid=_uid(digest, "study"),
        series_uids={m.value: _uid(digest, "series", m.value) for m in volumes},
        missing=tuple(case.missing([m.value for m in Modality])),
        synthetic=marked,
        files=sum(v.spatial_shape[2] for v in volumes.values()),
    )
    with whole_folder(folder) as beside:
        for modality, volume in volumes.items():
            for index, image in enumerate(_images(case.name, modality, volume, study, digest)):
                image.save_as(beside / f"{modality.value}_{index + 1:04d}.dcm", write_like_original=False)
    return study


def _turned(volume: Volume, name: str) -> Volume:
    """Flips and permutations to right-handed display axes; refuses what DICOM cannot say."""
    turned = reorient(volume, _SLICE_AXES[nib.aff2axcodes(volume.affine)[2]])
    axes = turned.affine[:3, :3] / turned.spacing
    if np.abs(axes.T @ axes - np.eye(3)).max() > SHEAR_TOLERANCE:
        raise InvalidValueError(f"{name}: its affine is sheared; DICOM images have perpendicular axes")
    return turned


def _says_synthetic(case: CaseFiles) -> bool:
    paths = [case.combined] if case.combined is not None else list(case.sequences.values())
    return any(is_marked_synthetic(path) for path in paths)


def _digest(name: str, volumes: Mapping[Modality, Volume]) -> str:
    digest = hashlib.sha256(name.encode())
    for modality, volume in volumes.items():
        digest.update(modality.value.encode())
        digest.update(np.round(volume.affine, 4).tobytes())
        digest.update(np.ascontiguousarray(volume.array).tobytes())
    return digest.hexdigest()


def _uid(*parts: object) -> str:
    """A UID made from a UUID (PS3.5 B.2) that is made from the parts."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def _images(
    name: str, modality: Modality, volume: Volume, study: WrittenStudy, digest: str
) -> Iterator[FileDataset]:
    voxels, slope, intercept = _sixteen_bits(volume.array[0])
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    columns_apart, rows_apart, slices_apart = volume.spacing
    common = Dataset()
    _describe_study(common, name, modality, study, digest)
    _describe_pixels(common, volume.array[0], voxels, slope, intercept)
    common.PixelSpacing = [_decimal(rows_apart), _decimal(columns_apart)]
    common.SliceThickness = _decimal(slices_apart)
    common.SpacingBetweenSlices = _decimal(slices_apart)
    cosines = (lps[:3, :3] / volume.spacing)[:, :2].T
    common.ImageOrientationPatient = [_decimal(v) for v in cosines.ravel()]
    for index in range(voxels.shape[2]):
        image = _file(_uid(digest, modality.value, index))
        image.update(common)
        image.InstanceNumber = index + 1
        position = lps[:3, 3] + index * lps[:3, 2]
        image.ImagePositionPatient = [_decimal(v) for v in position]
        image.SliceLocation = _decimal(float(position @ np.cross(cosines[0], cosines[1])))
        image.PixelData = np.ascontiguousarray(voxels[:, :, index].T).tobytes()
        yield image


def _file(instance_uid: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = UID(instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.is_little_endian, image.is_implicit_VR = True, False
    image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, UID(instance_uid)
    return image


def _describe_study(
    image: Dataset, name: str, modality: Modality, study: WrittenStudy, digest: str
) -> None:
    """Patient, study, series, frame of reference, equipment."""
    image.SpecificCharacterSet = "ISO_IR 192"
    image.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    if study.synthetic:
        image.add_new(SYNTHETIC_DATA_TAG, "CS", "YES")
    image.PatientName = image.PatientID = name[:64]
    image.PatientBirthDate = image.PatientSex = ""
    image.StudyInstanceUID = study.study_uid
    image.StudyID = digest[:12]
    image.StudyDate = image.StudyTime = image.AccessionNumber = image.ReferringPhysicianName = ""
    image.StudyDescription = "MedSynth brain MRI" + (" (synthetic)" if study.synthetic else "")
    image.SeriesInstanceUID = study.series_uids[modality.value]
    image.SeriesNumber = list(Modality).index(modality) + 1
    image.SeriesDescription = DESCRIPTIONS[modality]
    image.Modality = "MR"
    image.BodyPartExamined = "BRAIN"
    image.PatientPosition = "HFS"
    image.FrameOfReferenceUID = _uid(digest, "frame of reference")
    image.PositionReferenceIndicator = ""
    image.Manufacturer = "MedSynth"
    image.SoftwareVersions = __version__
    image.ContentQualification = "RESEARCH"
    image.ImageComments = RESEARCH_NOTICE
    image.ScanningSequence, image.SequenceVariant, image.ScanOptions = "RM", "NONE", ""
    image.MRAcquisitionType = "3D"
    image.RepetitionTime = image.EchoTime = image.EchoTrainLength = None
    if modality is Modality.T1CE:
        image.ContrastBolusAgent = "unspecified"


def _describe_pixels(
    image: Dataset, values: np.ndarray, voxels: np.ndarray, slope: float, intercept: float
) -> None:
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Columns, image.Rows = voxels.shape[:2]
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = int(voxels.dtype == np.int16)
    image.RescaleIntercept, image.RescaleSlope = _decimal(intercept), _decimal(slope)
    image.RescaleType = "US"
    image.BurnedInAnnotation = "NO"
    image.LossyImageCompression = "00"
    seen = values[values != 0]
    low, high = np.percentile(seen, [0.5, 99.5]) if seen.size else (0.0, 1.0)
    low = min(0.0, float(low))
    image.WindowCenter = _decimal((low + float(high)) / 2)
    image.WindowWidth = _decimal(max(1.0, float(high) - low))
    image.DerivationDescription = "Converted from NIfTI by MedSynth " + __version__


def _sixteen_bits(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Voxels as int16 or uint16, rescale slope, rescale intercept.

    Args:
        values: (X, Y, Z) finite float32.
    """
    low, high = float(values.min()), float(values.max())
    if np.array_equal(values, np.round(values)):
        for kind in (np.uint16, np.int16):
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return values.astype(kind), 1.0, 0.0
    slope = (high - low) / 65535 or 1.0
    # The stored texts, not the exact numbers, are what readers multiply with.
    slope, low = float(_decimal(slope)), float(_decimal(low))
    stored = np.clip(np.round((values.astype(np.float64) - low) / slope), 0, 65535)
    return stored.astype(np.uint16), slope, low


def _decimal(value: float) -> str:
    """A number in the 16 characters that DICOM gives it."""
    return format_number_as_ds(float(value) + 0.0)
