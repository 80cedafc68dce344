"""Branching trees and the strokes that draw them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medsynth_app.synthesis.phantoms.images.fields import Place

Segment = tuple[Place, Place, float]
"""Both ends and the width."""


@dataclass(frozen=True)
class Growth:
    """How a tree grows.

    Attributes:
        step: length of a segment.
        steps: segments of the trunk.
        wander: standard deviation of the turn at a step, radians.
        bend: turn at every step, radians; the trunk's own curve.
        branching: chance of a branch at a step.
        spread: angle of a branch, radians.
        taper: width that is left after a step.
        generations: how often branches branch.
    """

    step: float = 0.02
    steps: int = 24
    wander: float = 0.12
    bend: float = 0.0
    branching: float = 0.25
    spread: float = 0.7
    taper: float = 0.965
    generations: int = 3


def grow(
    generator: np.random.Generator, start: Place, angle: float, width: float, growth: Growth
) -> list[Segment]:
    """A tree from ``start`` towards ``angle`` (radians, 0 = right, growing clockwise as y runs down)."""
    segments: list[Segment] = []
    waiting = [(start, angle, width, growth.steps, growth.bend, growth.generations)]
    while waiting:
        place, angle, width, steps, bend, generations = waiting.pop()
        for left in range(steps, 0, -1):
            angle += bend + generator.normal(0.0, growth.wander)
            end = (place[0] + growth.step * np.cos(angle), place[1] + growth.step * np.sin(angle))
            segments.append((place, end, width))
            place, width = end, width * growth.taper
            if generations and generator.random() < growth.branching:
                side = 1.0 if generator.random() < 0.5 else -1.0
                turned = angle + side * growth.spread * generator.uniform(0.6, 1.2)
                waiting.append((place, turned, width * 0.65, int(left * 0.7), -side * 0.02, generations - 1))
    return segments


def strokes(size: int, segments: list[Segment]) -> np.ndarray:
    """Coverage 0..1 of all segments, (size, size); the widest wins, a stroke thinner than a pixel is faint."""
    picture = np.zeros((size, size))
    for (x0, y0), (x1, y1), width in segments:
        radius = max(width * size / 2.0, 0.5)
        strength = min(1.0, width * size)
        ends = np.array([[x0, y0], [x1, y1]]) * size - 0.5
        low = np.maximum(np.floor(ends.min(axis=0) - radius - 1), 0).astype(int)
        high = np.minimum(np.ceil(ends.max(axis=0) + radius + 2), size).astype(int)
        if (low >= high).any():
            continue
        rows, columns = np.mgrid[low[1] : high[1], low[0] : high[0]]
        way = ends[1] - ends[0]
        along = ((columns - ends[0][0]) * way[0] + (rows - ends[0][1]) * way[1]) / max(float(way @ way), 1e-9)
        along = np.clip(along, 0.0, 1.0)
        away = np.hypot(columns - ends[0][0] - along * way[0], rows - ends[0][1] - along * way[1])
        part = picture[low[1] : high[1], low[0] : high[0]]
        np.maximum(part, strength * np.clip(radius + 0.5 - away, 0.0, 1.0), out=part)
    return picture
