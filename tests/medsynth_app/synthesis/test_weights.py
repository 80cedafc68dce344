"""Weights files: the same weights are the same bytes, and say what they can make."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS
from medsynth_app.synthesis.weights import SHIPPED_FOLDER, load_weights, read_kinds, read_origin, save_weights

SHIPPED = sorted(SHIPPED_FOLDER.glob("*.safetensors"))


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


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_weights_have_a_card(path: Path) -> None:
    name = path.stem.removesuffix("-reference")
    assert any(name in card.read_text("utf-8") for card in SHIPPED_FOLDER.glob("*.md")), name
    assert path.with_name(f"{name}.safetensors").is_file()


@pytest.mark.parametrize(("pattern", "megabytes"), [("*-[cm][tr]*-*", 16), ("*image*", 24), ("*", 48)])
def test_shipped_weights_stay_small(pattern: str, megabytes: int) -> None:
    """All repositories of this kind are cloned whole, history and all."""
    assert 0 < sum(path.stat().st_size for path in SHIPPED_FOLDER.glob(f"{pattern}.safetensors")) < megabytes * 1e6
    assert SHIPPED_WEIGHTS.stat().st_size < 12e6
