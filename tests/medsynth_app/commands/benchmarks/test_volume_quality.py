"""Learned volumes beside real ones: every figure is there, and says what its name says."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.commands.benchmarks.volume_quality import anatomy, sequence_accuracy, volume_quality
from medsynth_app.errors import InvalidValueError
from medsynth_app.options import parse_options
from medsynth_app.synthesis.data.volumes import Cubes
from medsynth_app.synthesis.measures import features
from medsynth_app.synthesis.trainers.volumes import TRAINER_OPTIONS, train_volume_synthesis
from medsynth_app.synthesis.training.loop import untold

TINY = {"resolution": 16, "channels": "8,16", "latent_channels": 2, "flow_channels": "16", "steps": 1,
        "adversarial_from": 2, "perceptual": 0, "validation": "case_0,case_1"}  # fmt: skip


def head(seed: int, sequence: str) -> np.ndarray:
    """A ball with a bright (t2) or dark (t1) middle, (16, 16, 16)."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 16)] * 3, indexing="ij"))
    radius = np.sqrt((grid**2).sum(0)) * np.random.default_rng(seed).uniform(1.0, 1.3)
    middle = 900 if sequence == "t2" else 200
    return np.where(radius < 0.5, middle, np.where(radius < 1.0, 500, 0)).astype(np.int16)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for seed in range(6):
        for sequence in ("t1", "t2"):
            image = nib.Nifti1Image(head(seed, sequence), np.eye(4))
            nib.save(image, folder / f"case_{seed}_{sequence}.nii.gz")
    return folder


def test_all_figures_of_both_generators(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "SLICES_AN_AXIS", 1)
    for stage in ("vae", "diffusion"):
        options = parse_options(TRAINER_OPTIONS, {**TINY, "stage": stage})[0]
        train_volume_synthesis(scans, tmp_path, options, tmp_path / "weights", "cpu", untold)
    volume_quality(
        scans, "case_0,case_1", weights=tmp_path / "weights", count=4, json_file=tmp_path / "figures.json"
    )
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["training_volumes"], figures["held_out_volumes"]) == (8, 4)
    assert figures["reconstruction"]["psnr"] > 15
    for generator in ("vae_gan", "diffusion"):
        rows = figures["generators"][generator]
        assert set(rows) == {"mean", "t1", "t2", "sequence_accuracy", "sequence_accuracy_real", "cpu_seconds"}
        assert rows["sequence_accuracy_real"] == 1.0
        assert rows["mean"]["kid"] == pytest.approx((rows["t1"]["kid"] + rows["t2"]["kid"]) / 2)
        assert 0.0 < rows["mean"]["anatomy"] < 1.0


def test_anatomy_is_one_for_the_same_head_and_less_for_another_kind() -> None:
    bright, dark = (head(0, name)[None, None] / 1000.0 for name in ("t2", "t1"))
    bright, dark = bright.astype(np.float32), dark.astype(np.float32)
    assert anatomy(np.concatenate([dark, bright]), bright) == pytest.approx(1.0, abs=1e-4)
    assert anatomy(dark, bright) < 0.95


def test_a_volume_of_the_wrong_sequence_is_seen() -> None:
    real = Cubes(np.stack([head(s, n)[None] / 1000.0 for s in range(3) for n in ("t1", "t2")]), (), ("t1", "t2") * 3)
    made = np.stack([head(5, "t2")[None] / 1000.0] * 2)
    assert sequence_accuracy(Cubes(made, (), ("t2", "t1")), real) == 0.5


def test_volumes_of_other_sequences_are_refused(scans: Path, tmp_path: Path) -> None:
    options = parse_options(TRAINER_OPTIONS, {**TINY, "stage": "vae"})[0]
    train_volume_synthesis(scans, tmp_path, options, tmp_path / "weights", "cpu", untold)
    others = tmp_path / "others"
    others.mkdir()
    for seed in range(3):
        nib.save(nib.Nifti1Image(head(seed, "t1"), np.eye(4)), others / f"case_{seed}_flair.nii.gz")
    with pytest.raises(InvalidValueError, match="no volume is of a sequence that the weights know: t1, t2"):
        volume_quality(others, "case_0", weights=tmp_path / "weights")
