"""Image and mask of a cross-check: from the datastore, or from files that came with the request."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from starlette.datastructures import UploadFile

from medsynth_app.api.dependencies import Studies
from medsynth_app.clinical.tumor_images import TumorImages, images_of_case, label_version
from medsynth_app.errors import InvalidValueError, MalformedRequestError, NotFoundError, UnsupportedKindError
from medsynth_app.imaging.expanded_size import check_expanded_size
from medsynth_app.imaging.labels import read_label
from medsynth_app.imaging.reading import IMAGE_ENDINGS, read_volume
from medsynth_app.imaging.volume import Volume

TAG_ORDER = ("final", "original")


def stored_images(studies: Studies | None, case: str, tag: str | None) -> TumorImages:
    """Image and label of a case of the datastore.

    Raises:
        NotFoundError: no such case or label.
    """
    if studies is None:
        raise NotFoundError("case: this server holds no cases; send image and label", code="unknown_case")
    files = studies.case(case)
    chosen = tag or chosen_tag(studies, case)
    return images_of_case(files, studies.label_file(case, chosen), chosen)


def chosen_tag(studies: Studies, case: str) -> str:
    """``final`` before ``original`` before any other tag.

    Raises:
        NotFoundError: the case has no label.
    """
    tags = studies.label_tags(case)
    found = next((tag for tag in (*TAG_ORDER, *sorted(tags)) if tag in tags), None)
    if found is None:
        raise NotFoundError(
            f"label: case {case!r} has no label; segment it first, or send a label", code="unknown_label"
        )
    return found


def current_version(studies: Studies, case: str, tag: str) -> str:
    """Version of a label as it is now; raises as `stored_images`."""
    return stored_images(studies, case, tag).label_version


def uploaded_images(studies: Studies | None, case: str | None, files: Mapping[str, UploadFile]) -> TumorImages:
    """Image and label of a request; the image may be that of a stored case.

    Raises:
        MalformedRequestError: a file is missing, or there is one too many.
        InvalidValueError, UnsupportedKindError: a file cannot be used.
    """
    strange = sorted(set(files) - {"image", "label"})
    if strange:
        raise MalformedRequestError(f"files: {', '.join(strange)[:60]!r} received; allowed: image, label")
    if "label" not in files or ("image" not in files and not case):
        raise MalformedRequestError("files: image and label are needed, or label and the name of a case")
    with ExitStack() as uploads:
        paths = {name: uploads.enter_context(saved_upload(file, name)) for name, file in files.items()}
        if "image" not in paths:
            if studies is None:
                raise NotFoundError("case: this server holds no cases; send an image", code="unknown_case")
            return images_of_case(studies.case(str(case)), paths["label"], "")
        volume = read_volume(paths["image"], "image")
        if volume.array.shape[0] != 1:
            raise InvalidValueError(
                f"image: must be one 3-D sequence, has {volume.array.shape[0]} channels", code="not_scalar"
            )
        volume = Volume(volume.array.astype(np.float32), volume.affine)
        label = read_label(paths["label"], volume)
        return TumorImages(
            f"upload-{label_version(label.labels)[:8]}", volume, label.labels, notes=label.warnings
        )


@contextmanager
def saved_upload(upload: UploadFile, field: str) -> Iterator[Path]:
    """An upload as a temporary file, removed whatever happens; of the client's name only the ending is used.

    Raises:
        UnsupportedKindError: unknown ending.
    """
    name = (upload.filename or "").lower()
    ending = next((each for each in (".nii.gz", *IMAGE_ENDINGS) if name.endswith(each)), None)
    if ending is None:
        raise UnsupportedKindError(f"{field}: is of an unknown kind, allowed are {', '.join(IMAGE_ENDINGS)}")
    folder = Path(tempfile.mkdtemp(prefix="medsynth-"))
    try:
        path = folder / f"{field}{ending}"
        with open(path, "wb") as target:
            shutil.copyfileobj(upload.file, target)
        check_expanded_size(path, field)
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)
