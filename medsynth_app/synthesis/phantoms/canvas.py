"""Where anatomy is painted: solids given by their signed distance, laid over each other with soft edges.

Coordinates are millimetres in a frame with the axes right, anterior, superior and its origin in the middle of
the whole field of view. A smooth random warp makes every painted solid an individual's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from medsynth_app.synthesis.anatomy.random_fields import smooth_noise, stream

Solid = Callable[[np.ndarray], np.ndarray]
"""Points (3, ...) in mm -> signed distance in mm, negative inside."""
Point = tuple[float, float, float]

WARP = ((70.0, 4.0), (28.0, 1.6), (12.0, 0.5))
"""Scales and standard deviations in mm of the individual's warp."""
WARP_MARGIN_MM = 16.0


@dataclass(frozen=True)
class Tissue:
    """How a tissue looks.

    Attributes:
        value: mean HU, or MR signal 0..1.
        texture: standard deviation of its coarse texture, same unit.
        grain: standard deviation of its fine texture, same unit.
    """

    value: float
    texture: float = 0.0
    grain: float = 0.0


class Canvas:
    """A grid on which tissues are painted.

    Attributes:
        image: (X, Y, Z) float32, in HU or MR signal.
        label: (X, Y, Z) uint8, values of ``labels``.
        points: (3, X, Y, Z) float32, warped places in mm.

    Args:
        seed: of warp and texture.
        shape: (X, Y, Z).
        spacing_mm: voxel sizes along right, anterior, superior.
        center_mm: place of the middle of this grid in the whole field of view.
        tissues: name -> look.
        labels: name of a structure -> its value in the label map.
        warp: strength of the individual's warp; 1 as usual.
    """

    def __init__(
        self,
        seed: int,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
        center_mm: Point,
        tissues: Mapping[str, Tissue],
        labels: Mapping[str, int],
        warp: float = 1.0,
    ) -> None:
        self.seed, self.shape, self.spacing_mm, self.tissues = seed, shape, spacing_mm, tissues
        self.labels = labels
        self.image = np.full(shape, tissues["air"].value, dtype=np.float32)
        self.label = np.zeros(shape, dtype=np.uint8)
        self.axes_mm = [
            (center + (np.arange(n) - (n - 1) / 2.0) * size).astype(np.float32)
            for n, size, center in zip(shape, spacing_mm, center_mm)
        ]
        self.points = np.stack(np.meshgrid(*self.axes_mm, indexing="ij"))
        mean_spacing = float(np.prod(spacing_mm)) ** (1 / 3)
        for axis in range(3):
            for number, (scale, amplitude) in enumerate(WARP):
                field = smooth_noise(stream(seed, f"warp {axis} {number}"), shape, scale, mean_spacing)
                self.points[axis] += np.float32(warp * amplitude) * field
        self._texture = smooth_noise(stream(seed, "texture"), shape, 9.0, mean_spacing)
        self._grain = smooth_noise(stream(seed, "grain"), shape, 2.5, mean_spacing)
        self._softness = np.float32(max(min(spacing_mm), 0.8))

    def paint(
        self,
        solid: Solid,
        tissue: str,
        box: tuple[Point, Point] | None = None,
        label: str = "",
        opacity: float = 1.0,
        inside: np.ndarray | None = None,
        soft_mm: float = 0.0,
    ) -> None:
        """Lay a solid over what is there.

        Args:
            solid: its signed distance.
            tissue: name of what it is made of.
            box: lowest and highest corner in mm, as a hint where it lies; the warp's margin is added here.
            label: structure in the label map; empty leaves the map as it is.
            opacity: 1 replaces what was there.
            inside: (X, Y, Z) 0..1, where it may be painted.
            soft_mm: width of its edge; a voxel by default.
        """
        place = self._place(box)
        points = np.stack([axis[place] for axis in self.points])
        if not points.size:
            return
        width = np.float32(soft_mm) if soft_mm else self._softness
        share = np.clip(0.5 - solid(points) / width, 0.0, 1.0).astype(np.float32)
        if inside is not None:
            share *= inside[place]
        self._mix(place, share, tissue, opacity)
        if label:
            self.label[place][share > 0.5] = self.labels[label]

    def fill(self, share: np.ndarray, tissue: str, label: str = "") -> None:
        """Paint by a map (X, Y, Z) of shares 0..1."""
        place = (slice(None),) * 3
        self._mix(place, share.astype(np.float32), tissue, 1.0)
        if label:
            self.label[share > 0.5] = self.labels[label]

    def is_labelled(self, *names: str) -> np.ndarray:
        """(X, Y, Z) bool, where one of the structures lies."""
        return np.isin(self.label, [self.labels[name] for name in names])

    def place_of(self, index: np.ndarray) -> Point:
        """Millimetres of a voxel, without the warp."""
        x, y, z = (float(axis[i]) for axis, i in zip(self.axes_mm, index))
        return x, y, z

    def _mix(self, place: tuple[slice, ...], share: np.ndarray, tissue: str, opacity: float) -> None:
        look = self.tissues[tissue]
        value = look.value + look.texture * self._texture[place] + look.grain * self._grain[place]
        part = self.image[place]
        part += np.float32(opacity) * share * (value - part)

    def _place(self, box: tuple[Point, Point] | None) -> tuple[slice, slice, slice]:
        if box is None:
            return (slice(None),) * 3  # type: ignore[return-value]
        slices = []
        for axis, low, high in zip(self.axes_mm, *box):
            start = int(np.searchsorted(axis, low - WARP_MARGIN_MM))
            stop = int(np.searchsorted(axis, high + WARP_MARGIN_MM))
            slices.append(slice(start, stop))
        return tuple(slices)  # type: ignore[return-value]
