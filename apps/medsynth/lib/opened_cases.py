"""What a user opens on the page becomes cases: files of one case by their sequences, or a DICOM folder's studies."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib

from lib.datastore import CaseDatastore
from lib.memorisation_gate import check_override, is_flagged, note_override
from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.imaging.dicom.series_facts import says_synthetic
from medsynth_app.imaging.dicom.tar_reading import lay_out_dicom
from medsynth_app.imaging.labels import read_label, write_label
from medsynth_app.imaging.provenance.generated_voxels import generated_here
from medsynth_app.imaging.provenance.marking import is_marked_synthetic, mark_of_file, mark_synthetic
from medsynth_app.imaging.provenance.same_images import file_digests
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.studies.studies import name_and_file
from medsynth_app.preparation.finding import find_studies
from medsynth_app.preparation.study_input import StudyInput
from medsynth_app.preparation.writing import write_series
from medsynth_app.vocabulary import Modality

SEQUENCES = tuple(modality.value for modality in Modality)


@dataclass
class Opened:
    """What came of it.

    Attributes:
        cases: ``case``, ``sequences``, ``missing``, ``notes`` of each that was stored.
        left_out: study or series -> why it is none.
    """

    cases: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def open_files(
    datastore: CaseDatastore, name: str, files: Mapping[str, Path], label: Path | None, *, allow_flagged: bool
) -> Opened:
    """Store the files of one case.

    Args:
        datastore: where to.
        name: of the case.
        files: sequence -> NIfTI or NRRD file; at least one.
        label: a label map on the grid of one of them.
        allow_flagged: whether a reviewer keeps what the memorisation audit flagged.

    Raises:
        InvalidValueError, UnsupportedKindError: a file is no single volume, or the label does not fit; named by field.
        StaleError: the name is taken.
    """
    name_and_file(name, "name")
    flagged = [sequence for sequence, path in files.items() if is_flagged(path)]
    if flagged:
        check_override(allow_flagged, f"{flagged[0]} says that it lies too near to a training image;")
    with tempfile.TemporaryDirectory(prefix="medsynth-") as folder:
        images = {sequence: _as_nifti(path, sequence, Path(folder)) for sequence, path in files.items()}
        checked = _checked_label(label, files, Path(folder)) if label else None
        case = datastore.add_case(name, images, checked, _origin(list(files.values())), generated=False)
    if flagged:
        note_override(datastore, case, "uploaded")
    return Opened([_told(case, list(files), ())])


def open_dicom(datastore: CaseDatastore, name: str, archive: Path, largest_bytes: int) -> Opened:
    """Store each study of a DICOM folder; what is none of the four sequences is named.

    Args:
        datastore: where to.
        name: of the case, where the folder holds one study; several are named by patient and date.
        archive: the folder as an uncompressed tar file.
        largest_bytes: of all images once they are read.

    Raises:
        UnsupportedKindError, TooLargeError: as ``lay_out_dicom``.
        InvalidValueError: no study of it can be a case; says why.
        StaleError: the name is taken, and nothing else was stored.
    """
    _, stem = name_and_file(name, "name")
    opened, errors = Opened(), []
    with tempfile.TemporaryDirectory(prefix="medsynth-") as parent:
        folder = Path(parent) / stem
        folder.mkdir()
        lay_out_dicom(archive, folder, "dicom", largest_bytes)
        found = find_studies(folder)
        opened.left_out.update(found.failures)
        for study in found.studies:
            try:
                opened.cases.append(_store_study(datastore, study, Path(parent)))
            except MedSynthError as error:
                errors.append(error)
                opened.left_out[study.name] = error.message
                continue
            opened.left_out.update({row["series"]: row["reason"] for row in study.passed_over})
    if opened.cases:
        return opened
    if errors:
        raise errors[0]
    raise InvalidValueError(f"dicom: {'; '.join(opened.left_out.values())}"[:1000], code="missing_sequence")


def _store_study(datastore: CaseDatastore, study: StudyInput, parent: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        images = write_series(study, Path(folder))
        info = _origin(list(images.values()))
        if any(_says_synthetic(series.files[0]) for series in study.series.values()):
            info.setdefault("synthetic", {"synthetic": True, "generator": "unknown"})
        case = datastore.add_case(study.name, images, None, info, generated=False)
    return _told(case, list(study.series), study.notes)


def _says_synthetic(path: Path) -> bool:
    from pydicom import dcmread  # noqa: PLC0415 - only for DICOM folders

    return says_synthetic(dcmread(path, stop_before_pixels=True))


def _told(case: str, sequences: list[str], notes: tuple[str, ...]) -> dict[str, Any]:
    missing = [sequence for sequence in SEQUENCES if sequence not in sequences]
    return {"case": case, "sequences": sequences, "missing": missing, "notes": list(notes)}


def _as_nifti(path: Path, sequence: str, folder: Path) -> Path:
    """A single volume as ``.nii.gz``; what its header says stays, marks of synthetic images above all."""
    volume = read_volume(path, sequence)
    if volume.array.shape[0] != 1:
        raise InvalidValueError(f"{sequence}: must be a single 3-D volume, has {volume.array.shape[0]} channels")
    target = folder / f"{sequence}.nii.gz"
    lower = path.name.lower()
    if lower.endswith(".nii.gz"):
        return path
    if lower.endswith(".nii"):
        with path.open("rb") as source, gzip.open(target, "wb", compresslevel=1) as packed:
            shutil.copyfileobj(source, packed)
        return target
    image = nib.Nifti1Image(volume.array[0], volume.affine)
    image.header.set_xyzt_units("mm")
    mark = mark_of_file(path)
    if mark is not None:
        mark_synthetic(image, mark)
    nib.save(image, target)
    return target


def _checked_label(path: Path, files: Mapping[str, Path], folder: Path) -> Path:
    """The label with MedSynth's values, on the grid of the sequence that viewers are shown first."""
    first = next(sequence for sequence in SEQUENCES if sequence in files)
    image = read_volume(files[first], first)
    label = read_label(path, image, name="label")
    target = folder / "label.nii.gz"
    write_label(label.labels, image.affine, target, mark_of_file(path))
    return target


def _origin(files: list[Path]) -> dict[str, Any]:
    """``synthetic`` where a header says so, or where the voxels were generated here."""
    table = generated_here()
    mark = None if table.is_empty() else table.find(digest for path in files for digest in file_digests(path))
    mark = mark or next(filter(None, map(mark_of_file, files)), None)
    if mark is not None:
        return {"synthetic": mark.as_dict()}
    return {"synthetic": {"synthetic": True, "generator": "unknown"}} if any(map(is_marked_synthetic, files)) else {}
