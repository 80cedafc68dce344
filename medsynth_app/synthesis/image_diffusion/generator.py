"""``image_synthesis`` by diffusion: a picture from noise that keeps to its conditions."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from medsynth_app import __version__
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.synthesis.data.arrays import as_shown, to_pictures
from medsynth_app.synthesis.flow.losses import guided
from medsynth_app.synthesis.flow.samplers import SCHEDULERS, Velocity
from medsynth_app.synthesis.generator import GenerationRequest, ReportProgress, Synthetic, unheard
from medsynth_app.synthesis.image_diffusion.conditions import ConditionBatch
from medsynth_app.synthesis.image_diffusion.request import DiffusionRequest
from medsynth_app.synthesis.image_diffusion.weights import NAME as WEIGHTS
from medsynth_app.synthesis.image_diffusion.weights import DiffusionModel
from medsynth_app.synthesis.weights import WeightsStore

NAME = "image_synthesis.diffusion"
LABELS = {"lesion": 1}


class ImageDiffusionGenerator:
    """Pictures of the modalities that the weights have learned.

    Args:
        store: where the weights are.
    """

    def __init__(self, store: WeightsStore) -> None:
        self.store = store

    def generate(self, request: GenerationRequest, progress: ReportProgress = unheard) -> Synthetic:
        """Make one picture: (R, R) uint8, in colours (R, R, 3); with a mask where the lesion's place was told.

        Raises:
            InvalidValueError: no weights (code ``weights_missing``), or a condition that they have not learned.
        """
        path = self.store.require(WEIGHTS, "diffusion")
        model = _loaded(path, path.stat().st_mtime_ns)
        asked = DiffusionRequest.from_conditions(request.conditions, model, request.label, request.seed)
        picture = draw(model, [asked], [request.seed], progress)[0]
        lesion = None
        if asked.mask is not None and asked.mask.any():
            lesion = (np.asarray(_resized(Image.fromarray(asked.mask), asked.size)) > 0.5).astype(np.uint8)
        facts = {"modality": asked.modality, "pathology": asked.pathology, "guidance": asked.guidance,
                 "scheduler": asked.scheduler, "steps": asked.steps, "drawn_pixels": model.resolution}  # fmt: skip
        return Synthetic(
            array=np.asarray(_resized(Image.fromarray(picture), asked.size)),
            affine=None,
            mark=SyntheticMark(NAME, __version__, request.seed, dict(request.conditions), model.sha256),
            label=lesion,
            label_names=LABELS if lesion is not None else {},
            facts=facts if lesion is None else {**facts, "lesion_share": round(float(lesion.mean()), 5)},
        )


@torch.no_grad()
def draw(
    model: DiffusionModel, asked: list[DiffusionRequest], seeds: list[int], progress: ReportProgress = unheard
) -> list[np.ndarray]:
    """Pictures at the network's own size, all by the scheduler, steps and guidance of the first request.

    Args:
        model: the weights.
        asked: what each is to show.
        seeds: of each; a picture does not depend on those beside it, up to rounding.
        progress: told the share done.

    Returns:
        (R, R) uint8 each, in colours (R, R, 3).
    """
    first, side = asked[0], model.code_side
    noise = torch.cat([
        torch.randn((1, model.codec.channels, side, side), generator=torch.Generator().manual_seed(seed))
        for seed in seeds
    ])  # fmt: skip
    chance = torch.Generator().manual_seed(seeds[0] + 1)
    velocity = _velocity(model, model.conditions(asked), first.guidance)
    code = SCHEDULERS[first.scheduler].sample(velocity, noise, first.steps, chance, progress)
    pictures = to_pictures(model.decode(code))
    return [as_shown(picture, request.modality in model.grey) for picture, request in zip(pictures, asked)]


def _velocity(model: DiffusionModel, told: ConditionBatch, guidance: float) -> Velocity:
    """The network under guidance; both halves go through it together."""
    if guidance == 1.0:
        return lambda codes, time: model.network(codes, time, told)
    both = told.joined(told.opened())

    def velocity(codes: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        found = model.network(torch.cat([codes, codes]), torch.cat([time, time]), both)
        with_conditions, without = found.chunk(2)
        return guided(with_conditions, without, guidance)

    return velocity


def _resized(picture: Image.Image, size: int) -> Image.Image:
    return picture if picture.size == (size, size) else picture.resize((size, size), Image.Resampling.LANCZOS)


@lru_cache(maxsize=2)
def _loaded(path: Path, changed: int) -> DiffusionModel:
    return DiffusionModel.from_file(path)
