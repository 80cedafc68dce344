"""The catalogue route says what there is and what it was trained on."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from medsynth_app.api.error_handlers import add_error_handlers
from medsynth_app.api.router import PREFIX, build_router


@pytest.fixture(scope="module")
def client() -> TestClient:
    application = FastAPI()
    add_error_handlers(application)
    application.include_router(build_router())
    return TestClient(application)


def test_every_volume_type_answers_today(client: TestClient) -> None:
    rows = client.get(f"{PREFIX}/synthesis").json()["generators"]
    volumes = {row["generator"]: row for row in rows if row["task"] == "volume_synthesis"}
    assert list(volumes) == ["phantom", "vae_gan", "diffusion"]
    phantom = volumes["phantom"]
    assert not phantom["needs_weights"]
    assert [kind["kind"] for kind in phantom["kinds"]] == [
        "ct_chest", "ct_abdomen", "ct_head", "mri_brain", "mri_heart", "mri_spine",
    ]  # fmt: skip
    assert all(kind["ready"] and kind["trained_on"].startswith("no weights") for kind in phantom["kinds"])
    assert {"pathology", "severity", "age", "sex", "region"} <= {row["name"] for row in phantom["conditions"]}


def test_an_unknown_task_lists_the_known_ones(client: TestClient) -> None:
    answer = client.get(f"{PREFIX}/synthesis/dreams")
    assert answer.status_code == 404
    assert "tumor_case_synthesis, volume_synthesis" in answer.json()["detail"]
