"""The measures that papers print, FID and LPIPS, where their networks' weights are at hand; nothing is downloaded.

Weights are looked for in torch's hub folder (``TORCH_HOME``), where torchvision and ``lpips`` leave them. FID here is
taken with torchvision's Inception-v3: the papers' TensorFlow weights give slightly other values, so the result names
its backbone. Without weights the measures of ``quality.py`` with the installed backbone stand alone.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from medsynth_app.synthesis.measures.quality import compared

INCEPTION_FILE, INCEPTION_SIDE = "inception_v3_google-0cc3c7bd.pth", 299
ALEXNET_FILE = "alexnet-owt-7be5be79.pth"
INCEPTION = "Inception-v3 (torchvision weights)"
LPIPS = "LPIPS 0.1 (AlexNet)"
BATCH = 8
PAIRS = 50


def weights_at_hand(name: str) -> Path | None:
    """A weights file in torch's hub folder, or None."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    return path if path.is_file() else None


class InceptionFeatures(nn.Module):
    """Inception-v3 up to its pooled features.

    Args:
        path: torchvision's weights.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        # A second to import, and only needed where there are weights.
        from torchvision.models import inception_v3  # noqa: PLC0415

        network = inception_v3(weights=None, init_weights=False, transform_input=False)
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        network.fc = nn.Identity()
        self.network = network.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> np.ndarray:
        """(N, 2048) float64 of images (N, 1 or 3, R, R), -1..1."""
        parts = []
        for part in images.expand(-1, 3, -1, -1).split(BATCH):
            enlarged = functional.interpolate(part, size=INCEPTION_SIDE, mode="bilinear", align_corners=False)
            parts.append(self.network(enlarged).double())
        return torch.cat(parts).numpy()


def published_figures(made: torch.Tensor, real: torch.Tensor, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Of two collections of images (N, 3, R, R), -1..1: what can be measured here, by backbone; empty without weights.

    Returns:
        ``inception``: as ``compared``, so that ``frechet`` is the FID; ``lpips``: mean LPIPS of two images of a
        collection (``diversity``, ``diversity_real``). Each names its ``backbone``.
    """
    figures: dict[str, dict[str, Any]] = {}
    path = weights_at_hand(INCEPTION_FILE)
    if path is not None:
        network = InceptionFeatures(path)
        figures["inception"] = {"backbone": INCEPTION, **compared(network(made), network(real), seed=seed)}
    if weights_at_hand(ALEXNET_FILE) is not None and importlib.util.find_spec("lpips") is not None:
        figures["lpips"] = {
            "backbone": LPIPS,
            "diversity": _lpips_diversity(made, seed),
            "diversity_real": _lpips_diversity(real, seed),
        }
    return figures


@torch.no_grad()
def _lpips_diversity(images: torch.Tensor, seed: int) -> float:
    """Mean LPIPS of pairs of a collection."""
    import lpips  # noqa: PLC0415 - not among the requirements: used where a user has it

    network = lpips.LPIPS(net="alex", verbose=False)
    draw = np.random.default_rng(seed)
    pairs = np.stack([draw.choice(len(images), 2, replace=False) for _ in range(PAIRS)])
    return float(torch.cat([network(images[a : a + 1], images[b : b + 1]) for a, b in pairs]).mean())
