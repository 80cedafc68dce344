"""Images too near to a training image are kept by a reviewer's word only, and the audit says whose.

The gate stands at both ways into the datastore: ``save`` of a generator, and the upload of a picture that was fetched
without ``save`` and carries the flag in its mark.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from medsynth_app.accounts import Role
from medsynth_app.audit import AuditTrail
from medsynth_app.errors import ForbiddenError, InvalidValueError, MedSynthError
from medsynth_app.imaging.formats.nrrd_header import read_nrrd_header
from medsynth_app.imaging.provenance.marking import MARK_KEY, mark_of_file
from medsynth_app.imaging.studies.folder_entries import PICTURE_ENDINGS, PICTURE_FORMATS
from medsynth_app.request_context import NOBODY, acting_role

ALLOW_KEY = "allow_flagged"


def check_override(allowed: bool, reason: str) -> None:
    """Refuse a flagged image, unless somebody who may says that it is kept all the same.

    Args:
        allowed: ``allow_flagged`` was sent.
        reason: what is wrong with the image, for the error.

    Raises:
        InvalidValueError: it was not sent (422).
        ForbiddenError: by somebody who is no reviewer (403).
    """
    if not allowed:
        raise InvalidValueError(f"save: the image {reason} send allow_flagged=true", code="memorisation_flagged")
    role = acting_role.get()
    if role != NOBODY and not Role(role).includes(Role.REVIEWER):
        raise ForbiddenError(
            f"allow_flagged: role {role!r} may not keep an image that the audit flags, needed is 'reviewer'"
        )


def note_override(datastore: object, case: str, status: str) -> None:
    """Say in the audit that a flagged image was kept, and by whom; a datastore without an audit keeps none."""
    trail = getattr(datastore, "audit", None)
    if isinstance(trail, AuditTrail):
        trail.record("memorisation.overridden", case=case, status=status)


def is_flagged(path: Path) -> bool:
    """Whether a file's mark says that the audit flagged it; False for files without a mark of ours."""
    lower = path.name.lower()
    if lower.endswith(PICTURE_ENDINGS):
        return _says_flagged(_picture_text(path))
    if lower.endswith(".nrrd"):
        try:
            return _says_flagged(read_nrrd_header(path, "file").pairs.get(MARK_KEY, ""))
        except MedSynthError:
            return False  # refused by its reader, with a better reason
    mark = mark_of_file(path)
    return mark is not None and bool(mark.memorisation)


def _picture_text(path: Path) -> str:
    try:
        with Image.open(path, formats=PICTURE_FORMATS) as picture:
            return str(picture.info.get(MARK_KEY, ""))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""


def _says_flagged(text: str) -> bool:
    try:
        record: Any = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and bool(record.get("memorisation"))
