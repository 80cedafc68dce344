"""Folding changes the work, not the answer."""

from __future__ import annotations

import pytest
import torch

from medsynth_app.segmentation.folding import fold_batch_norm
from medsynth_app.segmentation.network import NETWORKS, NetworkConfiguration, batch_norms, build_network

FOLDED_AWAY = ("unet", "subpixel_unet")
"""The others norm before they convolve, or keep the two apart."""


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_answer_is_the_same(name: str, norm: str) -> None:
    torch.manual_seed(0)
    network = build_network(NetworkConfiguration(name, ("t2",), width=4, dropout=0.1, norm=norm))
    image = torch.randn(1, 1, 64, 32, 32)
    with torch.no_grad():
        for layer in batch_norms(network):
            layer.momentum = None
        network.train()(image)
        network.eval()
        before = network(image)
        after = fold_batch_norm(network)(image)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-3)
    if name in FOLDED_AWAY:
        assert batch_norms(network) == []
