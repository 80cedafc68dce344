"""What a network has to say about each case, kept until the case's files or the network change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from medsynth_app.active_learning.storage import Storage
from medsynth_app.active_learning.uncertainty import Uncertainty

CHUNK_BYTES = 1 << 20
Signature = Sequence[Sequence[object]]


@dataclass(frozen=True)
class CaseFacts:
    """One case as one network sees it.

    Attributes:
        features: (D,) float32, the encoder's deepest features, averaged over the brain.
        uncertainty: how unsure it is.
    """

    features: np.ndarray
    uncertainty: Uncertainty


class FactsCache:
    """Facts by (checksum of the case's files, hash of the weights).

    Args:
        storage: where they are kept.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def known(self, signatures: Mapping[str, Signature], weights_hash: str) -> dict[str, CaseFacts]:
        """The facts that are there for these cases and weights.

        Args:
            signatures: case name -> what ``remember`` was told; a case whose files changed is not known.
            weights_hash: of the network.
        """
        query = (
            "SELECT c.case_name, c.signature, f.features, f.uncertainty FROM checksums c "
            "JOIN facts f ON f.case_checksum = c.checksum WHERE f.weights_hash = ?"
        )
        with self.storage.reading() as connection:
            rows = connection.execute(query, (weights_hash,)).fetchall()
        return {
            name: CaseFacts(np.frombuffer(features, np.float32), Uncertainty(**json.loads(uncertainty)))
            for name, signature, features, uncertainty in rows
            if name in signatures and signature == _text(signatures[name])
        }

    def newest_weights(self, preferred: str) -> str:
        """The preferred weights where any case is known for them, else those of the newest facts."""
        with self.storage.reading() as connection:
            found = connection.execute(
                "SELECT weights_hash FROM facts ORDER BY weights_hash = ? DESC, seconds DESC LIMIT 1", (preferred,)
            ).fetchone()
        return found[0] if found else preferred

    def checksum(self, name: str, signature: Signature, compute: Callable[[], str]) -> str:
        """The checksum of a case, computed only where its signature is new."""
        text = _text(signature)
        with self.storage.reading() as connection:
            found = connection.execute(
                "SELECT checksum FROM checksums WHERE case_name = ? AND signature = ?", (name, text)
            ).fetchone()
        if found:
            return str(found[0])
        checksum = compute()
        with self.storage.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO checksums VALUES (?, ?, ?)", (name, text, checksum))
        return checksum

    def has(self, checksum: str, weights_hash: str) -> bool:
        """Whether the facts of these files and weights are there, whatever the case is called."""
        with self.storage.reading() as connection:
            query = "SELECT 1 FROM facts WHERE case_checksum = ? AND weights_hash = ?"
            return connection.execute(query, (checksum, weights_hash)).fetchone() is not None

    def remember(self, checksum: str, weights_hash: str, facts: CaseFacts, seconds: float) -> None:
        """Keep the facts of a case.

        Args:
            checksum: of its files.
            weights_hash: of the network.
            facts: what it said.
            seconds: UNIX time.
        """
        features = np.ascontiguousarray(facts.features, dtype=np.float32).tobytes()
        row = (checksum, weights_hash, features, json.dumps(asdict(facts.uncertainty)), seconds)
        with self.storage.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?)", row)

    def forget_other_weights(self, weights_hashes: Iterable[str]) -> None:
        """Remove the facts of all weights but these."""
        kept = list(weights_hashes)
        marks = ", ".join("?" * len(kept))
        with self.storage.writing() as connection:
            connection.execute(f"DELETE FROM facts WHERE weights_hash NOT IN ({marks})", kept)  # noqa: S608 - marks only


def checksum_of(paths: Iterable[Path]) -> str:
    """SHA-256 over the contents of files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda each: each.name):
        digest.update(f"{path.name}\0".encode())
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def _text(signature: Signature) -> str:
    return json.dumps(signature, default=list)
