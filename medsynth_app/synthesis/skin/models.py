"""The trained networks of the skin course in the weights store: generator, encoder, judge and ranked directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.skin.directions import Direction
from medsynth_app.synthesis.skin.judge import LesionJudge
from medsynth_app.synthesis.stylegan2.encoder import MeanStart, PrincipalStart, StyleEncoder
from medsynth_app.synthesis.stylegan2.generator import build_generator
from medsynth_app.synthesis.stylegan2.network import Generator
from medsynth_app.synthesis.stylegan2.principal_latents import PrincipalLatents
from medsynth_app.synthesis.weights import ENDING, StoredWeights, WeightsStore, load_weights, save_weights

GENERATOR, ENCODER, JUDGE, DIRECTIONS = (
    "skin_lesion_generator", "skin_lesion_encoder", "skin_lesion_judge", "skin_lesion_directions"
)  # fmt: skip
"""Names of the weights; their kinds are called alike."""
TRAINED_ON = "HAM10000: 6036 pictures of nevi, 1013 of melanomas (CC BY-NC 4.0), lesions held out left aside"
GUIDE_PREFIX = "principal."
TASK_NAME = "stylegan2"
LOADED_AT_ONCE = 2


def weights_file(folder: Path, name: str) -> Path:
    """Where weights of a name lie in a folder."""
    return folder / f"{name}{ENDING}"


def save_generator(
    generator: Generator,
    folder: Path,
    notes: Mapping[str, Any],
    principal: PrincipalLatents | None = None,
    trained_on: str = TRAINED_ON,
) -> str:
    """Store the generator, and the principal latents that guided it; returns the file's SHA-256.

    Args:
        generator: what to store.
        folder: takes the file.
        notes: JSON-able facts.
        principal: None for a generator without a guide.
        trained_on: a sentence for the catalogue.
    """
    path, shape = weights_file(folder, GENERATOR), asdict(generator.configuration)
    tensors = generator.state_dict()
    if principal is not None:
        tensors |= {f"{GUIDE_PREFIX}{name}": value for name, value in principal.state_dict().items()}
    return save_weights(path, GENERATOR, shape, tensors, trained_on, notes)


def save_encoder(
    encoder: StyleEncoder,
    folder: Path,
    generator_hash: str,
    notes: Mapping[str, Any],
    trained_on: str = TRAINED_ON,
) -> str:
    """Store the encoder, with the SHA-256 of the generator that it belongs to."""
    path, owner = weights_file(folder, ENCODER), {"generator": generator_hash}
    return save_weights(path, ENCODER, owner, encoder.learned_state(), trained_on, notes)


def save_judge(
    judge: LesionJudge, folder: Path, notes: Mapping[str, Any], trained_on: str = TRAINED_ON
) -> str:
    """Store the judge's heads."""
    return save_weights(weights_file(folder, JUDGE), JUDGE, {}, judge.heads_state(), trained_on, notes)


def save_directions(directions: list[Direction], folder: Path, generator_hash: str) -> str:
    """Store ranked directions, with the SHA-256 of the generator that they belong to."""
    records = []
    for direction in directions:
        record = asdict(direction)
        del record["vector"]
        records.append(record)
    vectors = torch.from_numpy(np.stack([direction.vector for direction in directions]))
    configuration = {"generator": generator_hash, "directions": records}
    path = weights_file(folder, DIRECTIONS)
    return save_weights(
        path, DIRECTIONS, configuration, {"vectors": vectors}, "factorised from the generator"
    )


@dataclass(frozen=True)
class LoadedGenerator:
    """A generator from the store.

    Attributes:
        generator: in evaluation mode.
        principal: the latents that guided it; None for one without a guide.
        sha256: of the file.
    """

    generator: Generator
    principal: PrincipalLatents | None
    sha256: str

    def new_encoder(self) -> StyleEncoder:
        """An untrained encoder with the right start."""
        network = self.generator.configuration
        return StyleEncoder(network.image_channels, network.style_count, network.style_size, self.start())

    def start(self) -> nn.Module:
        """The encoder's first guess of w."""
        if self.principal is None:
            return MeanStart(self.generator.w_mean.mean(dim=0))
        return PrincipalStart(self.principal, self.generator.mapping)


def load_generator(store: WeightsStore) -> LoadedGenerator:
    """The generator.

    Raises:
        InvalidValueError: there are no weights (code ``weights_missing``), or they do not fit.
        UnsupportedKindError: the file is damaged.
    """
    stored = _stored(store, GENERATOR)
    guide = {k[len(GUIDE_PREFIX) :]: v for k, v in stored.tensors.items() if k.startswith(GUIDE_PREFIX)}
    others = {k: v for k, v in stored.tensors.items() if not k.startswith(GUIDE_PREFIX)}
    generator = build_generator(stored.configuration, others, GENERATOR)
    if not guide:
        return LoadedGenerator(generator, None, stored.sha256)
    network = generator.configuration
    try:
        principal = PrincipalLatents(network.latent_size, network.image_channels, len(guide["mean"]))
        principal.load_state_dict(guide)
    except (KeyError, RuntimeError) as error:
        raise InvalidValueError(f"weights {GENERATOR}: hold a guide of another size") from error
    return LoadedGenerator(generator, principal, stored.sha256)


def load_encoder(store: WeightsStore, loaded: LoadedGenerator) -> StyleEncoder:
    """The encoder of this generator; raises as ``load_generator``."""
    stored = _stored(store, ENCODER)
    _check_owner(stored, loaded.sha256)
    encoder = loaded.new_encoder()
    try:
        encoder.load_learned(stored.tensors)
    except RuntimeError as error:
        raise InvalidValueError(f"weights {ENCODER}: do not fit the generator") from error
    return encoder.eval().requires_grad_(False)


def load_judge(store: WeightsStore) -> LesionJudge:
    """The judge; raises as ``load_generator``."""
    stored = _stored(store, JUDGE)
    judge = LesionJudge()
    try:
        judge.load_heads(dict(stored.tensors))
    except RuntimeError as error:
        raise InvalidValueError(f"weights {JUDGE}: do not fit the judge") from error
    return judge.eval().requires_grad_(False)


def load_directions(store: WeightsStore, generator_hash: str) -> tuple[Direction, ...]:
    """The ranked directions of the generator; raises as ``load_generator``."""
    stored = _stored(store, DIRECTIONS)
    _check_owner(stored, generator_hash)
    try:
        return tuple(
            Direction(vector=vector.numpy(), **{**record, "layers": tuple(record["layers"])})
            for vector, record in zip(stored.tensors["vectors"], stored.configuration["directions"])
        )
    except (KeyError, TypeError) as error:
        raise InvalidValueError(f"weights {DIRECTIONS}: hold no directions") from error


@dataclass(frozen=True)
class CourseModels:
    """All networks that inversion and progression need.

    Attributes:
        generator, encoder, judge: in evaluation mode.
        directions: SeFa's, the strongest first, then that from class to class.
        weights_hash: SHA-256 of the generator's file.
    """

    generator: Generator
    encoder: StyleEncoder
    judge: LesionJudge
    directions: tuple[Direction, ...]
    weights_hash: str

    @classmethod
    def load(cls, store: WeightsStore) -> CourseModels:
        """Those of a store, kept until its files change; raises as ``load_generator``."""
        paths = [
            store.require(name, TASK_NAME, instead="") for name in (GENERATOR, ENCODER, JUDGE, DIRECTIONS)
        ]
        return _loaded(store, tuple((path, path.stat().st_mtime_ns) for path in paths))


@lru_cache(maxsize=LOADED_AT_ONCE)
def _loaded(store: WeightsStore, files: tuple[tuple[Path, int], ...]) -> CourseModels:
    loaded = load_generator(store)
    encoder, judge = load_encoder(store, loaded), load_judge(store)
    return CourseModels(
        loaded.generator, encoder, judge, load_directions(store, loaded.sha256), loaded.sha256
    )


def _stored(store: WeightsStore, name: str) -> StoredWeights:
    return load_weights(store.require(name, TASK_NAME, instead=""), name)


def _check_owner(stored: StoredWeights, generator_hash: str) -> None:
    if stored.configuration.get("generator") != generator_hash:
        raise InvalidValueError(
            f"weights {stored.kind}: belong to another generator than the one beside them"
        )
