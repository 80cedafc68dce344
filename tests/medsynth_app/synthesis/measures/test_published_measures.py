"""FID and LPIPS only where their weights lie on this machine; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import inception_v3

from medsynth_app.synthesis.measures.published_measures import (
    INCEPTION_FILE,
    published_figures,
    weights_at_hand,
)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_without_weights_nothing_is_measured(hub: Path) -> None:
    images = torch.zeros(4, 3, 32, 32)
    assert weights_at_hand(INCEPTION_FILE) is None
    assert published_figures(images, images) == {}


def test_with_weights_the_backbone_is_named(hub: Path) -> None:
    torch.manual_seed(0)
    network = inception_v3(weights=None, init_weights=False)
    torch.save(network.state_dict(), hub / INCEPTION_FILE)
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    figures = published_figures(images[:2], images)
    assert set(figures) == {"inception"}
    assert figures["inception"]["backbone"] == "Inception-v3 (torchvision weights)"
    assert figures["inception"]["samples"] == 2
