"""Where lesions lie and how large they are in training pictures: what is usual, and what may be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.data.images import Pictures
from medsynth_app.synthesis.phantoms.images.fields import Place, axes, inside, outline
from medsynth_app.synthesis.phantoms.images.request import NORMAL

USUAL_SIZES = (10.0, 90.0)
"""Percentiles of the diameters that severity 0 and 1 stand for."""
MARGIN = 0.08
"""How far beyond the places of training lesions a lesion may lie, share of the width."""
SIZE_MARGIN = 1.3
MOST_PLACES = 48
SHAPE_SPIKES = 0.35


@dataclass(frozen=True)
class LesionHabits:
    """Of one pathology in one modality.

    Attributes:
        sizes: diameter of a disc of the lesion's area at severity 0 and 1, shares of the width.
        extremes: smallest and largest diameter.
        places: middles (x, y) of training lesions, shares of width and height.
    """

    sizes: tuple[float, float]
    extremes: tuple[float, float]
    places: tuple[Place, ...]

    @classmethod
    def of_masks(cls, masks: np.ndarray) -> LesionHabits | None:
        """From masks (N, R, R) bool; None where fewer than two hold a lesion."""
        masks = masks[masks.any(axis=(1, 2))]
        if len(masks) < 2:
            return None
        diameters = 2.0 * np.sqrt(masks.mean(axis=(1, 2)) / np.pi)
        x, y = axes(masks.shape[-1])
        areas = masks.sum(axis=(1, 2))
        middles = np.stack(
            [(masks * x).sum(axis=(1, 2)) / areas, (masks * y).sum(axis=(1, 2)) / areas], axis=1
        )
        chosen = middles[np.random.default_rng(0).permutation(len(middles))[:MOST_PLACES]]
        low, high = np.percentile(diameters, USUAL_SIZES)
        return cls(
            (round(float(low), 3), round(float(high), 3)),
            (round(float(diameters.min()), 3), round(float(diameters.max()), 3)),
            tuple((round(float(a), 2), round(float(b), 2)) for a, b in chosen),
        )

    def size(self, severity: float) -> float:
        """Usual diameter at a severity of 0 to 1."""
        return self.sizes[0] + severity * (self.sizes[1] - self.sizes[0])

    def check_size(self, size: float, pathology: str) -> None:
        """Raises InvalidValueError for a diameter far from all that were learned from."""
        low, high = self.extremes[0] / SIZE_MARGIN, self.extremes[1] * SIZE_MARGIN
        if not low <= size <= high:
            raise InvalidValueError(
                f"lesion_size: {size:g} must be between {low:.3g} and {high:.3g} for {pathology}"
            )

    def check_place(self, place: Place, pathology: str) -> None:
        """Raises InvalidValueError for a place away from where all lesions lay."""
        low = np.maximum(np.min(self.places, axis=0) - MARGIN, 0.0)
        high = np.minimum(np.max(self.places, axis=0) + MARGIN, 1.0)
        if not all(a <= value <= b for a, value, b in zip(low, place, high)):
            raise InvalidValueError(
                f"lesion_position: {place[0]:g}, {place[1]:g} lies outside of where {pathology} occurs, "
                f"x from {low[0]:.2f} to {high[0]:.2f} and y from {low[1]:.2f} to {high[1]:.2f}"
            )

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "sizes": self.sizes,
            "extremes": self.extremes,
            "places": [list(place) for place in self.places],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> LesionHabits:
        """Of a weights file; InvalidValueError where it is incomplete."""
        try:
            low, high = record["sizes"]
            least, most = record["extremes"]
            return cls((low, high), (least, most), tuple((x, y) for x, y in record["places"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidValueError("weights: lack the habits of their lesions") from error


def learned_habits(pictures: Pictures) -> dict[str, LesionHabits]:
    """``MODALITY/PATHOLOGY`` -> habits, where training pictures had masks."""
    names = np.array([f"{source.modality}/{source.pathology}" for source in pictures.sources])
    found = {}
    for name in np.unique(names).tolist():
        habits = None if name.endswith(f"/{NORMAL}") else LesionHabits.of_masks(pictures.masks[names == name])
        if habits is not None:
            found[name] = habits
    return found


def drawn_lesion(side: int, place: Place, diameter: float, generator: np.random.Generator) -> np.ndarray:
    """A lesion of irregular outline.

    Args:
        side: of the picture in pixels.
        place: its middle (x, y), shares of the width.
        diameter: share of the width.
        generator: source of the outline.

    Returns:
        (side, side) float32, share of lesion in each pixel.
    """
    x, y = axes(side)
    shape = inside(outline(generator, x, y, place, (diameter / 2, diameter / 2), SHAPE_SPIKES), 0.1)
    return shape.astype(np.float32)
