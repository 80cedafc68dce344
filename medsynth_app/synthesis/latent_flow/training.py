"""Training of the flow on the codes of a trained autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medsynth_app.synthesis.latent_flow.losses import flow_loss
from medsynth_app.synthesis.latent_flow.network import FlowConfiguration, build_flow
from medsynth_app.synthesis.training import LoopConfiguration, ReportTraining, TrainingLoop, untold
from medsynth_app.synthesis.weights import save_weights

KIND = "latent_flow"
VALIDATION_REPEATS = 4
LEFT_OPEN = 0.1
"""Share of training codes whose sequence is not told, so that it may be left open."""


@dataclass(frozen=True)
class Codes:
    """Codes of volumes.

    Attributes:
        array: (N, C, x, y, z) float32.
        kinds: (N,) int64: 1 + place of the volume's sequence, 0 = unknown.
    """

    array: torch.Tensor
    kinds: torch.Tensor

    def chosen(self, rows: slice | torch.Tensor) -> Codes:
        """The codes of these rows."""
        return Codes(self.array[rows], self.kinds[rows])

    def scaled(self, mean: float, deviation: float) -> Codes:
        """Shifted and divided."""
        return Codes((self.array - mean) / deviation, self.kinds)


class FlowLearner:
    """What the training loop trains.

    Args:
        configuration: shape of the network.
        codes: of training volumes, of unit variance.
        held_out: the same of validation volumes, may be empty.
        rate: learning rate.
        device: where it runs.
        seed: of the first weights.
    """

    averaged: Sequence[str] = ("flow",)

    def __init__(
        self, configuration: FlowConfiguration, codes: Codes, held_out: Codes, rate: float,
        device: torch.device, seed: int = 0,
    ) -> None:  # fmt: skip
        torch.manual_seed(seed)
        self.codes, self.held_out, self.device = codes, held_out, device
        self.flow = build_flow(configuration).to(device)
        self.modules: Mapping[str, nn.Module] = {"flow": self.flow}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {
            "flow": torch.optim.AdamW(self.flow.parameters(), lr=rate)
        }

    def draw(self, count: int, resolution: int, chance: torch.Generator) -> torch.Tensor:
        """Rows of a batch, (count,); all codes have one resolution."""
        return torch.randint(len(self.codes.array), (count,), generator=chance)

    def loss(
        self, phase: str, part: torch.Tensor, chance: torch.Generator, step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The flow's loss."""
        batch = self.codes.chosen(part.cpu())
        told = torch.rand(len(part), generator=chance) >= LEFT_OPEN
        loss = self._flow_loss(self.flow, Codes(batch.array, batch.kinds * told), chance)
        return loss, {"flow": float(loss.detach())}

    @torch.no_grad()
    def validate(self, modules: Mapping[str, nn.Module]) -> dict[str, float]:
        """Loss of held-out codes, always with the same noise."""
        if not len(self.held_out.array):
            return {}
        rows = torch.arange(len(self.held_out.array)).repeat(VALIDATION_REPEATS)
        chance = torch.Generator().manual_seed(0)
        losses = [float(self._flow_loss(modules["flow"], self.held_out.chosen(row), chance)) for row in rows.split(4)]
        return {"flow": sum(losses) / len(losses), "score": -sum(losses) / len(losses)}

    def _flow_loss(self, flow: nn.Module, codes: Codes, chance: torch.Generator) -> torch.Tensor:
        kinds = codes.kinds.to(self.device)
        return flow_loss(
            lambda code, time: flow(code, time, class_labels=kinds), codes.array.to(self.device), chance
        )


def train_flow(
    configuration: FlowConfiguration,
    loop: LoopConfiguration,
    codes: Codes,
    held_out: Codes,
    autoencoder_sha256: str,
    facts: Mapping[str, Any],
    folder: Path,
    weights: Path,
    device: torch.device,
    report: ReportTraining = untold,
) -> dict[str, Any]:
    """Train and store the flow.

    Args:
        configuration / loop: see there.
        codes / held_out: as the autoencoder gave them; scaled here.
        autoencoder_sha256: the weights belong to this autoencoder only.
        facts: ``trained_on`` and ``volume_type``.
        folder: of checkpoints.
        weights: file of the weights.
        device: where it runs.
        report: told about progress.
    """
    mean, deviation = float(codes.array.mean()), float(codes.array.std())
    learner = FlowLearner(
        configuration,
        codes.scaled(mean, deviation),
        held_out.scaled(mean, deviation),
        loop.learning_rate,
        device,
        loop.seed,
    )
    running = TrainingLoop(loop, learner, folder, device)
    flow = running.run(report)["flow"]
    notes = {
        "mean": mean, "deviation": deviation, "autoencoder_sha256": autoencoder_sha256, "steps": running.step,
        "volume_type": facts["volume_type"],
    }  # fmt: skip
    digest = save_weights(
        weights, KIND, configuration.as_dict(), flow.state_dict(), str(facts["trained_on"]), notes
    )
    return {**learner.validate({"flow": flow}), "steps": running.step, "weights_sha256": digest}
