"""Training of the velocity network on a user's pictures."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from medsynth_app.synthesis.data.arrays import picture_grid, to_pictures
from medsynth_app.synthesis.data.images import Pictures
from medsynth_app.synthesis.flow.losses import channel_weights, velocity_loss
from medsynth_app.synthesis.flow.samplers import flow
from medsynth_app.synthesis.image_diffusion.conditions import ConditionBatch, Vocabulary, mask_cells
from medsynth_app.synthesis.image_diffusion.network import MASK_CELLS, NetworkConfiguration, VelocityNetwork
from medsynth_app.synthesis.image_diffusion.transforms import PATCH, PatchCodec, varied
from medsynth_app.synthesis.training.loop import LoopConfiguration, ReportTraining, TrainingLoop

logger = logging.getLogger(__name__)

VALIDATION_PICTURES = 192
BALANCE = 0.5
"""A modality, and a pathology within it, is drawn as often as this power of its number of pictures: 1 = as it occurs,
0 = all alike."""
CODEC_PICTURES = 200
"""Of each modality, to find the codes' axes."""
SAMPLE_COLUMNS, SAMPLE_STEPS = 8, 12


@dataclass(frozen=True)
class DiffusionRun:
    """One training.

    Attributes:
        network: shape.
        loop: how it runs.
        vocabulary: of the conditions.
        codec: pictures to codes.
        training / held_out: pictures of three colours; ``held_out`` may be None.
    """

    network: NetworkConfiguration
    loop: LoopConfiguration
    vocabulary: Vocabulary
    codec: PatchCodec
    training: Pictures
    held_out: Pictures | None


def fit_codec(pictures: Pictures, count: int, seed: int = 0) -> PatchCodec:
    """Axes of the codes, from the same number of pictures of every modality."""
    modalities = np.array([source.modality for source in pictures.sources])
    draw = np.random.default_rng(seed)
    rows = [draw.choice(np.flatnonzero(modalities == m), CODEC_PICTURES) for m in np.unique(modalities)]
    return PatchCodec.fit(as_tensor(pictures.images[np.concatenate(rows)]), count)


def as_tensor(images: np.ndarray) -> torch.Tensor:
    """(N, C, R, R) uint8 -> float32, -1..1."""
    return torch.from_numpy(images).float() / 127.5 - 1.0


def balanced_shares(pictures: Pictures) -> torch.Tensor:
    """How likely each picture is drawn, (N,) float64, sum 1: rare modalities and pathologies more often."""
    kinds = np.array([source.modality for source in pictures.sources])
    diseases = np.array([f"{source.modality}/{source.pathology}" for source in pictures.sources])
    shares = np.zeros(len(kinds))
    for kind in np.unique(kinds):
        rows = kinds == kind
        names, counts = np.unique(diseases[rows], return_counts=True)
        within = counts**BALANCE / (counts**BALANCE).sum()
        for name, count, share in zip(names, counts, within):
            shares[diseases == name] = rows.sum() ** BALANCE * share / count
    return torch.from_numpy(shares / shares.sum())


class DiffusionLearner:
    """What the training loop trains.

    Args:
        run: what is trained on what.
        folder: takes a grid of samples at every validation.
        device: where it runs.
    """

    averaged: Sequence[str] = ("velocity",)

    def __init__(self, run: DiffusionRun, folder: Path, device: torch.device) -> None:
        torch.manual_seed(run.loop.seed)
        self.run, self.folder, self.device = run, folder, device
        self.codec = run.codec.to(device)
        self.weights = channel_weights(self.codec.scale)
        self.velocity = VelocityNetwork(run.network, run.vocabulary).to(device)
        codes = [
            self.codec.encode(as_tensor(part).to(device)) for part in np.array_split(run.training.images, 16)
        ]
        self.velocity.prior.fit(torch.cat(codes), run.training.sources)
        self.modules: Mapping[str, nn.Module] = {"velocity": self.velocity}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {
            "velocity": torch.optim.AdamW(
                self.velocity.parameters(),
                lr=run.loop.learning_rate,
                betas=(0.9, 0.99),
                weight_decay=0.01,
                fused=True,
            )
        }
        self.shares = balanced_shares(run.training)
        cells = self._cells(run.training.images.shape[-1])
        self.conditions = ConditionBatch.of_pictures(run.training, run.vocabulary, cells)
        self._step = 0

    def _read(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
        """Images, masks and modalities of training pictures."""
        pictures = self.run.training
        masks = torch.from_numpy(pictures.masks[rows.numpy()]).float()
        return (
            as_tensor(pictures.images[rows.numpy()]),
            masks,
            [pictures.sources[row].modality for row in rows.tolist()],
        )

    @staticmethod
    def _cells(resolution: int) -> int:
        return MASK_CELLS * resolution // PATCH

    def draw(self, count: int, resolution: int, chance: torch.Generator) -> torch.Tensor:
        """Numbers of pictures and the side they are to have, (count, 2) int64."""
        rows = torch.multinomial(self.shares, count, replacement=True, generator=chance)
        return torch.stack([rows, torch.full_like(rows, resolution)], dim=1)

    def loss(
        self, phase: str, part: torch.Tensor, chance: torch.Generator, step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The velocity's loss of varied pictures, some conditions left open."""
        self._step = step + 1
        rows, resolution = part[:, 0].cpu(), int(part[0, 1])
        images, masks = varied(*self._read(rows), chance)
        if resolution != images.shape[-1]:
            images, masks = functional.interpolate(images, size=resolution, mode="area"), masks[:, None]
            masks = functional.interpolate(masks, size=resolution, mode="area")[:, 0]
        conditions = self.conditions.chosen(rows).with_mask(mask_cells(masks, self._cells(resolution)))
        told = conditions.dropped(chance).to(self.device)
        codes = self.codec.encode(images.to(self.device))
        loss = velocity_loss(partial(self.velocity, conditions=told), codes, self.weights, chance).mean()
        return loss, {"velocity": float(loss.detach())}

    @torch.no_grad()
    def validate(self, modules: Mapping[str, nn.Module]) -> dict[str, float]:
        """Loss of held-out pictures, always with the same noise; a grid of samples is written beside."""
        network = modules["velocity"]
        sheet = sample_sheet(network, self.run, self.device)
        sheet.save(self.folder / f"samples-{self._step:07d}.png")
        if self.run.held_out is None:
            return {}
        rows = np.random.default_rng(0).permutation(len(self.run.held_out))[:VALIDATION_PICTURES]
        held = self.run.held_out.chosen(rows)
        conditions = ConditionBatch.of_pictures(held, self.run.vocabulary, self._cells(held.images.shape[-1]))
        chance, total = torch.Generator().manual_seed(0), 0.0
        for part in torch.arange(len(held)).split(self.run.loop.batch_size):
            told = conditions.chosen(part).to(self.device)
            codes = self.codec.encode(as_tensor(held.images[part.numpy()]).to(self.device))
            total += float(
                velocity_loss(partial(network, conditions=told), codes, self.weights, chance).sum()
            )
        return {"velocity": total / len(held), "score": -total / len(held)}


@torch.no_grad()
def sample_sheet(network: nn.Module, run: DiffusionRun, device: torch.device, seed: int = 0) -> Any:
    """A row of samples for each modality, with the conditions of training pictures, as one picture."""
    modalities = np.array([source.modality for source in run.training.sources])
    draw = np.random.default_rng(seed)
    rows = np.concatenate(
        [draw.choice(np.flatnonzero(modalities == m), SAMPLE_COLUMNS) for m in np.unique(modalities)]
    )
    side = run.training.images.shape[-1] // PATCH
    chosen = run.training.chosen(rows)
    told = ConditionBatch.of_pictures(chosen, run.vocabulary, MASK_CELLS * side).to(device)
    chance = torch.Generator().manual_seed(seed)
    noise = torch.randn((len(rows), run.codec.channels, side, side), generator=chance).to(device)
    codes = flow(partial(network, conditions=told), noise, SAMPLE_STEPS, chance, lambda share: None)
    return picture_grid(to_pictures(run.codec.to(device).decode(codes).clamp(-1, 1)), SAMPLE_COLUMNS)


def train_velocity(
    run: DiffusionRun, folder: Path, device: torch.device, report: ReportTraining
) -> tuple[nn.Module, dict[str, Any]]:
    """Train, or go on with the run in ``folder``.

    Returns:
        The averaged network of the best validation, and figures with JSON values.
    """
    learner = DiffusionLearner(run, folder, device)
    running = TrainingLoop(run.loop, learner, folder, device)
    network = running.run(report)["velocity"]
    score = running.best if running.best is not None else math.nan
    figures: dict[str, Any] = {"steps": running.step, "part_size": running.part_size}
    return network, figures if math.isnan(score) else {**figures, "validation_velocity": -score}
