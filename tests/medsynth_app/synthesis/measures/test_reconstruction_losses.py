"""Losses of pictures and volumes: zero for the same, more where it matters."""

from __future__ import annotations

import pytest
import torch

from medsynth_app.synthesis.measures.reconstruction_losses import edge_loss, medical_squared_error

SHAPES = [(2, 3, 16, 16), (2, 1, 12, 12, 12)]


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_for_the_same_and_gradients_otherwise(shape: tuple[int, ...]) -> None:
    real = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    for loss in (medical_squared_error, edge_loss):
        assert float(loss(real, real)) == 0.0
        made = (0.5 * real).requires_grad_(True)
        loss(made, real).backward()
        assert made.grad is not None
        assert float(made.grad.abs().sum()) > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_the_body_counts_more_and_edges_see_no_brightness(shape: tuple[int, ...]) -> None:
    real = torch.zeros(shape)
    real[..., : shape[-1] // 2] = 0.5
    in_body, in_air = real.clone(), real.clone()
    in_body[..., 0], in_air[..., -1] = 0.6, 0.1
    assert float(medical_squared_error(in_body, real)) == pytest.approx(3 * float(medical_squared_error(in_air, real)))
    lesion = torch.zeros_like(real[:, :1])
    lesion[in_body[:, :1] != real[:, :1]] = 1.0
    missed = medical_squared_error(in_body, real, 2.0, lesion, 6.0)
    assert float(missed) > 2 * float(medical_squared_error(in_body, real)), "a lesion counts more than the body"
    assert float(medical_squared_error(in_body, real, 0.0)) == pytest.approx(float((in_body - real).square().mean()))
    assert float(edge_loss(real + 0.2, real)) == pytest.approx(0.0, abs=1e-6)
    blurred = real.clone()
    blurred[..., shape[-1] // 2 - 2 : shape[-1] // 2 + 2] = 0.25
    assert float(edge_loss(blurred, real)) > 0.01
