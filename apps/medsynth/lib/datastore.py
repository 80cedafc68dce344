"""A MONAI Label datastore whose image id is a case of several files.

Differences from ``LocalDatastore``: cases are folders (see ``medsynth_app.imaging.studies.studies``), ids keep their
dots, every file and the index appear whole or not at all, a broken index is rebuilt from the folder, and what
a client submits as a label is checked against the image first.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore
from monailabel.interfaces.datastore import DefaultLabelTag

from lib.change_journal import Change, ChangeJournal
from lib.final_labels import FinalLabels
from lib.finite import finite
from lib.index_file import read_index
from medsynth_app.active_learning.facts import checksum_of
from medsynth_app.active_learning.label_versions import LabelVersion, LabelVersions
from medsynth_app.active_learning.reviews import (
    Review,
    ReviewStatus,
    keep_review,
    reviews_file,
    reviews_of,
    status_of,
)
from medsynth_app.errors import (
    InvalidValueError,
    MedSynthError,
    NotFoundError,
    StaleError,
    UnsupportedKindError,
)
from medsynth_app.files import file_digest, whole_file, whole_folder
from medsynth_app.imaging.labels import SubmittedLabel, read_label, write_label
from medsynth_app.imaging.provenance.generated_voxels import generated_here
from medsynth_app.imaging.provenance.marking import is_marked_synthetic, mark_of_file
from medsynth_app.imaging.provenance.same_images import file_digests
from medsynth_app.imaging.provenance.voxel_digest import channel_digests
from medsynth_app.imaging.reading import IMAGE_ENDINGS, read_volume
from medsynth_app.imaging.studies.cases import CaseFiles, image_stem
from medsynth_app.imaging.studies.folder_entries import read_folder
from medsynth_app.imaging.studies.studies import (
    PICTURE_ENDINGS,
    Study,
    StudyListing,
    check_case_name,
    display_file,
    list_studies,
    name_and_file,
    open_study,
)
from medsynth_app.vocabulary import LABEL_NAMES, RESEARCH_NOTICE

logger = logging.getLogger(__name__)

LABEL_ENDING = ".nii.gz"
OWN_FOLDER = ".medsynth"
CASE_FOLDER_ORIGIN = "case folder"
KEY_ORIGIN = "origin"
KEY_VERSION = "version"
KEY_WARNINGS = "warnings"
SENDING = "label.sending"
"""In the audit: a label is about to be sent to another server; what came of it is the next line of that change."""
FINAL = DefaultLabelTag.FINAL.value
TAG_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
TAG_RULE = "must be 1 to 64 letters, digits, '_' and '-'"
SECONDS_BETWEEN_LOOKS = 1.0


def check_tag(tag: object) -> str:
    """The label tag itself, if it can be one.

    Raises:
        InvalidValueError: anything else.
    """
    text = getattr(tag, "value", tag)
    if isinstance(text, str) and TAG_PATTERN.fullmatch(text):
        return text
    raise InvalidValueError(f"tag: {str(text)[:40]!r} {TAG_RULE}")


@dataclass
class _Step:
    """A change of files and index that is under way.

    Attributes:
        change: how it is put back.
        facts: what the audit says of it beside its action.
        is_sent: another server has it for good: what is left to do here cannot undo it any more.
    """

    change: Change
    facts: dict[str, Any] = field(default_factory=dict)
    is_sent: bool = False


class CaseDatastore(LocalDatastore):
    """Cases of a studies folder and their labels.

    Args:
        root: the studies folder; made if it is not there.
        read_only: nothing is written (training and batch processes beside the server).
    """

    largest_background_batch = 1_000_000
    """So many cases the network looks at in the background, to propose the most useful ones."""

    def __init__(self, root: Path, read_only: bool = False) -> None:
        self.root = root
        self.read_only = read_only
        self._studies: dict[str, Study] = {}
        self._listing = StudyListing()
        self._label_times: tuple[int, ...] = ()
        self._told: set[tuple[str, str]] = set()
        self._marked: dict[tuple[str, int], bool] = {}
        self._last_look = 0.0
        self._mutex = threading.RLock()
        self._looking = threading.Lock()
        self._counts: dict[str, Any] = {"total": 0, "completed": 0, "label_tags": {}}
        self.versions = LabelVersions(root / OWN_FOLDER / "versions")
        if not read_only:
            _check_writable(root)
        self._journal = ChangeJournal(root, root / OWN_FOLDER / "changes")
        self.final_labels = FinalLabels(root, root / OWN_FOLDER, read_only)
        super().__init__(str(root), extensions=[f"*{e}" for e in IMAGE_ENDINGS], auto_reload=False)
        if not read_only:
            self._finish_broken_off()
            self._take_up_versions()

    # ---- looking -------------------------------------------------------------------------------------

    def case(self, image_id: str) -> CaseFiles:
        """The files of a case as they are now.

        Raises:
            InvalidValueError: not a case name, or its files are gone.
            NotFoundError: no such case.
        """
        return open_study(self.study(image_id), self._studies)

    def study(self, image_id: str) -> Study:
        """The place of a case; raises as ``case``."""
        _check_id(image_id)
        if image_id not in self._studies:
            self.refresh()
        if image_id not in self._studies:
            raise NotFoundError(f"image: there is no case {image_id!r} in the datastore")
        return self._studies[image_id]

    def display_file(self, image_id: str, modality: str | None = None) -> Path:
        """The file of one sequence of a case, a scalar 3-D volume; raises as ``case``."""
        study = self.study(image_id)
        return display_file(study, self.case(image_id), modality, self.root / OWN_FOLDER / "display")

    def get_image_uri(self, image_id: str) -> str:
        """Path of the display sequence, ``""`` for an unknown id (as MONAI Label expects)."""
        try:
            return str(self.display_file(image_id))
        except NotFoundError:
            return ""

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """What is stored about a case; no path of the server."""
        self.study(image_id)
        model = self._datastore.objects.get(image_id)
        return {**json.loads(json.dumps(model.image.info, default=str)), "path": ""} if model else {}

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Path of a label with canonical values on the image's grid, ``""`` where there is none."""
        tag = check_tag(label_tag)
        label = self._datastore.label(check_case_name(label_id, "label"), tag)
        if label is None:
            return ""
        if label.info.get(KEY_ORIGIN) == CASE_FOLDER_ORIGIN:
            return str(self._folder_label(label_id))
        if tag == FINAL:
            return str(self.final_labels.file(label_id))
        return str(self.root / "labels" / tag / f"{label_id}{LABEL_ENDING}")

    def _folder_label(self, image_id: str) -> Path:
        """The case folder's own label, its values brought to MedSynth's once and kept."""
        case = self.case(image_id)
        if case.label is None:
            raise NotFoundError(f"label: case {image_id!r} has no label file any more")
        target = self.root / OWN_FOLDER / "labels" / f"{image_id}{LABEL_ENDING}"
        if not target.exists() or target.stat().st_mtime < case.label.stat().st_mtime:
            image = read_volume(self.display_file(image_id), image_id)
            label = read_label(case.label, image, name=f"{image_id} label")
            write_label(label.labels, image.affine, target, mark_of_file(case.label))
            self._note_warnings(image_id, label)
        return target

    def _note_warnings(self, image_id: str, label: SubmittedLabel) -> None:
        """What was doubtful in a label that came with the studies, for the log and for who asks about the label."""
        for warning in label.warnings:
            logger.warning("%s", warning)
        stored = self._model(image_id).labels.get(FINAL)
        if stored is not None and label.warnings:
            stored.info[KEY_WARNINGS] = list(label.warnings)

    def label_file(self, image_id: str, tag: str) -> Path:
        """Path of a label.

        Raises:
            NotFoundError: there is none of that tag.
        """
        self.study(image_id)
        path = self.get_label_uri(image_id, tag)
        if not path:
            self.refresh_if_changed()  # another process, batch inference, may have stored it
            path = self.get_label_uri(image_id, tag)
        if not path or not os.path.isfile(path):
            raise NotFoundError(f"label: case {image_id!r} has no label with tag {check_tag(tag)!r}")
        return Path(path)

    def labelled_case(self, image_id: str) -> CaseFiles:
        """A case whose ``label`` is its final label.

        Raises:
            NotFoundError: it has none.
        """
        case = self.case(image_id)
        label = self.label_file(image_id, FINAL)
        return CaseFiles(case.name, case.sequences, case.combined, label)

    def is_synthetic(self, image_id: str) -> bool:
        """Whether the case was generated; such cases never enter validation or annotation queues."""
        model = self._datastore.objects.get(image_id)
        if model is None:
            return False
        if model.image.info.get("synthetic"):
            return True
        # Files that came into the folder by hand carry the mark in their header only.
        try:
            key = (image_id, self.study(image_id).path.stat().st_mtime_ns)
            if key not in self._marked:
                self._marked[key] = any(map(is_marked_synthetic, self._image_files(image_id)))
            return self._marked[key]
        except (MedSynthError, OSError):
            return False  # a case without readable files is explained where it is opened

    def find_out_synthetic(self, image_id: str) -> bool:
        """As ``is_synthetic``, by the voxels too, if anything was ever generated here: the images are read for it.

        What is found out is noted, so that nobody needs to find it out again.
        """
        if self.is_synthetic(image_id):
            return True
        table = generated_here()
        if table.is_empty() or image_id not in self._datastore.objects:
            return False
        try:
            mark = table.find(digest for path in self._image_files(image_id) for digest in file_digests(path))
        except (MedSynthError, OSError):
            return False  # as above
        if mark is None:
            return False
        if not self.read_only:
            with self._changing():
                self._model(image_id).image.info["synthetic"] = mark.as_dict()
        logger.warning("a case without a mark was generated here: it is taken for synthetic")
        return True

    def examination(self, image_id: str) -> str:
        """What two annotators must not work on at once: here the case itself."""
        return image_id

    def signature(self, image_id: str) -> tuple[tuple[str, int, int], ...]:
        """Names, sizes and times of a case's images: changes whenever one of them does; raises as ``case``."""
        facts = [(path.name, path.stat()) for path in self._image_files(image_id)]
        return tuple(sorted((name, found.st_size, found.st_mtime_ns) for name, found in facts))

    def checksum(self, image_id: str) -> str:
        """SHA-256 of a case's images; raises as ``case``."""
        return checksum_of(self._image_files(image_id))

    def _image_files(self, image_id: str) -> list[Path]:
        case = self.case(image_id)
        files = [case.combined] if case.combined else list(case.sequences.values())
        return files or [self.study(image_id).path]

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        """Image and label files of the cases with a final label."""
        pairs = []
        for image_id in self.get_labeled_images():
            try:
                pair = {"image": str(self.display_file(image_id)), "label": self.get_label_uri(image_id, FINAL)}
            except MedSynthError as error:
                logger.warning("case %s is left out of the labelled ones: %s", image_id, error.message)
                continue
            pairs.append(pair if full_path else {k: os.path.relpath(v, self.root) for k, v in pair.items()})
        return pairs

    def list_images(self) -> list[str]:
        """Names of all cases, sorted."""
        self.refresh_if_changed()
        return sorted(self._datastore.objects)

    def get_labeled_images(self, label_tag: str | None = None, labels: Any = None) -> list[str]:
        """Cases with a label; a final one that a reviewer sent back does not count."""
        return [name for name in super().get_labeled_images(label_tag, labels) if not self._is_sent_back(name)]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: Any = None) -> list[str]:
        """Cases to annotate: without a final label or with one that was sent back, and not synthetic."""
        self.refresh_if_changed()
        found = {*super().get_unlabeled_images(label_tag, labels), *filter(self._is_sent_back, self._datastore.objects)}
        return [name for name in self._datastore.objects if name in found and not self.is_synthetic(name)]

    def _is_sent_back(self, image_id: str) -> bool:
        model = self._datastore.objects.get(image_id)
        label = model.labels.get(FINAL) if model is not None else None
        return label is not None and status_of(label.info, KEY_VERSION) is ReviewStatus.SENT_BACK

    # ---- changing ------------------------------------------------------------------------------------

    def add_image(self, image_id: str, image_filename: str, image_info: Mapping[str, Any]) -> str:
        """Store one uploaded volume as a case of its own (Slicer uploads what the user has opened).

        Args:
            image_id: a case name, or the user's name of the file in any script; the file's name by default.
            image_filename: the file.
            image_info: kept with the case.

        Raises:
            InvalidValueError, UnsupportedKindError: bad name or file.
            StaleError: a case of that name exists with other content.
        """
        source = Path(image_filename)
        ending = _image_ending(source.name)
        name, stem = name_and_file(image_id or image_stem(source.name))
        mark = None
        if ending in IMAGE_ENDINGS:
            mark = generated_here().find(channel_digests(read_volume(source, name)))
        target = self.root / f"{stem}{ending}"
        with self._changing(writes_index=False):
            if name in self._studies:
                if target.exists() and target.read_bytes() == source.read_bytes():
                    return name
                raise StaleError(
                    f"image: a case {name!r} exists already with other content; choose another name"
                )
            with self._whole(name, [target], "case.stored"):
                with whole_file(target, durable=True) as beside:
                    shutil.copyfile(source, beside)
                self._studies[name] = Study(name, target, False)
                info = {**finite(image_info), **self._basic_info(self._studies[name])}
                if mark is not None:
                    info.setdefault("synthetic", mark.as_dict())
                self._datastore.objects[name] = ImageLabelModel(image=DataModel(ext=ending, info=info))
        return name

    def add_case(
        self, image_id: str, sequences: Mapping[str, Path], label: Path | None, info: Mapping[str, Any],
        *, generated: bool = True,
    ) -> str:  # fmt: skip
        """Store a generated or uploaded case of several files, with its label where there is one.

        Args:
            image_id: new case name.
            sequences: modality -> NIfTI file; copied.
            label: canonical label map on the same grid, or None.
            info: kept with the case (generator, seed, conditions ...).
            generated: whether it was made here; False for what a client brought.

        Raises:
            StaleError: the name is taken.
        """
        name, stem = name_and_file(image_id)
        folder = self.root / stem
        facts = {"generated": generated, "with_label": label is not None}
        with self._changing(writes_index=False):
            if name in self._studies or folder.exists():
                raise StaleError(f"image: a case {name!r} exists already; choose another name")
            with self._whole(name, [folder], "case.stored", **facts):
                with whole_folder(folder) as beside:
                    for modality, path in sequences.items():
                        shutil.copyfile(path, beside / f"{stem}_{modality}{LABEL_ENDING}")
                    if label is not None:
                        shutil.copyfile(label, beside / f"{stem}_seg{LABEL_ENDING}")
                self._studies[name] = Study(name, folder, True, has_label=label is not None)
                merged = {**finite(info), **self._basic_info(self._studies[name])}
                self._datastore.objects[name] = ImageLabelModel(image=DataModel(ext="", info=merged))
                self._sync_labels()
        return name

    def remove_image(self, image_id: str) -> None:
        """Delete a case and its labels; raises as ``case``."""
        study = self.study(image_id)
        with self._changing(writes_index=False):
            model = self._datastore.objects.get(image_id)
            labels = [self._label_path(image_id, tag) for tag in (model.labels if model else ())]
            gone = [*labels, *self.final_labels.files(image_id), self.versions.folder / image_id, *_files_of(study)]
            gone = list(dict.fromkeys(gone))
            with self._whole(image_id, gone, "case.removed") as step:
                for path in gone:
                    step.change.take_away(path)
                self.final_labels.forget(image_id)
                self._datastore.objects.pop(image_id, None)
                self._studies.pop(image_id, None)

    def save_label(
        self, image_id: str, label_filename: str, label_tag: str, label_info: Mapping[str, Any]
    ) -> str:
        """Store a label after checking it; an unfit one changes nothing, an earlier final one is kept as a version.

        Args:
            image_id: case.
            label_filename: NIfTI or NRRD from a viewer or from inference.
            label_tag: ``final``, ``original`` ...
            label_info: may hold ``label_info``: ``[{"name": ..., "idx": ...}]`` in the viewer's order, and
                ``author`` or ``client_id``.

        Raises:
            InvalidValueError: wrong grid, unknown values or names (422).
        """
        tag = check_tag(label_tag)
        image = read_volume(self.display_file(image_id), image_id)
        submitted = read_label(Path(label_filename), image, _segment_names(label_info), "label")
        labels, label_info = submitted.labels, with_warnings(label_info, submitted)
        with self._changing(writes_index=False):
            model = self._model(image_id)
            paths = [self._label_path(image_id, tag), *self._coming_versions(image_id, tag)]
            with self._whole(image_id, paths, "label.stored", tag=tag) as step:
                if tag == FINAL:
                    version = self._keep_version(image_id, labels, image.affine, label_info)
                    self._make_current(model, image_id, version)
                else:
                    self._write_other_label(model, image_id, tag, labels, image.affine, label_info)
                step.facts["sha256"] = file_digest(self._label_path(image_id, tag), "sha256")
        return image_id

    def _write_other_label(
        self, model: ImageLabelModel, image_id: str, tag: str, labels: np.ndarray, affine: np.ndarray,
        label_info: Mapping[str, Any],
    ) -> None:  # fmt: skip
        target = self._label_path(image_id, tag)
        with whole_file(target, durable=True) as beside:
            write_label(labels, affine, beside, mark_of_file(self.display_file(image_id)))
        info = {**finite(label_info), "ts": int(time.time()), "name": target.name, "labels": LABEL_NAMES}
        model.labels[tag] = DataModel(ext=LABEL_ENDING, info=info)

    def _label_path(self, image_id: str, tag: str) -> Path:
        return self.root / "labels" / tag / f"{image_id}{LABEL_ENDING}"

    def _coming_versions(self, image_id: str, tag: str) -> list[Path]:
        """The files of the two versions that a final label may add: one that came by hand before, and itself."""
        return self.versions.coming(image_id, 2) if tag == FINAL else []

    def _keep_version(
        self, image_id: str, labels: np.ndarray, affine: np.ndarray, label_info: Mapping[str, Any]
    ) -> LabelVersion:
        current = self.root / "labels" / FINAL / f"{image_id}{LABEL_ENDING}"
        if current.is_file():
            self.versions.adopt(image_id, current)
        info = finite(label_info)
        author = str(info.get("author") or info.get("client_id") or "")[:128]
        mark = mark_of_file(self.display_file(image_id))
        return self.versions.add(image_id, labels, affine, info, author, mark)

    def _make_current(self, model: ImageLabelModel, image_id: str, version: LabelVersion) -> None:
        """A version becomes the final label that viewers and trainings read."""
        name = f"{image_id}{LABEL_ENDING}"
        with whole_file(self.root / "labels" / FINAL / name, durable=True) as beside:
            shutil.copyfile(self.versions.file(image_id, version.number), beside)
        info = {
            **version.info, "ts": int(version.seconds), "name": name, "labels": LABEL_NAMES,
            "author": version.author, KEY_VERSION: version.number,
        }  # fmt: skip
        # Where a lost index is made again the version may have been decided upon.
        if decided := reviews_of(self.versions, image_id, version.number):
            info["review"] = decided[-1].shown()
        model.labels[FINAL] = DataModel(ext=LABEL_ENDING, info=info)

    def _take_up_versions(self) -> None:
        """The index or the label was lost, or is older than the newest version that counts: make that one current."""
        for image_id in self.versions.cases():
            model = self._datastore.objects.get(image_id)
            versions = self.versions.versions(image_id)
            if model is None or not versions or versions[-1].deleted:
                continue
            if self.final_labels.is_of_another(self._studies[image_id]):
                continue
            label = model.labels.get(FINAL)
            if label is None or int(label.info.get(KEY_VERSION, 0)) < versions[-1].number:
                try:
                    self._take_up(model, image_id, versions[-1])
                except OSError as error:
                    logger.error("a kept label is not the final one yet: %s", type(error).__name__)

    def _take_up(self, model: ImageLabelModel, image_id: str, version: LabelVersion) -> None:
        paths = [self._label_path(image_id, FINAL)]
        with (
            self._changing(writes_index=False),
            self._whole(image_id, paths, "label.taken_up", tag=FINAL, version=version.number) as step,
        ):
            self._make_current(model, image_id, version)
            step.facts["sha256"] = file_digest(paths[0], "sha256")

    def label_versions(self, image_id: str) -> list[LabelVersion]:
        """Every final label that was ever submitted for a case, oldest first; raises as ``case``."""
        self.study(image_id)
        return self.versions.versions(image_id)

    def label_version_file(self, image_id: str, number: int) -> Path:
        """Path of an earlier final label; raises NotFoundError where there is none of that number."""
        self.study(image_id)
        return self.versions.file(image_id, number)

    def review_label(self, image_id: str, review: Review) -> None:
        """Keep what a reviewer decided about the newest version of a final label; one that is sent back counts as not
        labelled until the next version.

        Raises:
            NotFoundError: no such case or version.
            StaleError: a newer version is there (409).
        """
        self.label_version_file(image_id, review.version)
        with self._changing(writes_index=False):
            newest = self.versions.versions(image_id)[-1]
            label = self._model(image_id).labels.get(FINAL)
            if newest.number != review.version or label is None:
                raise StaleError(
                    f"version: {review.version} of {image_id!r} is not the newest, which is {newest.number}"
                    + (" and was removed" if newest.deleted else "")
                )
            path = reviews_file(self.versions, image_id, review.version)
            facts = {"version": review.version, "status": review.status}
            with self._whole(image_id, [path], "label.reviewed", **facts):
                keep_review(self.versions, image_id, review)
                label.info["review"] = review.shown()

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Take away a label that was submitted; its versions can still be read. One that came with the case folder
        is the owner's file and stays.

        Raises:
            NotFoundError, InvalidValueError: none there, or not ours to delete.
        """
        tag = check_tag(label_tag)
        self.label_file(label_id, tag)
        with self._changing(writes_index=False):
            labels = self._model(label_id).labels
            if labels[tag].info.get(KEY_ORIGIN) == CASE_FOLDER_ORIGIN:
                raise InvalidValueError(f"label: {label_id!r} came with the case folder and is not deleted")
            files = [self._label_path(label_id, tag), *(self.final_labels.files(label_id) if tag == FINAL else ())]
            paths = [*dict.fromkeys(files), *self._coming_versions(label_id, tag)]
            with self._whole(label_id, paths, "label.removed", tag=tag):
                if tag == FINAL:
                    self.versions.delete_newest(label_id)
                    self.final_labels.forget(label_id)
                for path in files:
                    path.unlink(missing_ok=True)
                labels.pop(tag)
                self._sync_labels()

    def update_image_info(self, image_id: str, info: Mapping[str, Any]) -> None:
        """Merge ``info`` into what is stored about a case; nothing to merge writes nothing."""
        self.study(image_id)
        if not info:
            return
        with self._changing():
            self._model(image_id).image.info.update(finite(info))

    def update_label_info(self, label_id: str, label_tag: str, info: Mapping[str, Any]) -> None:
        """Merge ``info`` into what is stored about a label; nothing to merge writes nothing."""
        tag = check_tag(label_tag)
        self.label_file(label_id, tag)
        if not info:
            return
        facts = {"tag": tag, "entries": sorted(map(str, info))}
        with self._changing(writes_index=False), self._whole(label_id, [], "label.described", **facts):
            self._model(label_id).labels[tag].info.update(finite(info))

    # ---- index ---------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Look at the folder again; a case that is deleted meanwhile makes it look once more."""
        for attempts_left in (2, 1, 0):
            try:
                return self._reconcile_datastore()
            except FileNotFoundError:
                if not attempts_left:
                    raise
        return None

    def refresh_if_changed(self) -> None:
        """Look again if a case or label came or went since the last look; cheap enough for every request."""
        now = time.monotonic()
        if now - self._last_look < SECONDS_BETWEEN_LOOKS:
            return
        self._last_look = now
        if self.final_labels.waiting or self._has_changed():
            self.refresh()

    @property
    def is_look_due(self) -> bool:
        """Whether ``status`` will look at the studies, which may take a while; if not, it answers from memory."""
        return time.monotonic() - self._last_look >= SECONDS_BETWEEN_LOOKS

    def status(self) -> dict[str, Any]:
        """Counts for the viewers; looks at the studies first, unless another request is doing so just now."""
        if self._looking.acquire(blocking=False):
            try:
                self.refresh_if_changed()
            finally:
                self._looking.release()
        return dict(self._counts)

    def _count(self) -> None:
        """Called under the lock. The counts are replaced whole: who reads them need not wait for who writes a label."""
        objects = self._datastore.objects.values()
        tags = Counter(tag for model in objects for tag in model.labels)
        self._counts = {"total": len(objects), "completed": tags[FINAL], "label_tags": dict(tags)}

    def json(self) -> dict[str, Any]:
        """The whole index."""
        self.refresh_if_changed()
        with self._mutex:
            return json.loads(json.dumps(finite(super().json()), default=str))

    def _has_changed(self) -> bool:
        """Whether something came or went in a folder that was looked into, or in a label folder."""
        try:
            for folder, time_ns in self._listing.times.items():
                if folder.stat().st_mtime_ns != time_ns:
                    return True
            return _times_of_labels(self.root / "labels") != self._label_times
        except OSError:
            return True

    @property
    def left_out(self) -> dict[str, str]:
        """What lies in the studies folder and is not used: its place below the folder -> why."""
        return {**self._listing.left_out, **self.final_labels.left_out}

    def _tell_left_out(self) -> None:
        """Each is logged once."""
        now = set(self.left_out.items())
        for place, reason in sorted(now - self._told):
            logger.warning("passed over: %s: %s", place, reason)
        self._told = now

    def _reconcile_datastore(self) -> None:
        with self._mutex:
            self._label_times = _times_of_labels(self.root / "labels")
            self._listing = list_studies(self.root)
            self._studies = self._listing.studies
            changed = self._sync_images()
            changed |= self._sync_labels()
            self._tell_left_out()
            self._count()
            if changed and not self.read_only:
                with self._changing():
                    pass

    def _sync_images(self) -> bool:
        objects = self._datastore.objects
        gone = [name for name in objects if name not in self._studies]
        new = [name for name in self._studies if name not in objects]
        for name in gone:
            del objects[name]
        for name in new:
            study = self._studies[name]
            ending = "" if study.is_folder else _image_ending(study.path.name)
            try:
                info = self._basic_info(study)
            except FileNotFoundError:
                continue  # deleted since its name was read
            objects[name] = ImageLabelModel(image=DataModel(ext=ending, info=info))
        if new:
            self._datastore.objects = dict(sorted(objects.items()))
        return bool(gone or new)

    def _sync_labels(self) -> bool:
        """Make the index name exactly the label files that are there."""
        found = {folder.name: _label_files(folder) for folder in _label_folders(self.root / "labels")}
        found[FINAL] = self.final_labels.look(self._studies)
        changed = False
        for name, model in self._datastore.objects.items():
            wanted = {tag: names[name] for tag, names in found.items() if name in names}
            for tag in [t for t in model.labels if t not in wanted]:
                if not (tag == FINAL and self._has_folder_label(name)):
                    del model.labels[tag]
                    changed = True
            for tag, time_stamp in wanted.items():
                if tag not in model.labels or model.labels[tag].info.get(KEY_ORIGIN) == CASE_FOLDER_ORIGIN:
                    info = {"ts": int(time_stamp), "name": f"{name}{LABEL_ENDING}"}
                    model.labels[tag] = DataModel(ext=LABEL_ENDING, info=info)
                    changed = True
            if FINAL not in model.labels and self._has_folder_label(name):
                info = {"name": f"{name}{LABEL_ENDING}", KEY_ORIGIN: CASE_FOLDER_ORIGIN}
                model.labels[FINAL] = DataModel(ext=LABEL_ENDING, info=info)
                changed = True
        return changed

    def _has_folder_label(self, name: str) -> bool:
        study = self._studies.get(name)
        return study is not None and study.has_label

    def _basic_info(self, study: Study) -> dict[str, Any]:
        name = study.path.name if not study.is_folder else f"{study.name}{LABEL_ENDING}"
        return {"ts": int(study.path.stat().st_mtime), "name": name, "notice": RESEARCH_NOTICE}

    def _model(self, image_id: str) -> ImageLabelModel:
        model = self._datastore.objects.get(image_id)
        if model is None:
            raise NotFoundError(f"image: there is no case {image_id!r} in the datastore")
        return model

    def _changing(self, *, writes_index: bool = True) -> _Locked:
        return _Locked(self, writes_index)

    @contextmanager
    def _whole(self, image_id: str, paths: Iterable[Path], action: str, **facts: Any) -> Iterator[_Step]:
        """Files, index and the line in the audit change together or not at all; inside ``_changing``.

        Args:
            image_id: the case that is changed.
            paths: everything that is written, replaced or removed beside the index.
            action: for the audit.
            facts: for the audit.
        """
        index = Path(self._datastore_config_path)
        before = copy.deepcopy(self._datastore.objects.get(image_id)), self._studies.get(image_id)
        try:
            with self._journal.change([*paths, index]) as change:
                step = _Step(change, dict(facts))
                yield step
                try:
                    self._write_index()
                    self._note(action, image_id, change.identifier, step.facts)
                except OSError as error:
                    if not step.is_sent:
                        raise
                    logger.error("a change that was sent is not noted here: %s", type(error).__name__)
        except BaseException:
            _put_back(self._datastore.objects, image_id, before[0])
            _put_back(self._studies, image_id, before[1])
            self._config_ts = index.stat().st_mtime_ns if index.exists() else 0
            raise

    def _note(self, action: str, case: str, change: str, facts: Mapping[str, Any]) -> None:
        """The last step of a change, after which it counts. Nothing where nobody keeps an audit."""

    def _is_noted(self, change: str) -> bool:
        """Whether a change that a dead process left came to its last step."""
        return False

    def _has_arrived(self, segmentation: str) -> bool:
        """Whether another server has a label whose sending a dead process had begun."""
        return False

    def _after_undone(self) -> None:
        """A dead process' change was undone, perhaps a case that came or went: read index and folder again."""
        self._config_ts = 0
        self._listing = list_studies(self.root)
        self._studies = self._listing.studies

    def _finish_broken_off(self) -> None:
        """A server that was killed in a change: what it left is finished or undone (see ``_Locked``)."""
        if self._journal.left():
            try:
                with self._changing(writes_index=False):
                    pass
            except MedSynthError as error:
                logger.error("what a killed server left half done waits for the next change: %s", error.message)
            self.refresh()

    def _init_from_datastore_file(self, throw_exception: bool = False) -> None:
        """Read the index; a broken one is put aside and made anew from the folder."""
        path = Path(self._datastore_config_path)
        if not path.exists():
            return
        try:
            model = read_index(path.read_bytes())
        except ValueError:
            logger.error("%s is broken; it is put aside and rebuilt from the folder", path.name)
            if not self.read_only:
                os.replace(path, path.with_suffix(f".broken-{int(time.time())}"))
            return
        model.base_path = self._datastore_path
        self._datastore = model
        self._config_ts = path.stat().st_mtime_ns

    def _write_index(self) -> None:
        path = Path(self._datastore_config_path)
        with whole_file(path, durable=True) as beside:
            content = json.dumps(self._datastore.model_dump(exclude={"base_path"}), default=str)
            beside.write_text(content, encoding="utf-8")
        self._config_ts = path.stat().st_mtime_ns

    def _update_datastore_file(self, lock: bool = True) -> None:
        with self._changing():
            pass


class _Locked:
    """Holds the locks while something changes; what a dead process left half done is put right first.

    Args:
        datastore: what changes.
        writes_index: write the index at the end, unless something was refused.
    """

    def __init__(self, datastore: CaseDatastore, writes_index: bool) -> None:
        self.datastore = datastore
        self.writes_index = writes_index
        self.lock = FileLock(datastore._lock_file)

    def __enter__(self) -> None:
        store = self.datastore
        if store.read_only:
            raise InvalidValueError("datastore: this process may only read it")
        store._mutex.acquire()
        try:
            self.lock.acquire()
            if store._journal.left() and store._journal.recover(store._is_noted):
                store._after_undone()
            path = Path(store._datastore_config_path)
            if path.exists() and path.stat().st_mtime_ns != store._config_ts:
                # Another process changed the index: take its state first, lose nothing.
                store._init_from_datastore_file()
                store._sync_images()
                store._sync_labels()
        except BaseException:
            self.lock.release()
            store._mutex.release()
            raise

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                if self.writes_index:
                    self.datastore._write_index()
                self.datastore._count()
        finally:
            self.lock.release()
            self.datastore._mutex.release()


def _check_writable(root: Path) -> None:
    """Labels, their versions and the audit are kept in the studies folder.

    Raises:
        InvalidValueError: it is there and cannot be written to.
    """
    if root.is_dir() and not os.access(root, os.W_OK | os.X_OK):
        raise InvalidValueError(
            f"studies: the folder {root.name!r} is read-only; labels and the audit are kept in it: make it writable "
            "for the server's user, or serve a writable folder with links to its cases"
        )


def _put_back(rows: dict[str, Any], name: str, before: Any) -> None:
    """The entry as it was; None = there was none."""
    if before is None:
        rows.pop(name, None)
    else:
        rows[name] = before


def _check_id(image_id: object) -> None:
    """As ``check_case_name``; who asks by the name of a file is told the case's."""
    try:
        check_case_name(image_id)
    except InvalidValueError as error:
        try:
            name, _ = name_and_file(image_id)
        except InvalidValueError:
            raise error from None
        raise InvalidValueError(f"{error.message}; a file of that name is the case {name!r}") from None


def _label_folders(root: Path) -> list[Path]:
    return list(read_folder(root).folders.values()) if root.is_dir() else []


def _label_files(folder: Path) -> dict[str, float]:
    """Case name -> when its label was written."""
    found = {}
    for name, path in read_folder(folder).files.items():
        if name.endswith(LABEL_ENDING):
            try:
                found[name[: -len(LABEL_ENDING)]] = path.stat().st_mtime
            except FileNotFoundError:
                continue  # removed since its name was read
    return found


def _times_of_labels(root: Path) -> tuple[int, ...]:
    """Changes when a label comes or goes, or a folder of them."""
    return tuple(folder.stat().st_mtime_ns for folder in (root, *_label_folders(root)) if folder.is_dir())


def _files_of(study: Study) -> list[Path]:
    """What goes with a case: its folder or file, or its own files of a folder that holds others too."""
    if study.stem is None:
        return [study.path]
    case = open_study(study)
    return [path for path in (*case.sequences.values(), case.label) if path is not None]


def _image_ending(name: str) -> str:
    lower = name.lower()
    for ending in (".nii.gz", *IMAGE_ENDINGS, *PICTURE_ENDINGS):
        if lower.endswith(ending):
            return ending
    allowed = ", ".join((*IMAGE_ENDINGS, *PICTURE_ENDINGS))
    raise UnsupportedKindError(f"file: {name[:60]!r} is of an unknown kind, allowed are {allowed}")


def with_warnings(label_info: Mapping[str, Any], label: SubmittedLabel) -> dict[str, Any]:
    """What is stored about a label, with what was left out of its file."""
    info = {key: value for key, value in (label_info or {}).items() if key != KEY_WARNINGS}
    return {**info, KEY_WARNINGS: list(label.warnings)} if label.warnings else info


def _segment_names(label_info: Mapping[str, Any]) -> list[str] | None:
    """Names of the viewer's segments in their order; ``idx`` is not used, Slicer counts it differently."""
    rows = label_info.get("label_info") if label_info else None
    if not rows:
        return None
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) and "name" in row for row in rows):
        raise InvalidValueError('label_info: must be a list of {"name": ..., "idx": ...}')
    names = [str(row["name"]) for row in rows]
    return [
        name
        for name in names
        if name.strip().lower() not in ("background", "foreground_scribbles", "background_scribbles")
    ]
