"""A tiny folder of pictures whose conditions can be measured, and weights trained on it for a moment."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medsynth_app.options import parse_options
from medsynth_app.synthesis.trainers.images import TRAINER_OPTIONS, train_image_synthesis
from medsynth_app.synthesis.training.loop import untold
from medsynth_app.synthesis.weights import WeightsStore

SIDE = 32
TINY = {
    "resolution": SIDE,
    "channels": "32,32",
    "code_channels": 6,
    "steps": 2,
    "batch_size": 4,
    "validate_every": 2,
}


def disc(place: tuple[float, float], radius: float, side: int = SIDE) -> np.ndarray:
    """(side, side) bool."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    return np.hypot(x - place[0], y - place[1]) < radius


def write_collection(folder: Path, count: int = 24, side: int = SIDE) -> None:
    """Grey CT slices with a bright bleeding whose place, size and severity vary, and coloured retinas with ages."""
    chance = np.random.default_rng(0)
    rows = []
    for number in range(count):
        place = (float(chance.uniform(0.3, 0.7)), float(chance.uniform(0.3, 0.7)))
        severity = float(chance.uniform(0, 1))
        lesion = disc(place, 0.08 + 0.12 * severity, side)
        sick = number % 3 > 0
        head = 90.0 * disc((0.5, 0.5), 0.45, side) + chance.normal(0, 4, (side, side))
        picture = np.clip(head + (130.0 * lesion if sick else 0.0), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"ct{number}.png")
        Image.fromarray(np.where(lesion & sick, 255, 0).astype(np.uint8)).save(
            folder / f"ct{number}_mask.png"
        )
        rows.append({
            "path": f"ct{number}.png", "modality": "ct", "pathology": "haemorrhage" if sick else "normal",
            "patient": f"p{number // 2}", "severity": f"{severity:.3f}" if sick else "", "mask": f"ct{number}_mask.png",
        })  # fmt: skip
        age = int(chance.integers(20, 90))
        colours = disc((0.5, 0.5), 0.48, side)[..., None] * np.array([2.5 * age, 90, 20])
        Image.fromarray(colours.astype(np.uint8)).save(folder / f"eye{number}.png")
        rows.append(
            {"path": f"eye{number}.png", "modality": "retina", "pathology": "normal", "age": str(age)}
        )
    with (folder / "images.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["path", "modality", "pathology", "patient", "age", "severity", "mask"])
        table.writeheader()
        table.writerows(rows)


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_collection(folder)
    return folder


@pytest.fixture(scope="session")
def store(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> WeightsStore:
    folder = tmp_path_factory.mktemp("run")
    options = parse_options(TRAINER_OPTIONS, TINY)[0]
    train_image_synthesis(collection, folder, options, folder / "weights", "cpu", untold)
    return WeightsStore((folder / "weights",))
