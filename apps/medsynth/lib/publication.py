"""Work in a process of its own, on behalf of the user who asked the server for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medsynth_app.audit import AuditTrail
from medsynth_app.request_context import NOBODY, acting_user

STARTED_BY = "started_by"
"""Key of a task's request: whose changes the process makes. Only the server sets it."""


@contextmanager
def on_behalf(request: Mapping[str, Any]) -> Iterator[None]:
    """Changes inside are noted as those of the user who started the task."""
    before = acting_user.set(str(request.get(STARTED_BY, NOBODY)))
    try:
        yield
    finally:
        acting_user.reset(before)


@contextmanager
def noting_publication(audit: AuditTrail, weights: Path | None, model: str) -> Iterator[None]:
    """Note it if the served weights are others afterwards.

    Args:
        audit: where.
        weights: the file that is served once a training has published; None = this model has none.
        model: its name.
    """
    before = _digest(weights)
    yield
    after = _digest(weights)
    if after != before:
        audit.record("model.published", model=model, sha256=after)


def note_unknown_weights(audit: AuditTrail, weights: Path, model: str) -> None:
    """At the start of the server: weights that are served and that no line of the audit knows are noted.

    They were put there by hand, or by a training that was killed between publishing them and saying so.
    """
    digest = _digest(weights)
    if digest and not audit.has(model=model, sha256=digest):
        audit.record("model.found", model=model, sha256=digest)


def _digest(path: Path | None) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path is not None and path.is_file() else ""
