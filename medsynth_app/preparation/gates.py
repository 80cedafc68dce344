"""When a step of the preparation is not trusted: what refuses a series, and what is only said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medsynth_app.imaging.geometry import resample
from medsynth_app.imaging.volume import Volume
from medsynth_app.preparation.coregistration import Coregistration

BRAIN_ML_ALLOWED = (400.0, 2500.0)
BRAIN_ML_USUAL = (800.0, 2000.0)


@dataclass(frozen=True)
class Gate:
    """One check.

    Attributes:
        name: stable word, for example ``overlap``.
        series: which sequence it is about.
        value: what was measured.
        allowed: what is allowed, in words.
        outcome: ``passed``, ``doubtful`` (a warning) or ``refused``.
        meaning: what it means, for the reader.
    """

    name: str
    series: str
    value: float
    allowed: str
    outcome: str
    meaning: str

    @property
    def sentence(self) -> str:
        """Series, value, limit and meaning on one line."""
        return f"{self.series}: {self.name} is {self.value:.3g}, allowed is {self.allowed}: {self.meaning}"

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "name": self.name, "series": self.series, "value": round(self.value, 4), "allowed": self.allowed,
            "outcome": self.outcome, "meaning": self.meaning,
        }  # fmt: skip


@dataclass(frozen=True)
class CoregistrationGates:
    """Limits between right positions and wrong ones, measured in ``docs/raw_studies.md``.

    Attributes:
        overlap: share of the brain that the series shows: refused below the first, doubtful below the second.
        information: nats; the same.
        peak: information at the answer by the best after shifts of 15 mm; the same.
        rotation_deg: refused above the second, doubtful above the first.
        shift_mm: of the middle of the brain; the same, where the frame of reference is shared.
    """

    overlap: tuple[float, float] = (0.5, 0.95)
    information: tuple[float, float] = (0.10, 0.20)
    peak: tuple[float, float] = (1.2, 1.5)
    rotation_deg: tuple[float, float] = (40.0, 75.0)
    shift_mm: tuple[float, float] = (30.0, 60.0)


def check_coregistration(
    name: str,
    found: Coregistration,
    brain: Volume,
    series: Volume,
    *,
    shared_frame: bool = False,
    limits: CoregistrationGates = CoregistrationGates(),
) -> list[Gate]:
    """Every check of one series' position.

    Args:
        name: the sequence.
        found: its position.
        brain: (1, x, y, z), > 0.5 in the reference's brain.
        series: the series; only its grid is used.
        shared_frame: whether both have one frame of reference.
        limits: what is allowed.
    """
    center = _center_mm(brain)
    gates = [
        _least("overlap", name, covered_share(brain, found.matrix, series), limits.overlap,
               "so much of the brain lies in the series' field of view"),
        _least("information", name, found.information, limits.information,
               "little of the reference is seen in it: another head, another kind of image, or misplaced"),
        _least("peak", name, found.information / max(found.moved_information, 1e-6), limits.peak,
               "the position is hardly better than one 15 mm away"),
        _most("rotation_deg", name, found.rotation_deg, limits.rotation_deg,
              "no patient turns so far between two series; the header of one of them may be wrong"),
    ]  # fmt: skip
    if shared_frame:
        gates.append(
            _most("shift_mm", name, found.shift_mm(center), limits.shift_mm,
                  "no patient moves so far within one examination")
        )  # fmt: skip
    return gates


def check_brain(name: str, brain: Volume) -> list[Gate]:
    """Whether a brain mask can be one.

    Args:
        name: the sequence that it was found in.
        brain: (1, X, Y, Z), > 0.5 in the brain.
    """
    size = float((brain.array[0] > 0.5).sum()) * brain.voxel_volume_ml
    low, high = BRAIN_ML_ALLOWED
    usual = BRAIN_ML_USUAL[0] <= size <= BRAIN_ML_USUAL[1]
    outcome = "refused" if not low <= size <= high else "passed" if usual else "doubtful"
    return [Gate("brain_ml", name, size, f"{low:.0f} to {high:.0f}", outcome, "size of the brain that was found")]


def covered_share(brain: Volume, matrix: np.ndarray, series: Volume) -> float:
    """Share of the brain's voxels that lie in a series' field of view."""
    places = np.argwhere(brain.array[0] > 0.5)
    if len(places) == 0:
        return 0.0
    places = places[:: max(1, len(places) // 20_000)]
    way = np.linalg.inv(series.affine) @ matrix @ brain.affine
    index = places @ way[:3, :3].T + way[:3, 3]
    inside = (index >= -0.5) & (index <= np.array(series.spatial_shape) - 0.5)
    return float(inside.all(axis=1).mean())


def as_brain(mask: Volume, affine: np.ndarray, shape: tuple[int, int, int]) -> Volume:
    """A mask on another grid, float32 in [0, 1]."""
    return resample(Volume(mask.array.astype(np.float32), mask.affine), affine, shape)


def _center_mm(brain: Volume) -> np.ndarray:
    places = np.argwhere(brain.array[0] > 0.5)
    middle = places.mean(axis=0) if len(places) else (np.array(brain.spatial_shape) - 1) / 2
    return brain.affine[:3, :3] @ middle + brain.affine[:3, 3]


def _least(name: str, series: str, value: float, limits: tuple[float, float], meaning: str) -> Gate:
    outcome = "refused" if value < limits[0] else "doubtful" if value < limits[1] else "passed"
    return Gate(name, series, value, f"at least {limits[1]:g} (refused below {limits[0]:g})", outcome, meaning)


def _most(name: str, series: str, value: float, limits: tuple[float, float], meaning: str) -> Gate:
    outcome = "refused" if value > limits[1] else "doubtful" if value > limits[0] else "passed"
    return Gate(name, series, value, f"at most {limits[0]:g} (refused above {limits[1]:g})", outcome, meaning)
