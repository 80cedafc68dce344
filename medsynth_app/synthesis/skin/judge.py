"""What a picture shows: probability of melanoma against nevus, and where the lesion lies.

Both are small heads on the frozen features of a network trained on photographs: a linear one on pooled features
and a two-layer one per place. Trained on real images only; the generated ones are measured with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from medsynth_app.synthesis.measures.features import FEATURE_CHANNELS, POOLED_SIZE, PhotographFeatures, pooled

MASK_CHANNELS = 32


@dataclass(frozen=True)
class Judgement:
    """Of a batch of pictures.

    Attributes:
        melanoma: (N,) probability, 0..1.
        lesion: (N, R, R) probability that a pixel belongs to the lesion.
        view: the features it was made from, for perceptual distances.
    """

    melanoma: torch.Tensor
    lesion: torch.Tensor
    view: list[torch.Tensor]


class LesionJudge(nn.Module):
    """The two heads; the photograph network is built with them, its weights are not stored again."""

    center: torch.Tensor
    spread: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = PhotographFeatures()
        self.register_buffer("center", torch.zeros(POOLED_SIZE))
        self.register_buffer("spread", torch.ones(POOLED_SIZE))
        self.melanoma = nn.Linear(POOLED_SIZE, 1)
        nn.init.zeros_(self.melanoma.weight)
        self.place = nn.Conv2d(sum(FEATURE_CHANNELS), MASK_CHANNELS, 1)
        self.mask = nn.Conv2d(MASK_CHANNELS, 1, 3, padding=1)

    def heads_state(self) -> dict[str, torch.Tensor]:
        """What is stored: everything but the photograph network."""
        return {k: v for k, v in self.state_dict().items() if not k.startswith("features.")}

    def load_heads(self, state: dict[str, torch.Tensor]) -> None:
        """Take up what ``heads_state`` gave."""
        missing, unexpected = self.load_state_dict(state, strict=False)
        foreign = [name for name in missing if not name.startswith("features.")]
        if foreign or unexpected:
            raise RuntimeError(f"weights do not fit the judge: {[*foreign, *unexpected][:3]}")

    def melanoma_logit(self, view: list[torch.Tensor]) -> torch.Tensor:
        """(N,) logits of the features of a batch."""
        return self.melanoma((pooled(view) - self.center) / self.spread).squeeze(1)

    def mask_logits(self, view: list[torch.Tensor]) -> torch.Tensor:
        """(N, R / 4, R / 4) logits."""
        side = view[0].shape[-2:]
        stacked = [functional.interpolate(v, size=side, mode="bilinear", align_corners=False) for v in view]
        return self.mask(functional.relu(self.place(torch.cat(stacked, dim=1)))).squeeze(1)

    def forward(self, images: torch.Tensor) -> Judgement:
        """Judgement of images (N, 3, R, R), -1..1."""
        view = self.features(images)
        lesion = torch.sigmoid(self.mask_logits(view))[:, None]
        lesion = functional.interpolate(lesion, size=images.shape[-2:], mode="bilinear", align_corners=False)
        return Judgement(torch.sigmoid(self.melanoma_logit(view)), lesion.squeeze(1), view)
