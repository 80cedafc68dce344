"""Image and mask of a cross-check: from the datastore, or from files that came with the request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medsynth_app.api.dependencies import Studies
from medsynth_app.clinical.site.tumor_images import TumorImages, images_of_case, label_version
from medsynth_app.errors import InvalidValueError, MalformedRequestError, NotFoundError
from medsynth_app.imaging.labels import read_label
from medsynth_app.imaging.reading import read_volume
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


def uploaded_images(studies: Studies | None, case: str | None, files: Mapping[str, Path]) -> TumorImages:
    """Image and label of a request; the image may be that of a stored case.

    Args:
        studies: cases of the server.
        case: name of one of them, for its image.
        files: what was sent, by the names of the form's fields.

    Raises:
        MalformedRequestError: a file is missing, or there is one too many.
        InvalidValueError, UnsupportedKindError: a file cannot be used.
    """
    strange = sorted(set(files) - {"image", "label"})
    if strange:
        raise MalformedRequestError(f"files: {', '.join(strange)[:60]!r} received; allowed: image, label")
    if "label" not in files or ("image" not in files and not case):
        raise MalformedRequestError("files: image and label are needed, or label and the name of a case")
    if "image" not in files:
        if studies is None:
            raise NotFoundError("case: this server holds no cases; send an image", code="unknown_case")
        return images_of_case(studies.case(str(case)), files["label"], "")
    volume = read_volume(files["image"], "image")
    if volume.array.shape[0] != 1:
        raise InvalidValueError(
            f"image: must be one 3-D sequence, has {volume.array.shape[0]} channels", code="not_scalar"
        )
    volume = Volume(volume.array.astype(np.float32), volume.affine)
    label = read_label(files["label"], volume)
    return TumorImages(f"upload-{label_version(label.labels)[:8]}", volume, label.labels, notes=label.warnings)
