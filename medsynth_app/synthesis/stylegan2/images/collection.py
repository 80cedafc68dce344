"""A user's pictures as the classes of one network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medsynth_app.synthesis.data.images import (
    Pictures,
    PictureSource,
    find_pictures,
    read_pictures,
    split_pictures,
)
from medsynth_app.synthesis.stylegan2.images.model import SEPARATOR, PictureClasses

COLORS = 3
TOLERATED_COLORED_SHARE = 0.1
"""A few coloured marks on a screen do not make a modality coloured."""


@dataclass(frozen=True)
class PictureCollection:
    """Pictures with class numbers.

    Attributes:
        training, held_out: of different patients; no picture may be held out.
        classes: of the training side.
        name: of the folder.
    """

    training: Pictures
    held_out: Pictures | None
    classes: PictureClasses
    name: str

    @classmethod
    def read(cls, data: Path, options: Mapping[str, Any]) -> PictureCollection:
        """A user's folder.

        Raises:
            InvalidValueError: too few pictures, or an option that does not fit them.
        """
        sources, _ = find_pictures(data, str(options["modality"]))
        kept, held = split_pictures(sources, str(options["validation"]))
        side, framing = int(options["resolution"]), str(options["framing"])
        training = read_pictures(kept, side, COLORS, framing)
        names = tuple(sorted({_class_name(source) for source in training.sources}))
        held = [source for source in held if _class_name(source) in names]
        grey = training.grey_modalities(TOLERATED_COLORED_SHARE)
        held_out = _in_grey(read_pictures(held, side, COLORS, framing), grey) if held else None
        return cls(_in_grey(training, grey), held_out, PictureClasses(names, grey), data.name)

    def labels(self, pictures: Pictures) -> np.ndarray:
        """(N,) class numbers."""
        return np.array([self.classes.names.index(_class_name(source)) for source in pictures.sources])

    def described(self) -> str:
        """Which images, in a sentence, for the catalogue."""
        counts = ", ".join(f"{name} {count}" for name, count in self.training.counts().items())
        return f"{len(self.training)} pictures of {self.name}: {counts}"


def _class_name(source: PictureSource) -> str:
    return f"{source.modality}{SEPARATOR}{source.pathology}"


def _in_grey(pictures: Pictures, modalities: tuple[str, ...]) -> Pictures:
    """The same pictures, those of some modalities without colours."""
    rows = np.array([source.modality in modalities for source in pictures.sources])
    images = pictures.images.copy()
    images[rows] = np.rint(images[rows].mean(axis=1, keepdims=True)).astype(np.uint8)
    return replace(pictures, images=images)
