"""Every generator says how good it was found to be; what was not measured is experimental."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from medsynth_app.synthesis.catalogue import CATALOGUE, CatalogueRow
from medsynth_app.synthesis.measures.standing import SIMPLEST, UNMEASURED
from medsynth_app.synthesis.weights import SHIPPED_FOLDER, WeightsStore

SHIPPED = WeightsStore()
LEARNED = [row for row in CATALOGUE.rows if row.weights]


@pytest.mark.parametrize("row", CATALOGUE.rows, ids=lambda row: f"{row.task}/{row.generator}")
def test_every_kind_that_can_be_made_has_a_status_and_a_figure(row: CatalogueRow) -> None:
    described = row.described(SHIPPED)
    statuses = set()
    for kind in described["kinds"]:
        assert kind["status"] in ("ready", "experimental")
        assert len(kind["figure"]) > 20
        statuses.add(kind["status"])
        if kind["ready"] and row.weights:
            assert kind["figure"] != UNMEASURED.figure, "shipped weights were measured"
    assert described["status"] == ("ready" if "ready" in statuses else "experimental")


@pytest.mark.parametrize("row", LEARNED, ids=lambda row: f"{row.task}/{row.generator}")
def test_weights_trained_elsewhere_are_experimental(row: CatalogueRow, tmp_path: Path) -> None:
    kind, name = next((kind, name) for kind, name in row.weights.items() if SHIPPED.find(name))
    shutil.copy(SHIPPED_FOLDER / f"{name}.safetensors", tmp_path)
    assert row.standing(kind, WeightsStore.of(tmp_path)) is UNMEASURED
    assert row.standing(kind, SHIPPED) is not UNMEASURED


def test_the_simplest_of_a_task_is_ready() -> None:
    for task in ("tumor_case_synthesis", "volume_synthesis", "image_synthesis"):
        assert CATALOGUE.row(task).standing("", SHIPPED) is SIMPLEST


def test_a_ready_picture_is_nearer_to_real_ones_than_the_phantom() -> None:
    row = CATALOGUE.row("image_synthesis", "stylegan2")
    for kind, standing in row.measured.items():
        told = re.match(r"KID ([\d.]+), phantom (\d+)", standing.figure)
        assert not standing.is_ready or told is None or float(told[1]) < float(told[2]), kind
