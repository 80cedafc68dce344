"""A DICOMweb server: what MedSynth asks of it, with time limits and errors that a user can read."""

from __future__ import annotations

import logging
import re
import shutil
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from dicomweb_client.session_utils import (
    create_session,
    create_session_from_gcp_credentials,
    create_session_from_user_pass,
)
from monailabel.config import settings as monailabel_settings
from monailabel.datastore.dicom import DICOMwebClientX
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from requests.adapters import HTTPAdapter

from medsynth_app.errors import NotFoundError, OverloadedError, TooLargeError, UnsupportedKindError
from medsynth_app.files import whole_folder
from medsynth_app.imaging.dicom.segmentation_object import check_kind, frames_may_fit, holds_our_segments
from medsynth_app.imaging.dicom.series_facts import SeriesFacts, facts_of

logger = logging.getLogger(__name__)

CONNECT_SECONDS, READ_SECONDS = 5.0, 120.0
PARALLEL_REQUESTS = 4
IMAGES_AT_ONCE = 50
LISTING_SECONDS = 60.0
LARGEST_LISTING = 100_000
"""Where a list of series ends, whatever the server still has: an endless list must not keep this one from working."""
LARGEST_SERIES = 20_000
"""More images of one series are taken for a server that never ends."""
UID = re.compile(r"[0-9]{1,62}(\.[0-9]{1,62}){1,31}")
INFO_FIELDS = ("StudyDate", "StudyTime", "Modality", "PatientID", "StudyInstanceUID")
"""What MONAI Label's viewers show of an image; not RetrieveURL, which names the server's address."""


@dataclass(frozen=True)
class ArchiveSeries:
    """A series as the server lists it.

    Attributes:
        uid: SeriesInstanceUID.
        study_uid: StudyInstanceUID.
        images: how many images the server says it has, 0 where it does not say.
        info: what viewers show of it.
    """

    uid: str
    study_uid: str
    images: int = 0
    info: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ArchiveSegmentation:
    """A SEG object with segments of ours.

    Attributes:
        uid: its SeriesInstanceUID.
        study_uid: StudyInstanceUID.
        image_uid: series that it was drawn on.
        written: date and time as text that sorts.
    """

    uid: str
    study_uid: str
    image_uid: str
    written: str


class DicomArchive:
    """The server behind a URL.

    Args:
        url: of the DICOMweb service; user, password and path prefixes come from MONAI Label's settings.
    """

    def __init__(self, url: str) -> None:
        self._client = DICOMwebClientX(
            url=url,
            session=_session(url),
            qido_url_prefix=monailabel_settings.MONAI_LABEL_QIDO_PREFIX,
            wado_url_prefix=monailabel_settings.MONAI_LABEL_WADO_PREFIX,
            stow_url_prefix=monailabel_settings.MONAI_LABEL_STOW_PREFIX,
        )
        # The client's own patience, 30 s of growing pauses, is longer than a viewer's.
        self._client.set_http_retry_params(max_attempts=3, wait_exponential_multiplier=100)
        self._facts: dict[str, SeriesFacts] = {}
        self._segmentations: dict[str, ArchiveSegmentation | None] = {}
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def series(self, search_filter: Mapping[str, Any]) -> list[ArchiveSeries]:
        """All series that fit, for example ``{"Modality": "MR"}``.

        Raises:
            OverloadedError: the server does not answer (503); so do all other methods.
        """
        fields = [*INFO_FIELDS, "SeriesDescription", "NumberOfSeriesRelatedInstances"]
        return self._list(None, search_filter, fields)

    def study_facts(self, study_uid: str, modality: str = "MR") -> list[SeriesFacts]:
        """What tells the sequences of a study's series; each series is asked once.

        A series whose metadata cannot be read is passed over.
        """
        listed = self._list(study_uid, {"Modality": modality})
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            found = pool.map(self._facts_or_none, [study_uid] * len(listed), [s.uid for s in listed])
            return [facts for facts in found if facts is not None]

    def _facts_or_none(self, study_uid: str, series_uid: str) -> SeriesFacts | None:
        try:
            return self._series_facts(study_uid, series_uid)
        except (NotFoundError, UnsupportedKindError) as error:
            self._tell_once(f"series {series_uid} is passed over: {error.message}")
            return None

    def series_facts(self, series: ArchiveSeries) -> SeriesFacts:
        """The facts of one series."""
        return self._series_facts(series.study_uid, series.uid)

    def _series_facts(self, study_uid: str, series_uid: str) -> SeriesFacts:
        if series_uid not in self._facts:
            with _answered():
                images = self._client.search_for_instances(study_uid, series_uid, limit=1)
                if not images:
                    raise NotFoundError("image: the series holds no image any more")
                image_uid = str(Dataset.from_json(images[0]).SOPInstanceUID)
                metadata = self._client.retrieve_instance_metadata(study_uid, series_uid, image_uid)
            self._facts[series_uid] = facts_of(_dataset(metadata, "series"))
        return self._facts[series_uid]

    def segmentations(self, unreadable: Collection[str] = ()) -> dict[str, ArchiveSegmentation]:
        """The newest SEG object of ours of each image series.

        Args:
            unreadable: UIDs of SEG series that turned out to be none when they were read.
        """
        newest: dict[str, ArchiveSegmentation] = {}
        for listed in self._list(None, {"Modality": "SEG"}):
            found = self._segmentation(listed) if listed.uid not in unreadable else None
            if found and found.written >= getattr(newest.get(found.image_uid), "written", ""):
                newest[found.image_uid] = found
        return newest

    def _segmentation(self, listed: ArchiveSeries) -> ArchiveSegmentation | None:
        """SEG objects do not change: each is asked once. One that cannot be read is none, and stops no other."""
        if listed.uid not in self._segmentations:
            try:
                with _answered():
                    metadata = self._client.retrieve_series_metadata(listed.study_uid, listed.uid)
                self._segmentations[listed.uid] = self._readable(_dataset(metadata, "segmentation"), listed)
            except (NotFoundError, UnsupportedKindError) as error:
                self._tell_once(f"the DICOM SEG series {listed.uid} does not count as a label: {error.message}")
                self._segmentations[listed.uid] = None
        return self._segmentations[listed.uid]

    def _readable(self, image: Dataset, listed: ArchiveSeries) -> ArchiveSegmentation | None:
        """A SEG object by its metadata, None where it has no segment of ours.

        Raises:
            UnsupportedKindError: its kind cannot be read, or its frames cannot be those of its image series.
        """
        found = _segmentation(image, listed)
        if found is not None:
            check_kind(image, "segmentation")
            facts = self._facts_or_none(listed.study_uid, found.image_uid)
            if facts is not None and not frames_may_fit(image, facts):
                raise UnsupportedKindError("segmentation: its frames have another size or direction than its images")
        return found

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            logger.warning("%s", text)

    def download(self, study_uid: str, series_uid: str, folder: Path) -> None:
        """All images of a series as files of ``folder``, which is replaced whole or not at all."""
        with ExitStack() as at_last, whole_folder(folder) as beside:
            with _answered():
                for number, image in enumerate(self._client.iter_series(study_uid, series_uid)):
                    if number >= LARGEST_SERIES:
                        raise TooLargeError(f"image: the series has more than {LARGEST_SERIES} images")
                    image.save_as(beside / f"{number:05d}.dcm", write_like_original=False)
            if not any(beside.iterdir()):
                raise NotFoundError("image: the series holds no image any more")
            # held until the new folder stands where the old one was
            at_last.enter_context(self._lock)
            if folder.exists():
                shutil.rmtree(folder)

    def store(self, paths: Sequence[Path]) -> None:
        """Send files to the server (STOW-RS).

        Raises:
            OverloadedError: it does not answer, or refuses one of them.
        """
        with _answered("store"):
            for start in range(0, len(paths), IMAGES_AT_ONCE):
                images = [dcmread(path) for path in paths[start : start + IMAGES_AT_ONCE]]
                answer = self._client.store_instances(images)
                if answer.get("FailedSOPSequence"):
                    raise requests.HTTPError("an object was refused")

    def _list(
        self, study_uid: str | None, search_filter: Mapping[str, Any], fields: Sequence[str] | None = None
    ) -> list[ArchiveSeries]:
        found: dict[tuple[str, str], ArchiveSeries] = {}
        offset, end = 0, time.monotonic() + LISTING_SECONDS
        while True:
            with _answered():
                page = self._client.search_for_series(
                    study_uid, search_filters=dict(search_filter), fields=fields, offset=offset
                )
            if not isinstance(page, list):
                raise OverloadedError("studies: the DICOMweb server answered no list", code="archive_unavailable")
            before = len(found)
            for series in map(_listed, page):
                found.setdefault((series.study_uid, series.uid), series)
            if len(found) == before:
                if page:
                    self._tell_once(
                        f"the DICOMweb server ignores the search parameter offset: {before} series are seen, "
                        "what it has beyond its first page is not"
                    )
                break
            if len(found) >= LARGEST_LISTING or time.monotonic() > end:
                self._tell_once(f"the DICOMweb server's list of series has no end: the first {len(found)} are taken")
                break
            offset += len(page)
        # UIDs become names of folders: what is no UID is not let in.
        return [s for s in found.values() if UID.fullmatch(s.uid) and UID.fullmatch(s.study_uid)]


def _dataset(metadata: Any, name: str) -> Dataset:
    """The first dataset of an answer, without what is elsewhere.

    Raises:
        UnsupportedKindError: it is none.
    """
    try:
        # Some servers answer a list of one where one is asked for.
        record = metadata[0] if isinstance(metadata, list) else metadata
        return Dataset.from_json({tag: element for tag, element in record.items() if "BulkDataURI" not in element})
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever a strange value leads to
        raise UnsupportedKindError(f"{name}: its metadata cannot be read ({type(error).__name__})") from error


def _listed(found: Any) -> ArchiveSeries:
    """An entry of a list; one that cannot be read has no UIDs."""
    try:
        series = Dataset.from_json(dict(found))
        info = {key: str(series[key].value) if key in series else "UNK" for key in INFO_FIELDS}
        uid = str(series.get("SeriesInstanceUID") or "")
        return ArchiveSeries(
            uid=uid,
            study_uid=str(series.get("StudyInstanceUID") or ""),
            images=int(series.get("NumberOfSeriesRelatedInstances") or 0),
            info={"SeriesInstanceUID": uid, "SeriesDescription": str(series.get("SeriesDescription", "")), **info},
        )
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever a strange value leads to
        logger.warning("an entry of the DICOMweb server's list cannot be read: %s", type(error).__name__)
        return ArchiveSeries("", "")


def _segmentation(image: Dataset, listed: ArchiveSeries) -> ArchiveSegmentation | None:
    referenced = image.get("ReferencedSeriesSequence")
    if not referenced or not holds_our_segments(image):
        return None
    written = f"{image.get('ContentDate') or ''}{image.get('ContentTime') or ''}"
    return ArchiveSegmentation(
        listed.uid, listed.study_uid, str(referenced[0].SeriesInstanceUID), written
    )


class _LimitedAdapter(HTTPAdapter):
    """Requests without a time limit would wait for ever for a server that hangs."""

    def send(self, request: Any, *args: Any, **arguments: Any) -> requests.Response:
        """As in the base class, with our limits."""
        arguments["timeout"] = arguments.get("timeout") or (CONNECT_SECONDS, READ_SECONDS)
        return super().send(request, *args, **arguments)


def _session(url: str) -> requests.Session:
    user = monailabel_settings.MONAI_LABEL_DICOMWEB_USERNAME
    password = monailabel_settings.MONAI_LABEL_DICOMWEB_PASSWORD
    if "googleapis.com" in url:
        session = create_session_from_gcp_credentials()
    elif user and password:
        session = create_session_from_user_pass(user, password)
    else:
        session = create_session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _LimitedAdapter(pool_maxsize=2 * PARALLEL_REQUESTS))
    return session


@contextmanager
def _answered(verb: str = "answer") -> Iterator[None]:
    """Turn the server's failures into one error that names it without its address."""
    try:
        yield
    except requests.RequestException as error:
        status = getattr(error.response, "status_code", None)
        logger.warning("the DICOMweb server failed: %s", type(error).__name__ if status is None else status)
        if status == requests.codes.not_found:
            raise NotFoundError("image: the DICOMweb server does not have it any more") from error
        reason = f"status {status}" if status else "no connection"
        raise OverloadedError(
            f"studies: the DICOMweb server did not {verb} ({reason}); try again", code="archive_unavailable"
        ) from error
    except (LookupError, TypeError, ValueError, AttributeError, InvalidDicomError) as error:
        # What the client library and pydicom raise for an answer that is not what was asked for.
        logger.warning("an answer of the DICOMweb server cannot be read: %s", type(error).__name__)
        raise UnsupportedKindError("image: what the DICOMweb server answered cannot be read") from error
