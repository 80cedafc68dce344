"""What every generator takes and gives back, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.imaging.volume import Volume

ReportProgress = Callable[[float], None]
"""Called with the share that is done, 0 to 1."""


def unheard(share: float) -> None:
    """Nobody wants to know the progress."""


@dataclass(frozen=True)
class Host:
    """A real case that is to take what is made.

    Attributes:
        files: its images, and its label where it has one.
        find_tumor: (C, X, Y, Z) -> (X, Y, Z) labels, for a case that nobody has labelled; None refuses such a case.
    """

    files: CaseFiles
    find_tumor: Callable[[Volume], np.ndarray] | None = None


@dataclass(frozen=True)
class GenerationRequest:
    """One thing to make.

    Attributes:
        seed: non-negative; the same request gives the same bytes.
        conditions: what the generator's table parsed.
        image: file of an input image, for tasks that take one.
        label: file of a mask, for tasks that take one.
        host: the case that the condition ``host`` names, for generators that have it.
    """

    seed: int
    conditions: Mapping[str, Any] = field(default_factory=dict)
    image: Path | None = None
    label: Path | None = None
    host: Host | None = None


@dataclass(frozen=True)
class Synthetic:
    """A synthetic image.

    Attributes:
        array: a volume (C, X, Y, Z), or a picture (H, W) or (H, W, 3) uint8 as rows and columns.
        affine: (4, 4) voxel -> RAS mm of a volume; None for a picture.
        mark: where it comes from.
        channels: names of a volume's channels where there are several (``flair``, ``t1`` ...).
        label: what is where, (X, Y, Z) or (H, W) uint8; None where nothing is labelled.
        label_names: name -> value in ``label``.
        window: display range, lowest and highest; None for the image's own.
        frames: the single pictures, each as ``array``, where the image is made up of several (a progression).
        facts: what else the answer tells; JSON values only.

    Raises:
        InvalidValueError: an array of another shape, a volume without affine, or a label on another grid.
    """

    array: np.ndarray
    affine: np.ndarray | None
    mark: SyntheticMark
    channels: tuple[str, ...] = ()
    label: np.ndarray | None = None
    label_names: Mapping[str, int] = field(default_factory=dict)
    window: tuple[float, float] | None = None
    frames: tuple[np.ndarray, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.is_picture:
            if self.array.ndim not in (2, 3) or (self.array.ndim == 3 and self.array.shape[2] != 3):
                raise InvalidValueError(f"array: a picture is (H, W) or (H, W, 3), got {self.array.shape}")
        elif self.array.ndim != 4:
            raise InvalidValueError(f"array: a volume is (C, X, Y, Z), got {self.array.shape}")
        if self.label is not None and self.label.shape != self.grid:
            raise InvalidValueError(f"label: shape {self.label.shape} differs from the image {self.grid}")
        if self.channels and len(self.channels) != self.array.shape[0]:
            raise InvalidValueError(f"channels: {self.channels} do not name {self.array.shape[0]} channels")

    @property
    def is_picture(self) -> bool:
        """A picture without a place in the patient, else a volume."""
        return self.affine is None

    @property
    def audited(self) -> tuple[np.ndarray, ...]:
        """The images that must be no copies of training images: the frames of a film, else the image itself."""
        return self.frames or (self.array,)

    @property
    def grid(self) -> tuple[int, ...]:
        """(H, W) or (X, Y, Z)."""
        return self.array.shape[:2] if self.is_picture else self.array.shape[1:]


class Generator(Protocol):
    """Makes synthetic images; everything it needs was given when it was built."""

    def generate(self, request: GenerationRequest, progress: ReportProgress = unheard) -> Synthetic:
        """Make one.

        Raises:
            InvalidValueError: the request is impossible; names the field.
        """
        ...
