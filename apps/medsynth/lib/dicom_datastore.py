"""Cases on a DICOMweb server: an image id is a series, the case is the four sequences of its study.

What is fetched is kept in a cache folder; the server stays the one place where final labels are (as DICOM SEG).
Everything that a viewer gets for a series is on that series' grid and in its voxel order.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monailabel.config import settings as monailabel_settings
from monailabel.datastore.local import DataModel
from monailabel.utils.others.generic import md5_digest
from pydicom import dcmread

from lib.datastore import (
    CASE_FOLDER_ORIGIN,
    FINAL,
    KEY_ORIGIN,
    KEY_VERSION,
    LABEL_ENDING,
    OWN_FOLDER,
    SENDING,
    CaseDatastore,
    _segment_names,
    _Step,
    check_tag,
    with_warnings,
)
from lib.dicom_archive import ArchiveSegmentation, ArchiveSeries, DicomArchive
from medsynth_app import __version__
from medsynth_app.errors import (
    InvalidValueError,
    MedSynthError,
    NotFoundError,
    OverloadedError,
    UnsupportedKindError,
)
from medsynth_app.files import file_digest, whole_file
from medsynth_app.imaging.dicom.segmentation_object import (
    newest_segmentation,
    segmentation_label,
    write_segmentation,
)
from medsynth_app.imaging.dicom.sequence_mapping import SequenceMapping
from medsynth_app.imaging.dicom.series_facts import SeriesFacts
from medsynth_app.imaging.dicom.series_reading import read_series
from medsynth_app.imaging.dicom.series_roles import Resolution, resolve
from medsynth_app.imaging.dicom.study_writing import write_study
from medsynth_app.imaging.formats.nifti_grid import FORM_TOLERANCE_MM, read_nifti_grid
from medsynth_app.imaging.geometry import corner_distance, resample, same_grid
from medsynth_app.imaging.labels import read_label, read_submitted_label, write_label
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.imaging.studies.studies import Study, check_case_name
from medsynth_app.imaging.volume import Volume
from medsynth_app.preparation.study_input import SeriesInput, StudyInput
from medsynth_app.vocabulary import RESEARCH_NOTICE, Modality

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 10.0
SAME_GRID_MM = 0.01
SAME_PLACE_MM = 0.5
"""Series of different frames of reference whose grids agree so well are taken for one examination."""
SEARCH_FILTER_VARIABLE = "MONAI_LABEL_DICOMWEB_SEARCH_FILTER"


@dataclass(frozen=True)
class ArchiveCase(CaseFiles):
    """The sequences of a study on the grid of one of its series.

    Attributes:
        problems: modality -> why it is not there.
        native: the sequences on grids of their own, for a study that has to be prepared first.
        opened: the series that the user looks at, as an image file.
    """

    problems: dict[str, str] = field(default_factory=dict)
    native: StudyInput | None = None
    opened: Path | None = None

    def read(self, modalities: Any = None, *, blanks: int = 0) -> Volume:
        """As in the base class; a missing sequence is explained."""
        wanted = [m.value for m in Modality] if modalities is None else list(modalities)
        missing = self.missing(wanted)
        reasons = [f"{m}: {self.problems[m]}" for m in missing if m in self.problems]
        if reasons and len(missing) > blanks:
            raise InvalidValueError(
                f"image: missing sequence {'; '.join(reasons)}. An operator can name the series: "
                "--conf sequence_mapping 't1ce=REGEX;flair=REGEX'",
                code="missing_sequence",
            )
        return super().read(modalities, blanks=blanks)


class DicomCaseDatastore(CaseDatastore):
    """The MR series of a DICOMweb server.

    Args:
        url: of the server.
        mapping: an operator's patterns for the sequences.
        read_only: nothing is written but the cache.
        cache: folder of the cache; MONAI Label's setting, else below the user's home, by default.
    """

    largest_background_batch = 100
    """Every one of them is fetched from the server first."""

    def __init__(
        self, url: str, mapping: SequenceMapping, read_only: bool = False, cache: Path | None = None
    ) -> None:
        self._archive = DicomArchive(url)
        self._mapping = mapping
        self._listed: dict[str, ArchiveSeries] = {}
        self._segmentations: dict[str, ArchiveSegmentation] = {}
        root = (cache or _cache_folder()) / md5_digest(url)
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().__init__(root, read_only)

    # ---- looking -------------------------------------------------------------------------------------

    def case(self, image_id: str) -> ArchiveCase:
        """The sequences of a series' study, fetched and brought to the grid of that series.

        Raises:
            NotFoundError: no such series.
            InvalidValueError: the series is no MR volume. (A sequence that cannot be told is named when the
                case is read.)
            OverloadedError: the server does not answer.
        """
        self.study(image_id)
        facts = {f.uid: f for f in self._archive.study_facts(self._listed[image_id].study_uid)}
        if image_id not in facts:
            raise InvalidValueError("image: the series is no MR series; choose one of the brain MRI")
        resolution = resolve(list(facts.values()), image_id, self._mapping)
        wanted = [image_id, *(s.uid for s in resolution.series.values() if s.uid != image_id)]
        with ThreadPoolExecutor(len(wanted)) as pool:
            files = dict(zip(wanted, pool.map(self._volume_or_error, wanted)))
        return self._aligned_case(facts[image_id], resolution, files)

    def _volume_or_error(self, uid: str) -> Path | MedSynthError:
        try:
            return self._volume_file(uid)
        except OverloadedError:
            raise
        except MedSynthError as error:
            return error

    def _aligned_case(
        self, chosen: SeriesFacts, resolution: Resolution, files: Mapping[str, Path | MedSynthError]
    ) -> ArchiveCase:
        grid = files[chosen.uid]
        if isinstance(grid, MedSynthError):
            raise grid
        sequences, origins, problems, notes = {}, {}, dict(resolution.problems), list(resolution.notes)
        for modality, series in resolution.series.items():
            try:
                file = files[series.uid]
                if isinstance(file, MedSynthError):
                    raise file
                sequences[modality], note = self._on_grid(file, series, grid, chosen)
                notes += [note] if note else []
                origins[modality] = {
                    "series": series.number, "description": series.title, "series_uid": series.uid,
                    "why": resolution.reasons.get(modality, ""), "interpolated": bool(note),
                }  # fmt: skip
            except MedSynthError as error:
                problems[modality] = error.message
        native = {
            modality: SeriesInput(
                modality, series.title, (found,), frame_of_reference=series.frame_of_reference, uid=series.uid
            )
            for modality, series in resolution.series.items()
            if isinstance(found := files[series.uid], Path)
        }
        study = StudyInput(chosen.uid, native, problems=dict(resolution.problems), notes=resolution.notes)
        return ArchiveCase(
            chosen.uid, sequences, notes=tuple(notes), origins=origins, problems=problems,
            native=study, opened=grid
        )

    def _on_grid(self, file: Path, series: SeriesFacts, grid: Path, chosen: SeriesFacts) -> tuple[Path, str]:
        """A file of the series on the chosen grid, and a note where voxels had to be interpolated."""
        source, target = _grid_of(file), _grid_of(grid)
        if same_grid(source, target, SAME_GRID_MM):
            return file, ""
        frames = {series.frame_of_reference, chosen.frame_of_reference}
        if len(frames) > 1 and not same_grid(source, target, SAME_PLACE_MM):
            raise InvalidValueError(
                f"{series.title!r} and {chosen.title!r} have different frames of reference and grids; "
                "register them first"
            )
        aligned = self.root / OWN_FOLDER / "aligned" / chosen.uid / f"{series.uid}.nii.gz"
        if not _is_newer(aligned, file, grid):
            volume = resample(read_volume(file, series.title), target.affine, target.spatial_shape)
            _store_volume(volume, aligned)
        return aligned, f"{series.title!r} was interpolated onto the grid of {chosen.title!r}"

    def _volume_file(self, uid: str) -> Path:
        """The NIfTI file of a series, made once from its images."""
        listed = self._listed_series(uid)
        images, target = self._images(listed), self.root / f"{uid}{LABEL_ENDING}"
        if not _is_newer(target, images):
            title = listed.info.get("SeriesDescription") or "series"
            _store_volume(read_series(sorted(images.glob("*.dcm")), repr(title)), target)
        return target

    def _images(self, listed: ArchiveSeries) -> Path:
        """The folder with the images of a series; fetched again if the server has another number of them."""
        folder = self.root / OWN_FOLDER / "series" / listed.uid
        here = len(list(folder.glob("*.dcm"))) if folder.is_dir() else 0
        if here == 0 or (listed.images and here != listed.images):
            self._archive.download(listed.study_uid, listed.uid, folder)
        return folder

    def _listed_series(self, uid: str) -> ArchiveSeries:
        if uid in self._listed:
            return self._listed[uid]
        # A search filter may hide series that are sequences of a visible one's study.
        found = self._archive.series({"SeriesInstanceUID": uid})
        exact = next((series for series in found if series.uid == uid), None)
        if exact is None:
            raise NotFoundError(f"image: there is no series {uid!r}")
        return exact

    def display_file(self, image_id: str, modality: str | None = None) -> Path:
        """The series itself as NIfTI, or another sequence of its study on its grid."""
        known = [m.value for m in Modality]
        if modality is not None and modality not in known:
            raise InvalidValueError(f"modality: {modality[:40]!r} must be one of {', '.join(known)}")
        self.study(image_id)
        if modality is None:
            return self._volume_file(image_id)
        case = self.case(image_id)
        case.read([modality])
        return case.sequences[modality]

    def labelled_case(self, image_id: str) -> CaseFiles:
        """A case whose ``label`` is its final label; raises as ``case`` and ``label_file``."""
        return replace(self.case(image_id), label=self.label_file(image_id, FINAL))

    def is_synthetic(self, image_id: str) -> bool:
        """Whether the images say that they are generated."""
        return image_id in self._listed and self._archive.series_facts(self._listed[image_id]).synthetic

    def find_out_synthetic(self, image_id: str) -> bool:
        """What its images say: a DICOM image that was made here is marked, and holds other voxels than its source."""
        return self.is_synthetic(image_id)

    def examination(self, image_id: str) -> str:
        """The study: its series show one head."""
        listed = self._listed.get(image_id)
        return listed.study_uid if listed else image_id

    def signature(self, image_id: str) -> tuple[tuple[str, int, int], ...]:
        """The series by its identifier and its number of images; what a series holds does not change."""
        listed = self._listed_series(image_id)
        return ((listed.uid, int(listed.images or 0), 0),)

    def checksum(self, image_id: str) -> str:
        """SHA-256 of what ``signature`` says."""
        return hashlib.sha256(repr(self.signature(image_id)).encode()).hexdigest()

    def get_unlabeled_images(self, label_tag: str | None = None, labels: Any = None) -> list[str]:
        """Series to annotate: of studies in which no series has a final label, and not synthetic."""
        self.refresh_if_changed()
        labelled = {self._listed[uid].study_uid for uid in self.get_labeled_images() if uid in self._listed}
        waiting = [s for s in list(self._listed.values()) if s.study_uid not in labelled]
        # The images of a study are generated together or not at all: one series of each is asked.
        first = {series.study_uid: series.uid for series in reversed(waiting)}
        synthetic = {study for study, uid in first.items() if self.is_synthetic(uid)}
        return [series.uid for series in waiting if series.study_uid not in synthetic]

    # ---- changing ------------------------------------------------------------------------------------

    def save_label(
        self, image_id: str, label_filename: str, label_tag: str, label_info: Mapping[str, Any]
    ) -> str:
        """Store a label after checking it: a final one as DICOM SEG on the server, others in the cache.

        A final label without any voxel (a reader found no tumour) stays in the cache: a SEG object cannot be
        empty.

        Raises:
            InvalidValueError: wrong grid, unknown values or names (422).
            OverloadedError: the server does not take it; nothing is stored.
        """
        tag = check_tag(label_tag)
        if tag != FINAL or self.read_only:
            return super().save_label(image_id, label_filename, label_tag, label_info)
        image = read_volume(self.display_file(image_id), image_id)
        submitted = read_label(Path(label_filename), image, _segment_names(label_info), "label")
        labels = submitted.labels
        if not labels.any():
            return super().save_label(image_id, label_filename, label_tag, label_info)
        label_info = with_warnings(label_info, submitted)
        with self._changing(writes_index=False):
            model = self._model(image_id)
            paths = [self._label_path(image_id, FINAL), *self._coming_versions(image_id, FINAL)]
            with self._whole(image_id, paths, "label.stored", tag=FINAL) as step:
                version = self._keep_version(image_id, labels, image.affine, label_info)
                paths[0].unlink(missing_ok=True)
                info = {
                    **version.info, "ts": int(version.seconds), "name": paths[0].name, KEY_ORIGIN: CASE_FOLDER_ORIGIN,
                    "author": version.author, KEY_VERSION: version.number,
                }  # fmt: skip
                model.labels[FINAL] = DataModel(ext=LABEL_ENDING, info=info)
                self._write_index()
                self._store_segmentation(image_id, labels, image.affine, step)
        self.refresh()
        return image_id

    def _store_segmentation(self, image_id: str, labels: np.ndarray, affine: np.ndarray, step: _Step) -> None:
        """Send it, last of all: what the server has taken cannot be taken back."""
        images = self._images(self._listed[image_id])
        with tempfile.TemporaryDirectory(prefix="medsynth-") as folder:
            target = Path(folder) / "segmentation.dcm"
            write_segmentation(labels, affine, images, target, "MedSynth label", automatic=False)
            uid = str(dcmread(target, stop_before_pixels=True).SeriesInstanceUID)
            step.facts |= {"segmentation": uid, "sha256": file_digest(target, "sha256")}
            self._note(SENDING, image_id, step.change.identifier, step.facts)
            self._archive.store([target])
        step.is_sent = True
        try:
            write_label(labels, affine, self._label_cache(uid))
        except OSError as error:
            logger.warning("a label is fetched again when it is needed: %s", type(error).__name__)

    def _has_arrived(self, segmentation: str) -> bool:
        return segmentation in {found.uid for found in self._archive.segmentations().values()}

    def _take_up_versions(self) -> None:
        """Nothing: the final labels are on the server."""

    def _after_undone(self) -> None:
        self._config_ts = 0  # the list of series is the server's

    def segmentation_object(self, image_id: str, label_file: Path) -> Path:
        """A prediction as a temporary DICOM SEG file that refers to the series.

        Raises:
            EmptySegmentationError: there is no voxel in it.
        """
        image = read_volume(self.display_file(image_id), image_id)
        labels = read_submitted_label(label_file, image)
        handle, name = tempfile.mkstemp(suffix=".dcm", prefix="medsynth-")
        os.close(handle)
        target = Path(name)
        try:
            images = self._images(self._listed[image_id])
            write_segmentation(labels, image.affine, images, target, "MedSynth prediction", automatic=True)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return target

    def add_case(
        self, image_id: str, sequences: Mapping[str, Path], label: Path | None, info: Mapping[str, Any],
        *, generated: bool = True,
    ) -> str:  # fmt: skip
        """Send a generated case to the server as a new study; answers the series of its first sequence."""
        if not generated:
            return self.add_image(image_id, "", info)
        if self.read_only:
            raise InvalidValueError("datastore: this process may only read it")
        name = check_case_name(image_id)
        with tempfile.TemporaryDirectory(prefix="medsynth-") as folder:
            study = write_study(CaseFiles(name, dict(sequences)), Path(folder) / "study", synthetic=True)
            self._archive.store(sorted((Path(folder) / "study").glob("*.dcm")))
        self.refresh()
        first = next(iter(study.series_uids.values()))
        if label is not None:
            self.save_label(first, str(label), FINAL, {})
        self.update_image_info(first, info)
        return first

    def add_image(self, image_id: str, image_filename: str, image_info: Mapping[str, Any]) -> str:
        """Refused: studies come from the DICOMweb server."""
        raise InvalidValueError(
            "image: the studies are on a DICOMweb server; send DICOM images there "
            "(`medsynth dicom` makes them from NIfTI files)"
        )

    def remove_image(self, image_id: str) -> None:
        """Refused: deleting is the DICOMweb server's business."""
        self.study(image_id)
        raise InvalidValueError("image: the studies are on a DICOMweb server; delete them there")

    # ---- index ---------------------------------------------------------------------------------------

    def refresh_if_changed(self) -> None:
        """Ask the server again if the last answer is some seconds old."""
        if time.monotonic() - self._last_look >= SECONDS_BETWEEN_LOOKS:
            self.refresh()

    def _reconcile_datastore(self) -> None:
        self._last_look = time.monotonic()
        try:
            listed = {series.uid: series for series in self._archive.series(_search_filter())}
            segmentations = self._archive.segmentations(self._unreadable())
        except MedSynthError as error:
            # A server that is away for a moment must not empty the index.
            logger.warning("the list of studies stays as it is: %s", error.message)
            return
        with self._mutex:
            self._listed, self._segmentations = listed, segmentations
            self._studies = {
                uid: Study(uid, self.root / f"{uid}{LABEL_ENDING}", False) for uid in sorted(listed)
            }
            changed = self._sync_images()
            changed |= self._sync_labels()
            self._count()
            if changed and not self.read_only:
                with self._changing():
                    pass

    def _basic_info(self, study: Study) -> dict[str, Any]:
        return {**self._listed[study.name].info, "name": study.path.name, "notice": RESEARCH_NOTICE}

    def _has_folder_label(self, name: str) -> bool:
        """The labels that came with the studies are the SEG objects on the server."""
        return name in self._segmentations

    def _folder_label(self, image_id: str) -> Path:
        """The newest SEG object of a series as a label map, fetched once."""
        found = self._segmentations.get(image_id)
        if found is None:
            raise NotFoundError(f"label: series {image_id!r} has no DICOM SEG any more")
        target = self._label_cache(found.uid)
        if not target.exists():
            image = read_volume(self.display_file(image_id), image_id)
            folder = self.root / OWN_FOLDER / "segmentations" / found.uid
            self._archive.download(found.study_uid, found.uid, folder)
            try:
                label = segmentation_label(newest_segmentation(folder), image, f"{image_id} label")
            except (InvalidValueError, UnsupportedKindError) as error:
                self._set_aside(found.uid, error)
                raise
            write_label(label.labels, image.affine, target)
            self._note_warnings(image_id, label)
            shutil.rmtree(folder, ignore_errors=True)
        return target

    def _set_aside(self, uid: str, error: MedSynthError) -> None:
        """A SEG object that cannot be read is no label: its series waits for one again."""
        logger.warning("the DICOM SEG series %s does not count as a label: %s", uid, error.message)
        with whole_file(self._unreadable_mark(uid)) as beside:
            beside.write_text(error.message, encoding="utf-8")
        self.refresh()

    def _unreadable(self) -> set[str]:
        ending = self._unreadable_mark("").name
        return {path.name.removesuffix(ending) for path in (self.root / OWN_FOLDER / "labels").glob(f"*{ending}")}

    def _unreadable_mark(self, uid: str) -> Path:
        # Another version may be able to read it.
        return self.root / OWN_FOLDER / "labels" / f"{uid}.unreadable-{__version__}"

    def _label_cache(self, segmentation_uid: str) -> Path:
        return self.root / OWN_FOLDER / "labels" / f"{segmentation_uid}{LABEL_ENDING}"

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Delete a label of the cache; a DICOM SEG on the server stays."""
        tag = check_tag(label_tag)
        self.label_file(label_id, tag)
        labels = self._model(label_id).labels
        if tag == FINAL and labels[tag].info.get("origin") == CASE_FOLDER_ORIGIN:
            raise InvalidValueError("label: it is a DICOM SEG on the DICOMweb server; delete it there")
        super().remove_label(label_id, label_tag)


def _cache_folder() -> Path:
    text = (monailabel_settings.MONAI_LABEL_DICOMWEB_CACHE_PATH or "").strip()
    return Path(text) if text else Path.home() / ".cache" / "medsynth" / "dicom"


def _search_filter() -> dict[str, Any]:
    """The operator's filter; MONAI Label's own default asks for CT, brain studies are MR."""
    if SEARCH_FILTER_VARIABLE in monailabel_settings.model_fields_set:
        return dict(monailabel_settings.MONAI_LABEL_DICOMWEB_SEARCH_FILTER)
    return {"Modality": "MR"}


def _grid_of(path: Path) -> Volume:
    """A volume without voxels to speak of: shape and affine from the header."""
    image: Any = nib.load(path)
    affine = read_nifti_grid(path, path.stem)
    affine = np.asarray(image.affine, dtype=float) if affine is None else affine
    return Volume(np.broadcast_to(np.uint8(0), (1, *image.shape[:3])), affine)


def _is_newer(target: Path, *sources: Path) -> bool:
    return target.exists() and all(target.stat().st_mtime_ns >= s.stat().st_mtime_ns for s in sources)


def _store_volume(volume: Volume, path: Path) -> None:
    """NIfTI, in 16 bits where that loses nothing; appears whole or not at all."""
    array = volume.array[0]
    if np.array_equal(array, np.round(array)) and array.min() >= -32768 and array.max() <= 32767:
        array = array.astype(np.int16)
    image = nib.Nifti1Image(array, volume.affine)
    image.set_sform(volume.affine, code=1)
    image.set_qform(volume.affine, code=1)
    if corner_distance(image.get_qform(), volume.affine, array.shape) > FORM_TOLERANCE_MM:
        # A qform cannot hold shear; a wrong one would contradict the sform. A little (slice positions that were
        # rounded) is left out of it, so that viewers, which refuse any, have a form to read.
        image.set_qform(None, code=0)
    image.header.set_xyzt_units("mm")
    with whole_file(path) as beside:
        nib.save(image, beside)
