"""The weights of ``image_synthesis`` by StyleGAN2: one network whose classes are pathologies of modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.stylegan2.generator import build_generator
from medsynth_app.synthesis.stylegan2.network import Generator
from medsynth_app.synthesis.weights import WeightsStore, load_weights, save_weights

WEIGHTS = "image_synthesis_stylegan2"
"""Name of the weights, and their kind."""
GENERATOR_NAME = "stylegan2"
SEPARATOR = "/"


@dataclass(frozen=True)
class PictureClasses:
    """What a network can show.

    Attributes:
        names: ``MODALITY/PATHOLOGY``, by class number.
        grey: modalities whose pictures have no colours.

    Raises:
        InvalidValueError: no class, or a name of another form.
    """

    names: tuple[str, ...]
    grey: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.names or not all(name.count(SEPARATOR) == 1 for name in self.names):
            raise InvalidValueError(f"classes: {self.names} must be texts like mri/tumour, at least one")

    @property
    def modalities(self) -> tuple[str, ...]:
        """In the order of the classes."""
        return tuple(dict.fromkeys(name.partition(SEPARATOR)[0] for name in self.names))

    @property
    def groups(self) -> tuple[int, ...]:
        """Of each class, the number of its modality."""
        return tuple(self.modalities.index(name.partition(SEPARATOR)[0]) for name in self.names)

    def pathologies(self, modality: str) -> tuple[str, ...]:
        """What a modality can show; empty for one that was not learned."""
        parts = (name.partition(SEPARATOR) for name in self.names)
        return tuple(pathology for shows, _, pathology in parts if shows == modality)

    def number(self, modality: str, pathology: str) -> int:
        """The class.

        Raises:
            InvalidValueError: a modality or pathology that was not learned, named with those that were.
        """
        known = self.pathologies(modality)
        if not known:
            raise InvalidValueError(
                f"modality: {modality!r} was not learned by these weights, possible are {', '.join(self.modalities)}"
            )
        if pathology not in known:
            raise InvalidValueError(
                f"pathology: {pathology!r} is impossible in {modality} with these weights, possible are "
                f"{', '.join(known)}"
            )
        return self.names.index(f"{modality}{SEPARATOR}{pathology}")


@dataclass(frozen=True)
class PictureModel:
    """A trained network.

    Attributes:
        generator: in evaluation mode, one class a name of ``classes``.
        classes: what it can show.
        weights_hash: SHA-256 of its file.
    """

    generator: Generator
    classes: PictureClasses
    weights_hash: str


def save_picture_model(
    path: Path, generator: Generator, classes: PictureClasses, trained_on: str, notes: Mapping[str, Any]
) -> str:
    """Store a network in half precision; returns the file's SHA-256."""
    configuration = {
        "network": asdict(generator.configuration),
        "classes": list(classes.names),
        "grey": list(classes.grey),
    }
    facts = {**notes, "kinds": list(classes.modalities)}
    return save_weights(path, WEIGHTS, configuration, generator.state_dict(), trained_on, facts)


def load_picture_model(store: WeightsStore) -> PictureModel:
    """The network of a store, kept until its file changes.

    Raises:
        InvalidValueError: there are no weights (code ``weights_missing``), or they do not fit.
        UnsupportedKindError: the file is damaged.
    """
    path = store.require(WEIGHTS, GENERATOR_NAME)
    return _loaded(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _loaded(path: Path, changed: int) -> PictureModel:
    stored = load_weights(path, WEIGHTS)
    configuration = stored.configuration
    classes = PictureClasses(_texts(configuration.get("classes")), _texts(configuration.get("grey")))
    generator = build_generator(configuration.get("network"), stored.tensors, WEIGHTS)
    if generator.configuration.classes != len(classes.names):
        raise InvalidValueError(
            f"weights {WEIGHTS}: name {len(classes.names)} classes of {generator.configuration.classes}"
        )
    return PictureModel(generator, classes, stored.sha256)


def _texts(values: object) -> tuple[str, ...]:
    return tuple(str(value) for value in values) if isinstance(values, Sequence) else ()
