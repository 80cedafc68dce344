"""Training of the flow on the codes of a trained autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medsynth_app.synthesis.latent_flow.losses import flow_loss
from medsynth_app.synthesis.latent_flow.network import FlowConfiguration, FlowNetwork
from medsynth_app.synthesis.latent_flow.prior import CodePrior
from medsynth_app.synthesis.training.loop import LoopConfiguration, ReportTraining, TrainingLoop, untold
from medsynth_app.synthesis.vae_gan.network import code_distribution_of
from medsynth_app.synthesis.weights import StoredWeights, save_weights

KIND = "latent_flow"
VALIDATION_REPEATS = 2


@dataclass(frozen=True)
class Codes:
    """Codes of volumes.

    Attributes:
        array: (N, C, x, y, z) float32.
        kinds: (N,) int64: place of the volume's sequence among those that can be asked for; 0 without any.
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
        network: begins as the Gaussian of the codes.
        codes: of training volumes, of unit variance.
        held_out: the same of validation volumes, may be empty.
        rate: learning rate.
        device: where it runs.
    """

    averaged: Sequence[str] = ("flow",)

    def __init__(
        self, network: FlowNetwork, codes: Codes, held_out: Codes, rate: float, device: torch.device
    ) -> None:  # fmt: skip
        self.codes, self.held_out, self.device = codes, held_out, device
        self.flow = network.to(device)
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
        loss = self._flow_loss(self.flow, self.codes.chosen(part.cpu()), chance)
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
            lambda code, time: flow(code, time, kinds), codes.array.to(self.device), chance
        )


def train_flow(
    configuration: FlowConfiguration,
    loop: LoopConfiguration,
    codes: Codes,
    held_out: Codes,
    autoencoder: StoredWeights,
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
        autoencoder: where the codes come from; the flow's weights belong to it only.
        facts: ``trained_on`` and ``volume_type``.
        folder: of checkpoints.
        weights: file of the weights.
        device: where it runs.
        report: told about progress.
    """
    mean, deviation = float(codes.array.mean()), float(codes.array.std())
    torch.manual_seed(loop.seed)
    learner = FlowLearner(
        FlowNetwork(configuration, CodePrior(code_distribution_of(autoencoder), mean, deviation)),
        codes.scaled(mean, deviation),
        held_out.scaled(mean, deviation),
        loop.learning_rate,
        device,
    )
    running = TrainingLoop(loop, learner, folder, device)
    flow = running.run(report)["flow"]
    notes = {
        "mean": mean, "deviation": deviation, "autoencoder_sha256": autoencoder.sha256, "steps": running.step,
        "volume_type": facts["volume_type"],
    }  # fmt: skip
    digest = save_weights(
        weights, KIND, configuration.as_dict(), flow.state_dict(), str(facts["trained_on"]), notes
    )
    return {**learner.validate({"flow": flow}), "steps": running.step, "weights_sha256": digest}
