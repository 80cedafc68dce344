"""Small networks on coarse voxels: what benchmarks train by the dozen on a small machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.segmentation.evaluation.metrics import region_mask
from medsynth_app.segmentation.network import NetworkConfiguration
from medsynth_app.segmentation.training.dataset import load_case
from medsynth_app.segmentation.training.labelled_case import LabelledCase
from medsynth_app.segmentation.training.loop import TrainingConfiguration
from medsynth_app.vocabulary import TumorRegion

CONFIDENCE = 0.95
SIDE_STEP = 16
"""Sides of what a network answers at once are multiples of this."""


@dataclass(frozen=True)
class CoarseSetting:
    """How coarse and how small.

    Attributes:
        coarseness: cases are averaged over blocks of so many voxels (1 mm) a side; 1 = full resolution.
        network / width: a network of ``segmentation.network`` and the channels of its first level.
        patch_side: of a training patch in coarse voxels, a multiple of 32.
        learning_rate: peak.
        batch_size: patches an update. On one processor core, PyTorch takes its fast convolutions for patches this
            small only where there are at least two in a batch.

    Raises:
        InvalidValueError: a coarseness below 1.
    """

    coarseness: int = 2
    network: str = "unet"
    width: int = 8
    patch_side: int = 64
    learning_rate: float = 3e-3
    batch_size: int = 2

    def __post_init__(self) -> None:
        if self.coarseness < 1:
            raise InvalidValueError(f"coarseness: {self.coarseness} must be at least 1")

    def training(self, steps: int, seed: int, validate_every: int) -> TrainingConfiguration:
        """A run of so many updates; its moving average is short, as the run is."""
        return TrainingConfiguration(
            network=NetworkConfiguration(self.network, width=self.width, dropout=0.1),
            steps=steps,
            batch_size=self.batch_size,
            patch_size=(self.patch_side,) * 3,
            learning_rate=self.learning_rate,
            warmup_steps=10,
            ema_decay=0.98,
            validate_every=validate_every,
            seed=seed,
        )


class CoarseCases:
    """Labelled cases, prepared as networks see them and coarsened; made once and kept in a folder.

    Args:
        files: labelled cases; names must differ.
        folder: takes one file a case.
        coarseness: voxels a side that are averaged.
    """

    def __init__(self, files: Sequence[CaseFiles], folder: Path, coarseness: int) -> None:
        self.files = {case.name: case for case in sorted(files, key=lambda case: case.name)}
        self._folder = folder
        self._coarseness = coarseness
        self._prepared: dict[str, LabelledCase] = {}

    def case(self, name: str) -> LabelledCase:
        """The prepared case from memory or the folder, else made and kept there."""
        if name not in self._prepared:
            self._prepared[name] = self._read(name)
        return self._prepared[name]

    def _read(self, name: str) -> LabelledCase:
        path = self._folder / f"{name}.npz"
        if not path.is_file():
            coarse = coarsen(load_case(self.files[name], NetworkConfiguration().modalities), self._coarseness)
            with whole_file(path) as beside:
                np.savez_compressed(beside, image=coarse.image.numpy(), label=coarse.label.numpy())
        with np.load(path) as arrays:
            return LabelledCase(name, torch.from_numpy(arrays["image"]), torch.from_numpy(arrays["label"]))


def coarsen(case: LabelledCase, factor: int) -> LabelledCase:
    """The case on blocks of ``factor`` voxels a side: images averaged, labels by the block's first voxel."""
    if factor == 1:
        return case
    image = torch.nn.functional.avg_pool3d(case.image.float(), factor, ceil_mode=True, count_include_pad=False)
    label = case.label[::factor, ::factor, ::factor]
    return LabelledCase(case.name, image.half(), label.contiguous())


@torch.inference_mode()
def predict_together(network: nn.Module, cases: Sequence[LabelledCase]) -> list[np.ndarray]:
    """Label maps (X, Y, Z) uint8 of several small cases, padded to one size and answered as one batch."""
    shapes = [tuple(case.label.shape) for case in cases]
    common = [max(2 * SIDE_STEP, side + -side % SIDE_STEP) for side in np.max(shapes, axis=0).tolist()]
    batch = torch.zeros((len(cases), cases[0].image.shape[0], *common))
    for row, case, (x, y, z) in zip(batch, cases, shapes):
        row[:, :x, :y, :z] = case.image.float()
    labels = network(batch).argmax(dim=1).to(torch.uint8).numpy()
    return [row[:x, :y, :z] for row, (x, y, z) in zip(labels, shapes)]


def region_dice(found: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Dice of each region between two label maps (X, Y, Z), values 0..3; both empty = 1."""
    return {region.value: _dice(found, reference, region) for region in TumorRegion}


def _dice(found: np.ndarray, reference: np.ndarray, region: TumorRegion) -> float:
    first, second = region_mask(found, region), region_mask(reference, region)
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def mean_regions(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean over cases, region by region."""
    return {region.value: float(np.mean([each[region.value] for each in scores])) for region in TumorRegion}


def mean_and_interval(values: np.ndarray) -> dict[str, Any]:
    """Mean over seeds (S,) with the 95 % t interval; no interval from a single seed."""
    mean, interval = float(values.mean()), None
    if len(values) > 1:
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
        interval = [round(mean - half, 4), round(mean + half, 4)]
    return {"dice": round(mean, 4), "interval": interval}
