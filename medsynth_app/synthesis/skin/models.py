"""The trained networks of the skin course on disk: safetensors only, half precision, whole or not at all.

A folder holds ``generator.safetensors``, ``encoder.safetensors``, ``judge.safetensors`` and, once they were ranked,
``directions.safetensors``. Shapes and figures travel in the metadata.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from medsynth_app.errors import InvalidValueError, NotFoundError, UnsupportedKindError
from medsynth_app.files import whole_file
from medsynth_app.synthesis.skin.directions import Direction
from medsynth_app.synthesis.skin.judge import LesionJudge
from medsynth_app.synthesis.stylegan2.encoder import StyleEncoder
from medsynth_app.synthesis.stylegan2.network import Generator, StyleGAN2Configuration

SHIPPED_FOLDER = Path(__file__).parent / "model"
GENERATOR, ENCODER, JUDGE, DIRECTIONS = (
    f"{name}.safetensors" for name in ("generator", "encoder", "judge", "directions")
)
HASH_LENGTH = 16


def save_generator(generator: Generator, folder: Path, notes: Mapping[str, Any]) -> None:
    """Store the generator; ``notes`` are JSON-able facts (images seen, KID, data)."""
    _save(generator.state_dict(), folder / GENERATOR, {"network": asdict(generator.configuration), **notes})


def save_encoder(encoder: StyleEncoder, folder: Path, notes: Mapping[str, Any]) -> None:
    """Store the encoder, with the hash of the generator that it belongs to."""
    notes = {**notes, "generator": file_hash(folder / GENERATOR)}
    _save(encoder.state_dict(), folder / ENCODER, notes)


def save_judge(judge: LesionJudge, folder: Path, notes: Mapping[str, Any]) -> None:
    """Store the judge's heads."""
    _save(judge.heads_state(), folder / JUDGE, dict(notes))


def save_directions(directions: list[Direction], folder: Path) -> None:
    """Store ranked directions, with the hash of the generator that they belong to."""
    records = []
    for direction in directions:
        record = asdict(direction)
        del record["vector"]
        records.append(record)
    vectors = torch.from_numpy(np.stack([direction.vector for direction in directions]))
    notes = {"directions": records, "generator": file_hash(folder / GENERATOR)}
    _save({"vectors": vectors}, folder / DIRECTIONS, notes)


def load_generator(folder: Path) -> tuple[Generator, dict[str, Any]]:
    """The generator in evaluation mode and its notes.

    Raises:
        NotFoundError: there are no weights (404).
        UnsupportedKindError, InvalidValueError: the file is damaged or of another kind.
    """
    tensors, notes = _load(folder / GENERATOR)
    try:
        generator = Generator(StyleGAN2Configuration(**notes["network"]))
        generator.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        raise InvalidValueError(f"weights {GENERATOR}: do not fit a StyleGAN2 generator") from error
    return generator.eval().requires_grad_(False), notes


def load_encoder(folder: Path, generator: Generator) -> tuple[StyleEncoder, dict[str, Any]]:
    """The encoder of this generator and its notes; raises as ``load_generator``."""
    tensors, notes = _load(folder / ENCODER)
    _check_generator(folder, notes, ENCODER)
    network = generator.configuration
    encoder = StyleEncoder(
        network.image_channels, network.style_count, network.style_size, generator.w_mean[0]
    )
    try:
        encoder.load_state_dict(tensors)
    except RuntimeError as error:
        raise InvalidValueError(f"weights {ENCODER}: do not fit the generator beside them") from error
    return encoder.eval().requires_grad_(False), notes


def load_judge(folder: Path) -> tuple[LesionJudge, dict[str, Any]]:
    """The judge and its notes; raises as ``load_generator``."""
    tensors, notes = _load(folder / JUDGE)
    judge = LesionJudge()
    try:
        judge.load_heads(tensors)
    except RuntimeError as error:
        raise InvalidValueError(f"weights {JUDGE}: do not fit the judge") from error
    return judge.eval().requires_grad_(False), notes


def load_directions(folder: Path) -> tuple[Direction, ...]:
    """The ranked directions of the generator; raises as ``load_generator``."""
    tensors, notes = _load(folder / DIRECTIONS)
    _check_generator(folder, notes, DIRECTIONS)
    try:
        return tuple(
            Direction(vector=vector.numpy(), **{**record, "layers": tuple(record["layers"])})
            for vector, record in zip(tensors["vectors"], notes["directions"])
        )
    except (KeyError, TypeError) as error:
        raise InvalidValueError(f"weights {DIRECTIONS}: hold no directions") from error


def file_hash(path: Path) -> str:
    """The first 16 hexadecimal digits of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:HASH_LENGTH]


@dataclass(frozen=True)
class CourseModels:
    """All networks that inversion and progression need, from one folder.

    Attributes:
        generator, encoder, judge: in evaluation mode.
        directions: ranked, the strongest first.
        weights_hash: of the generator's file.
    """

    generator: Generator
    encoder: StyleEncoder
    judge: LesionJudge
    directions: tuple[Direction, ...]
    weights_hash: str

    @classmethod
    def load(cls, folder: Path) -> CourseModels:
        """Read the folder; raises as ``load_generator``."""
        generator, _ = load_generator(folder)
        encoder, _ = load_encoder(folder, generator)
        judge, _ = load_judge(folder)
        return cls(generator, encoder, judge, load_directions(folder), file_hash(folder / GENERATOR))


def _check_generator(folder: Path, notes: Mapping[str, Any], name: str) -> None:
    if notes.get("generator") != file_hash(folder / GENERATOR):
        raise InvalidValueError(f"weights {name}: belong to another generator than {GENERATOR} beside them")


def _save(tensors: Mapping[str, torch.Tensor], path: Path, notes: Mapping[str, Any]) -> None:
    half = {name: value.detach().half().contiguous().cpu() for name, value in tensors.items()}
    with whole_file(path) as beside:
        save_file(half, str(beside), metadata={"notes": json.dumps(notes)})


def _load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    if not path.is_file():
        raise NotFoundError(
            f"weights {path.name}: the skin course has none here; train them with "
            "'medsynth train skin_lesion --stage gan', then encoder and classifier",
            code="no_weights",
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - no mapping
            notes = json.loads((file.metadata() or {}).get("notes", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise UnsupportedKindError(f"weights {path.name}: not a readable safetensors file") from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise InvalidValueError(f"weights {path.name}: hold NaN or infinite values")
    return tensors, notes
