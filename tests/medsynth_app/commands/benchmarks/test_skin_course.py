"""``medsynth benchmark skin-course`` on two drawn lesions, with the shipped weights."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from medsynth_app.cli import application
from medsynth_app.synthesis.skin.dataset import is_held_out


def draw_collection(folder: Path) -> None:
    """Two held-out lesions and two that are not: brown blotches on pink skin, in HAM10000's layout."""
    held_out = (f"HAM_{number}" for number in count() if is_held_out(f"HAM_{number}"))
    others = (f"HAM_{number}" for number in count() if not is_held_out(f"HAM_{number}"))
    rows = ["lesion_id,image_id,dx"]
    away = np.hypot(*np.mgrid[-75:75, -100:100])
    for number, lesion in enumerate((next(held_out), next(held_out), next(others), next(others))):
        share = 1 / (1 + np.exp((away - 30 - 5 * number) / 6))[..., None]
        picture = share * (95, 55, 45) + (1 - share) * (222, 172, 160)
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"ISIC_{number}.jpg")
        rows.append(f"{lesion},ISIC_{number},nv")
    (folder / "metadata.csv").write_text("\n".join(rows))


def test_figures_of_held_out_lesions_and_times(tmp_path: Path) -> None:
    draw_collection(tmp_path)
    arguments = ["benchmark", "skin-course", str(tmp_path), "--steps", "3", "--json", str(tmp_path / "figures.json")]
    done = CliRunner().invoke(application, arguments)
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["lesions"] == 2, "those trained on are left out"
    assert 0 < figures["squared_error"] < 0.2
    assert figures["progression_seconds"] > figures["sample_seconds"] > 0
    assert figures["samples"] == 2
    assert {"kid", "kid_floor", "frechet", "frechet_floor"} <= set(figures)
    assert "2 held out" in done.output
