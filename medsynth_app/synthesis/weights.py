"""The generators' weights: half-precision safetensors with their configuration and origin, read without pickle.

A file is complete by itself. Its metadata hold ``kind`` (which network it is), ``configuration`` (how to build
it), ``trained_on`` (a sentence for the catalogue) and ``notes``; its SHA-256 goes into the mark of every image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from medsynth_app.errors import InvalidValueError, UnsupportedKindError
from medsynth_app.files import file_digest, whole_file

SHIPPED_FOLDER = Path(__file__).parent / "model"
ENDING = ".safetensors"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")


@dataclass(frozen=True)
class StoredWeights:
    """What a weights file holds.

    Attributes:
        kind: which network, for example ``vae_gan``.
        configuration: JSON values that build the network again.
        tensors: name -> float32 tensor (or the file's own type, where that is an integer).
        trained_on: one sentence: which images.
        notes: further facts.
        sha256: of the file.
    """

    kind: str
    configuration: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor]
    trained_on: str
    notes: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""


def save_weights(
    path: Path,
    kind: str,
    configuration: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    trained_on: str,
    notes: Mapping[str, Any] | None = None,
) -> str:
    """Store weights in half precision; the file appears whole or not at all.

    Returns:
        SHA-256 of the file, hexadecimal.

    Raises:
        InvalidValueError: a tensor holds NaN or values beyond half precision.
    """
    halves = {}
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        halves[name] = value.half() if value.is_floating_point() else value
        if not bool(torch.isfinite(halves[name]).all()):
            raise InvalidValueError(f"weights: {name} holds values that half precision cannot keep")
    metadata = {
        "kind": kind,
        "configuration": json.dumps(configuration),
        "trained_on": trained_on,
        "notes": json.dumps(notes or {}),
    }
    with whole_file(path) as beside:
        beside.write_bytes(_in_order(save(halves, metadata=metadata)))
    return _sha256(path)


def _in_order(content: bytes) -> bytes:
    """A safetensors file with its metadata sorted: they come in an order of chance, the same weights get one hash."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def load_weights(path: Path, kind: str) -> StoredWeights:
    """Read a weights file.

    Raises:
        UnsupportedKindError: no safetensors file (415).
        InvalidValueError: of another kind of network, incomplete, or with NaN (422).
    """
    metadata, tensors = _read(path)
    if metadata.get("kind") != kind:
        raise InvalidValueError(f"weights {path.name}: are of kind {metadata.get('kind')!r}, must be {kind!r}")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise InvalidValueError(f"weights {path.name}: hold NaN or infinite values")
    try:
        configuration, notes = json.loads(metadata["configuration"]), json.loads(metadata.get("notes", "{}"))
    except (KeyError, ValueError) as error:
        raise InvalidValueError(f"weights {path.name}: lack a readable configuration") from error
    return StoredWeights(kind, configuration, tensors, metadata.get("trained_on", ""), notes, _sha256(path))


def read_origin(path: Path) -> tuple[str, str]:
    """What the weights were trained on and their SHA-256, without loading the tensors.

    Raises:
        UnsupportedKindError: no safetensors file.
    """
    return _metadata(path).get("trained_on", ""), _sha256(path)


def read_kinds(path: Path) -> tuple[str, ...]:
    """What the weights can make, where their notes name ``kinds``; empty where they say nothing of it.

    Raises:
        UnsupportedKindError: no safetensors file.
    """
    kinds = _notes(_metadata(path)).get("kinds", ())
    return tuple(str(kind) for kind in kinds) if isinstance(kinds, (list, tuple)) else ()


@dataclass(frozen=True)
class WeightsStore:
    """Where weights are looked for, first folder first: those trained here, then those that were shipped.

    Attributes:
        folders: each may hold ``NAME.safetensors``.
    """

    folders: tuple[Path, ...] = (SHIPPED_FOLDER,)

    @classmethod
    def of(cls, folder: str | Path | None) -> WeightsStore:
        """A folder of the user's own, where there is one, then the shipped weights."""
        return cls((Path(folder), SHIPPED_FOLDER) if folder else (SHIPPED_FOLDER,))

    def find(self, name: str) -> Path | None:
        """The file of that name, or None.

        Raises:
            InvalidValueError: not a plain name.
        """
        if not _NAME.fullmatch(name):
            raise InvalidValueError(f"weights: {name!r} is no name of weights")
        paths = (folder / f"{name}{ENDING}" for folder in self.folders)
        return next((path for path in paths if path.is_file()), None)

    def require(self, name: str, generator: str, instead: str = "phantom") -> Path:
        """The file of that name.

        Args:
            name: of the weights.
            generator: how the error calls who needs them.
            instead: a generator of the same task that needs none; empty where there is none.

        Raises:
            InvalidValueError: there is none; says what to do instead (422, code ``weights_missing``).
        """
        path = self.find(name)
        if path is None:
            other = f", or choose generator={instead}, which needs none" if instead else ""
            raise InvalidValueError(
                f"generator: {generator} has no weights {name!r} on this server; train them{other}",
                code="weights_missing",
            )
        return path


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(str(path), framework="pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise UnsupportedKindError(f"weights {path.name}: not a readable safetensors file") from error


def _notes(metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        notes = json.loads(metadata.get("notes", "{}"))
    except ValueError:
        return {}
    return notes if isinstance(notes, dict) else {}


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise UnsupportedKindError(f"weights {path.name}: not a readable safetensors file") from error
    return metadata, {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}


def _sha256(path: Path) -> str:
    facts = path.stat()
    return _digest(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int) -> str:
    return file_digest(path, "sha256")
