"""How large a body each route takes, decided before anything of it is read or parsed."""

from __future__ import annotations

import re

from medsynth_app.api.access.roles import needed_role

WITHOUT_LOGIN_BYTES = 1 << 14
"""Where nobody is known yet: a user name and a password, or nothing."""
WITHOUT_FILES_BYTES = (1 << 20) + (1 << 14)
"""JSON and form fields; a megabyte of JSON is the most that a form of ours needs."""
_TAKE_FILES = re.compile(
    r"/datastore/((image|label)?/?)|/infer/[^/]+|/model/[^/]+|/medsynth/api/(cases|cross-check(/[^/]+/decision)?)"
)
_PROXY = re.compile(r"/proxy/dicom/.*")


def largest_body(method: str, path: str, kind: str, largest_upload: int) -> int:
    """Bytes of the largest body that a route reads.

    Args:
        method: HTTP method.
        path: below the application's root.
        kind: media type of the body, in small letters, without parameters.
        largest_upload: bytes, for routes that take files as multipart forms, and for what is stored by STOW-RS.
    """
    if needed_role(method, path) is None:
        return WITHOUT_LOGIN_BYTES
    takes_files = kind == "multipart/form-data" and _TAKE_FILES.fullmatch(path)
    return largest_upload if takes_files or _PROXY.fullmatch(path) else min(WITHOUT_FILES_BYTES, largest_upload)
