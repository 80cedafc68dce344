"""Training of the flow on the codes of a trained autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


class FlowLearner:
    """What the training loop trains.

    Args:
        configuration: shape of the network.
        codes: (N, C, x, y, z) of training volumes, of unit variance.
        held_out: the same of validation volumes, may be empty.
        rate: learning rate.
        device: where it runs.
        seed: of the first weights.
    """

    averaged: Sequence[str] = ("flow",)

    def __init__(
        self, configuration: FlowConfiguration, codes: torch.Tensor, held_out: torch.Tensor, rate: float,
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
        """A batch of codes; they have one resolution."""
        return self.codes[torch.randint(len(self.codes), (count,), generator=chance)]

    def loss(
        self, phase: str, part: torch.Tensor, chance: torch.Generator, step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The flow's loss."""
        loss = flow_loss(self.flow, part, chance)
        return loss, {"flow": float(loss.detach())}

    @torch.no_grad()
    def validate(self, modules: Mapping[str, nn.Module]) -> dict[str, float]:
        """Loss of held-out codes, always with the same noise."""
        if not len(self.held_out):
            return {}
        chance = torch.Generator().manual_seed(0)
        codes = self.held_out.repeat(VALIDATION_REPEATS, 1, 1, 1, 1).to(self.device)
        loss = float(flow_loss(modules["flow"], codes, chance))
        return {"flow": loss, "score": -loss}


def train_flow(
    configuration: FlowConfiguration,
    loop: LoopConfiguration,
    codes: torch.Tensor,
    held_out: torch.Tensor,
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
        codes / held_out: (N, C, x, y, z) as the autoencoder gave them; scaled here.
        autoencoder_sha256: the weights belong to this autoencoder only.
        facts: ``trained_on`` and ``volume_type``.
        folder: of checkpoints.
        weights: file of the weights.
        device: where it runs.
        report: told about progress.
    """
    mean, deviation = float(codes.mean()), float(codes.std())
    learner = FlowLearner(
        configuration,
        (codes - mean) / deviation,
        (held_out - mean) / deviation,
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
