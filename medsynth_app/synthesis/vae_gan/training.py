"""Training of the autoencoder with its discriminator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.metrics import PSNRMetric, SSIMMetric
from torch import nn
from torch.nn import functional

from medsynth_app.synthesis.measures.privacy import store_reference
from medsynth_app.synthesis.measures.reconstruction_losses import edge_loss, medical_squared_error
from medsynth_app.synthesis.training.loop import LoopConfiguration, ReportTraining, TrainingLoop, untold
from medsynth_app.synthesis.vae_gan.losses import (
    SlicePerception,
    TissueModel,
    adversarial_discriminator,
    adversarial_generator,
    anatomical_consistency,
    divergence,
    shrunk,
)
from medsynth_app.synthesis.vae_gan.network import (
    VaeConfiguration,
    VolumeAutoencoder,
    build_discriminator,
    encode_mean,
)
from medsynth_app.synthesis.vae_gan.transforms import augmented, with_copies
from medsynth_app.synthesis.weights import save_weights

KIND = "vae_gan"
LARGEST_COMPONENTS = 28
"""Of all sequences together: they are most of a weights file."""
CODE_NOISE_FLOOR = 1e-4


@dataclass(frozen=True)
class LossWeights:
    """How much each part of the autoencoder's loss counts.

    Attributes:
        squared_error / edge / perceptual / anatomy / divergence / adversarial: see ``losses``.
        region: lambda of the region-weighted squared error.
        adversarial_from: update at which the discriminator joins.
    """

    squared_error: float = 30.0
    edge: float = 3.0
    perceptual: float = 0.05
    anatomy: float = 0.3
    divergence: float = 1e-3
    adversarial: float = 0.02
    region: float = 2.0
    adversarial_from: int = 400


class VaeLearner:
    """What the training loop trains: autoencoder, then discriminator.

    Args:
        configuration: shape of the autoencoder.
        weights: of the losses.
        training: (N, 1, R, R, R) float32, 0..1.
        validation: the same, or with N = 0.
        rate: learning rate.
        device: where it runs.
        seed: of first weights.
    """

    averaged: Sequence[str] = ("vae",)

    def __init__(
        self,
        configuration: VaeConfiguration,
        weights: LossWeights,
        training: np.ndarray,
        validation: np.ndarray,
        rate: float,
        device: torch.device,
        seed: int = 0,
    ) -> None:
        torch.manual_seed(seed)
        self.weights, self.device = weights, device
        self.training, self.validation = torch.from_numpy(training), torch.from_numpy(validation)
        self.vae = VolumeAutoencoder(configuration)
        self.vae.linear.fit(self.training)
        self.vae = self.vae.to(device)
        self.discriminator = build_discriminator().to(device)
        self.perception = SlicePerception().to(device) if weights.perceptual else None
        self.tissues = TissueModel()
        self.modules: Mapping[str, nn.Module] = {"vae": self.vae, "discriminator": self.discriminator}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {
            "vae": torch.optim.AdamW(self.vae.parameters(), lr=rate, weight_decay=1e-5),
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), lr=rate, betas=(0.5, 0.9)),
        }

    def draw(self, count: int, resolution: int, chance: torch.Generator) -> torch.Tensor:
        """A batch of augmented cubes at a resolution."""
        chosen = torch.randint(len(self.training), (count,), generator=chance)
        return augmented(shrunk(self.training[chosen], resolution), chance)

    def loss(
        self, phase: str, part: torch.Tensor, chance: torch.Generator, step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss of one phase."""
        if phase == "discriminator":
            return self._discriminator_loss(part, chance, step)
        made, mean, deviation = self._passed(part, chance)
        weights = self.weights
        parts = {
            "squared_error": medical_squared_error(made, part, weights.region),
            "edge": edge_loss(made, part),
            "anatomy": anatomical_consistency(made, part, self.tissues),
            "divergence": divergence(mean, deviation),
        }
        if self.perception is not None:
            parts["perceptual"] = self.perception(made, part, chance)
        if step >= weights.adversarial_from and weights.adversarial:
            parts["adversarial"] = adversarial_generator(self.discriminator(made)[-1])
        total = torch.stack([getattr(weights, name) * value for name, value in parts.items()]).sum()
        return total, {name: float(value.detach()) for name, value in parts.items()}

    def _discriminator_loss(
        self, part: torch.Tensor, chance: torch.Generator, step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        if step < self.weights.adversarial_from or not self.weights.adversarial:
            # It has not joined yet: a loss that moves nothing.
            return sum(p.sum() for p in self.discriminator.parameters()) * 0.0, {}  # type: ignore[return-value]
        with torch.no_grad():
            made = self._passed(part, chance)[0]
        loss = adversarial_discriminator(self.discriminator(part)[-1], self.discriminator(made)[-1])
        return loss, {"discriminator": float(loss.detach())}

    def _passed(
        self, part: torch.Tensor, chance: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Reconstruction, mean and deviation of the code, with noise drawn from ``chance``."""
        mean, deviation = self.vae.encode(part)
        noise = torch.randn(mean.shape, generator=chance).to(self.device, mean.dtype)
        return self.vae.decode(mean + noise * deviation).float(), mean.float(), deviation.float()

    def validate(self, modules: Mapping[str, nn.Module]) -> dict[str, float]:
        """PSNR in dB and SSIM of held-out reconstructions; ``score`` is PSNR + 20 SSIM."""
        if not len(self.validation):
            return {}
        figures = reconstruction_figures(modules["vae"], self.validation.to(self.device))  # type: ignore[arg-type]
        return {**figures, "score": figures["psnr"] + 20.0 * figures["ssim"]}


@torch.no_grad()
def reconstruction_figures(vae: VolumeAutoencoder, cubes: torch.Tensor) -> dict[str, float]:
    """Mean 3-D PSNR (dB, range 1) and SSIM of reconstructions of cubes (N, 1, R, R, R)."""
    psnr, ssim = PSNRMetric(max_val=1.0), SSIMMetric(spatial_dims=3, data_range=1.0)
    for cube in cubes:
        made = vae.decode(vae.encode(cube[None])[0]).clamp(0.0, 1.0)
        psnr(made, cube[None])
        ssim(made, cube[None])
    means = [torch.as_tensor(metric.aggregate()) for metric in (psnr, ssim)]
    return {"psnr": float(means[0]), "ssim": float(means[1])}


@dataclass(frozen=True)
class VaeRun:
    """All that one training of the autoencoder needs.

    Attributes:
        configuration / losses / loop: see there.
        volume_type: what the cubes show.
        training / validation: (N, 1, R, R, R) float32, 0..1.
        sequences: of the training cubes, where there are several; else empty.
        spacing_mm: mean voxel size of the cubes.
        trained_on: a sentence for the catalogue.
        copies / warp: warped copies of each cube in the distribution of codes, see ``with_copies``.
    """

    configuration: VaeConfiguration
    losses: LossWeights
    loop: LoopConfiguration
    volume_type: str
    training: np.ndarray
    validation: np.ndarray
    spacing_mm: float
    trained_on: str
    sequences: tuple[str, ...] = ()
    copies: int = 0
    warp: float = 0.0


def train_vae(
    run: VaeRun, folder: Path, weights: Path, device: torch.device, report: ReportTraining = untold
) -> dict[str, Any]:
    """Train, then store weights, the distribution of codes, and the reference of the memorisation audit.

    Args:
        run: what and how.
        folder: of checkpoints.
        weights: file of the weights; the reference lies beside it.
        device: where it runs.
        report: told about progress.

    Returns:
        Figures: PSNR, SSIM, updates, hash of the weights.
    """
    learner = VaeLearner(
        run.configuration,
        run.losses,
        run.training,
        run.validation,
        run.loop.learning_rate,
        device,
        run.loop.seed,
    )
    loop = TrainingLoop(run.loop, learner, folder, device)
    vae: VolumeAutoencoder = loop.run(report)["vae"]  # type: ignore[assignment]
    cubes = with_copies(torch.from_numpy(run.training), run.copies, run.warp, run.loop.seed)
    codes = encode_mean(vae, cubes).flatten(1)
    figures = learner.validate({"vae": vae})
    kinds = sorted(set(run.sequences)) or [""]
    of_codes = run.sequences * (1 + run.copies)
    rows = {kind: [i for i in range(len(codes)) if not of_codes or of_codes[i] == kind] for kind in kinds}
    distributions = [code_distribution(codes[rows[kind]], LARGEST_COMPONENTS // len(kinds)) for kind in kinds]
    together = {f"codes.{name}": _stacked([each[name] for each in distributions]) for name in distributions[0]}
    tensors = {**vae.state_dict(), **together}
    notes = {
        "volume_type": run.volume_type, "spacing_mm": round(run.spacing_mm, 4), "steps": loop.step,
        "sequences": sorted(set(run.sequences)), "training_volumes": len(run.training),
        "losses": asdict(run.losses), "validation": figures,
    }  # fmt: skip
    digest = save_weights(weights, KIND, run.configuration.as_dict(), tensors, run.trained_on, notes)
    store_reference(weights, run.training, run.validation)
    return {**figures, "steps": loop.step, "part_size": loop.part_size, "weights_sha256": digest}


def _stacked(parts: list[torch.Tensor]) -> torch.Tensor:
    """(S, ...); where one has fewer components than another, zeros fill up."""
    longest = max(len(part) for part in parts)
    return torch.stack([functional.pad(part, (0, 0) * (part.dim() - 1) + (0, longest - len(part))) for part in parts])


def code_distribution(codes: torch.Tensor, most: int) -> dict[str, torch.Tensor]:
    """Gaussian of the training codes (N, D) by at most so many principal components.

    Returns:
        ``mean`` (D,), ``components`` (K, D) scaled by their standard deviation, ``residual`` (D,) standard
        deviation that they leave.
    """
    mean = codes.mean(0)
    centred = codes - mean
    count = min(most, len(codes) - 1)
    if count < 1:
        return {"mean": mean, "components": torch.zeros(1, codes.shape[1]), "residual": torch.ones_like(mean)}
    _, values, directions = torch.linalg.svd(centred, full_matrices=False)
    components = directions[:count] * (values[:count] / max(len(codes) - 1, 1) ** 0.5)[:, None]
    left = (centred.square().sum(0) / max(len(codes) - 1, 1) - components.square().sum(0)).clamp_min(0.0)
    return {"mean": mean, "components": components, "residual": (left + CODE_NOISE_FLOOR).sqrt()}
