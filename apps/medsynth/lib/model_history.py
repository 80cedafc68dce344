"""Every model that was served or tried, with its figures; any of them can be served again."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.finite import finite
from medsynth_app.errors import NotFoundError
from medsynth_app.files import whole_file
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork

logger = logging.getLogger(__name__)

MODEL_ID = re.compile(r"[0-9a-f]{16}")
KEPT_MODELS = 20
"""Weights files that are kept; older ones leave their figures behind."""


class ModelHistory:
    """Models of one network by a hash of their weights.

    Args:
        folder: where weights and figures are kept.
        current: the network that is served.
    """

    def __init__(self, folder: Path, current: CurrentNetwork) -> None:
        self.folder = folder
        self.current = current
        self._hashes: dict[tuple[Path, int, int], str] = {}
        self._mutex = threading.Lock()

    def identifier(self, weights: Path) -> str:
        """The first 16 digits of the SHA-256 of a weights file; read again only when the file changes."""
        facts = weights.stat()
        key = (weights, facts.st_mtime_ns, facts.st_size)
        if key not in self._hashes:
            self._hashes[key] = hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
        return self._hashes[key]

    def served(self) -> str | None:
        """The model that is served, or None where there are no weights."""
        path = self.current.path()
        return self.identifier(path) if path else None

    def keep(self, weights: Path, facts: Mapping[str, Any]) -> str:
        """Copy a weights file into the history, or add to what is known of it; answers its identifier.

        Args:
            weights: the file.
            facts: JSON values: ``dice``, ``labelled``, ``parent``, ``origin`` ...
        """
        identifier = self.identifier(weights)
        target = self._weights(identifier)
        if not target.is_file():
            with whole_file(target, durable=True) as beside:
                shutil.copyfile(weights, beside)
        record = {"created": time.time(), **self._facts(identifier), **finite(facts)}
        with whole_file(self._record(identifier), durable=True) as beside:
            beside.write_text(json.dumps(record), encoding="utf-8")
        self._forget_oldest()
        return identifier

    def keep_served(self) -> str | None:
        """See to it that the model that is served can come back after another one; answers its identifier."""
        path, identifier = self.current.path(), self.served()
        if path is None or identifier is None:
            return None
        if not self._record(identifier).is_file():
            self.keep(path, {"origin": "shipped" if path == SHIPPED_WEIGHTS else "uploaded"})
        return identifier

    def publish(self, weights: Path) -> None:
        """Serve a weights file; readers see the old file or the new one."""
        with whole_file(self.current.paths[0], durable=True) as beside:
            shutil.copyfile(weights, beside)
        logger.info("published other weights of brain_tumor_segmentation")

    def restore(self, identifier: str) -> dict[str, Any]:
        """Serve an earlier model again.

        Raises:
            NotFoundError: there is none with that identifier, or its weights are not kept any more.
        """
        weights = self._weights(identifier)
        if not MODEL_ID.fullmatch(identifier) or not weights.is_file():
            there = ", ".join(row["id"] for row in self.models() if row["can_be_restored"]) or "none"
            raise NotFoundError(f"model: no weights of {identifier[:40]!r} are kept; there are {there}")
        with self._mutex:
            before = self.keep_served()
            self.publish(weights)
        return {"model": identifier, "before": before}

    def models(self) -> list[dict[str, Any]]:
        """All models, oldest first, with their figures."""
        served = self.served()
        rows = []
        for path in self.folder.glob("*.json"):
            if MODEL_ID.fullmatch(path.stem):
                facts = {"id": path.stem, "created": 0.0, **self._facts(path.stem)}
                known = {"served": path.stem == served, "can_be_restored": self._weights(path.stem).is_file()}
                rows.append(facts | known)
        if served and served not in {row["id"] for row in rows}:
            rows.append({"id": served, "created": 0.0, "served": True, "can_be_restored": True})
        return sorted(rows, key=lambda row: (row["created"], row["id"]))

    def _forget_oldest(self) -> None:
        served = self.served()
        kept = [row for row in self.models() if row["can_be_restored"] and row["id"] != served]
        for row in kept[: max(0, len(kept) - KEPT_MODELS)]:
            self._weights(row["id"]).unlink(missing_ok=True)

    def _facts(self, identifier: str) -> dict[str, Any]:
        try:
            facts = json.loads(self._record(identifier).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}

    def _weights(self, identifier: str) -> Path:
        return self.folder / f"{identifier}.safetensors"

    def _record(self, identifier: str) -> Path:
        return self.folder / f"{identifier}.json"
