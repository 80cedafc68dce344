"""The record of a prepared study: the case at 1 mm, how it was made, and the way back to each series."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.volume import Volume
from medsynth_app.preparation.gates import Gate
from medsynth_app.preparation.interpolation import Grid


@dataclass(frozen=True)
class PreparedStudy:
    """A study as the networks want it.

    Attributes:
        name: of the study.
        modalities: the sequences that are there, in the order of the channels.
        array: (C, X, Y, Z) int16, 0 outside the brain.
        affine: (4, 4) voxel -> RAS mm of the reference.
        brain: (X, Y, Z) bool.
        reference: the sequence that the others were laid over.
        transforms: modality -> (4, 4) RAS mm of the reference -> RAS mm of that series.
        grids: modality -> the series' own grid.
        series: modality -> title, files, start, information ...; JSON values.
        refused: modality -> why it is not there although the study has it.
        gates: every check.
        warnings: what the reader should know, one sentence each.
        seconds: stage -> wall time.
        reused: whether it was kept from an earlier request.
    """

    name: str
    modalities: tuple[str, ...]
    array: np.ndarray
    affine: np.ndarray
    brain: np.ndarray
    reference: str
    transforms: dict[str, np.ndarray]
    grids: dict[str, Grid]
    series: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    reused: bool = False

    def volume(self, modalities: tuple[str, ...]) -> Volume:
        """The wanted sequences as channels, (C, X, Y, Z) float32; one that is not there is 0.

        Raises:
            InvalidValueError: none of them is there.
        """
        if not set(modalities) & set(self.modalities):
            raise InvalidValueError(f"{self.name}: none of {', '.join(modalities)} could be prepared")
        array = np.zeros((len(modalities), *self.array.shape[1:]), np.float32)
        for index, modality in enumerate(modalities):
            if modality in self.modalities:
                array[index] = self.array[self.modalities.index(modality)]
        return Volume(array, self.affine)

    def record(self) -> dict[str, Any]:
        """How it was made, as JSON values; no path."""
        return {
            "kind": "raw", "reference": self.reference, "series": self.series, "refused": self.refused,
            "gates": [gate.as_dict() for gate in self.gates], "warnings": list(self.warnings),
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()}, "reused": self.reused,
            "transforms_reference_to_series_ras_mm": {m: np.round(t, 6).tolist() for m, t in self.transforms.items()},
            "brain_ml": round(float(self.brain.sum()) * abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000, 1),
        }  # fmt: skip


def store_prepared(study: PreparedStudy, folder: Path) -> None:
    """Write everything into an empty folder."""
    np.save(folder / "images.npy", study.array)
    np.save(folder / "brain.npy", np.packbits(study.brain))
    record = study.record()
    record |= {
        "name": study.name, "modalities": list(study.modalities), "affine": study.affine.tolist(),
        "transforms": {m: t.tolist() for m, t in study.transforms.items()},
        "grids": {m: {"affine": a.tolist(), "shape": list(s)} for m, (a, s) in study.grids.items()},
    }  # fmt: skip
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")


def load_prepared(folder: Path) -> PreparedStudy | None:
    """What ``store_prepared`` wrote, or None where it is not there or not whole."""
    try:
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        array = np.load(folder / "images.npy", allow_pickle=False)
        bits = np.load(folder / "brain.npy", allow_pickle=False)
        shape = array.shape[1:]
        return PreparedStudy(
            name=record["name"], modalities=tuple(record["modalities"]), array=array,
            affine=np.array(record["affine"]), brain=np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape) > 0,
            reference=record["reference"], transforms={m: np.array(t) for m, t in record["transforms"].items()},
            grids={m: (np.array(g["affine"]), tuple(g["shape"])) for m, g in record["grids"].items()},
            series=record["series"], refused=record["refused"], gates=tuple(Gate(**g) for g in record["gates"]),
            warnings=tuple(record["warnings"]), seconds={}, reused=True,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
