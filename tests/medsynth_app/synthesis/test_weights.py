"""Weights files: the same weights are the same bytes, and say what they can make."""

from __future__ import annotations

from pathlib import Path

import torch

from medsynth_app.synthesis.weights import load_weights, read_kinds, read_origin, save_weights


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    tensors = {name: torch.arange(5.0) / 3 for name in ("b", "a", "ö")}
    notes = {"kinds": ["ct", "mri"], "steps": 3}
    hashes = {save_weights(tmp_path / f"{n}.safetensors", "toy", {"w": 1}, tensors, "nothing", notes) for n in range(8)}
    assert len(hashes) == 1
    path = tmp_path / "0.safetensors"
    stored = load_weights(path, "toy")
    assert torch.equal(stored.tensors["ö"], tensors["ö"].half().float())
    assert dict(stored.notes) == notes
    assert read_origin(path) == ("nothing", stored.sha256)


def test_kinds_are_read_where_they_are_told(tmp_path: Path) -> None:
    for name, notes, kinds in (("some", {"kinds": ["ct"]}, ("ct",)), ("none", {}, ()), ("odd", {"kinds": 3}, ())):
        save_weights(tmp_path / f"{name}.safetensors", "toy", {}, {"a": torch.zeros(1)}, "", notes)
        assert read_kinds(tmp_path / f"{name}.safetensors") == kinds
