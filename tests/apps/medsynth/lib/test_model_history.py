"""Models come, go and come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lib.model_history import KEPT_MODELS, ModelHistory

from medsynth_app.errors import NotFoundError
from medsynth_app.segmentation.current_network import CurrentNetwork
from medsynth_app.segmentation.network import NetworkConfiguration, build_network
from medsynth_app.segmentation.weights import save_weights


def weights(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    configuration = NetworkConfiguration(name="unet", width=1, dropout=0.0)
    save_weights(build_network(configuration), configuration, path, {"seed": seed})
    return path


@pytest.fixture
def history(tmp_path: Path) -> ModelHistory:
    shipped = weights(tmp_path / "shipped.safetensors", 0)
    return ModelHistory(tmp_path / "history", CurrentNetwork([tmp_path / "published.safetensors", shipped], "cpu"))


def served_seed(history: ModelHistory) -> Any:
    return history.current.get()[2]["seed"]


def test_new_model_is_served_and_the_earlier_one_can_come_back(history: ModelHistory, tmp_path: Path) -> None:
    shipped = history.keep_served()
    assert shipped == history.served()
    trained = history.keep(weights(tmp_path / "run.safetensors", 1), {"dice": {"mean": 0.7}, "parent": shipped})
    history.publish(tmp_path / "run.safetensors")
    assert (served_seed(history), history.served()) == (1, trained)
    assert history.restore(shipped) == {"model": shipped, "before": trained}  # type: ignore[arg-type]
    assert served_seed(history) == 0
    history.restore(trained)
    assert served_seed(history) == 1
    rows = {row["id"]: row for row in history.models()}
    assert rows[trained]["dice"] == {"mean": 0.7}
    assert (rows[trained]["served"], rows[shipped]["served"]) == (True, False)
    assert rows[trained]["parent"] == shipped


def test_uploaded_model_is_not_lost_when_another_is_restored(history: ModelHistory, tmp_path: Path) -> None:
    first = history.keep_served()
    weights(tmp_path / "published.safetensors", 5)
    uploaded = history.restore(first)["before"]  # type: ignore[arg-type]
    history.restore(uploaded)
    assert served_seed(history) == 5
    assert {row["id"]: row.get("origin") for row in history.models()}[uploaded] == "uploaded"


@pytest.mark.parametrize("name", ["0" * 16, "../published", "", "x", "0" * 15 + "\n"])
def test_unknown_model_is_refused_and_nothing_changes(history: ModelHistory, name: str) -> None:
    kept = history.keep_served()
    with pytest.raises(NotFoundError, match=f"there are {kept}"):
        history.restore(name)
    assert served_seed(history) == 0


def test_old_weights_go_but_their_figures_stay(history: ModelHistory, tmp_path: Path) -> None:
    history.keep_served()
    for number in range(KEPT_MODELS + 3):
        history.keep(weights(tmp_path / "run.safetensors", 10 + number), {"created": float(number), "number": number})
    rows = history.models()
    assert sum(row["can_be_restored"] for row in rows) == KEPT_MODELS + 1
    assert [row["number"] for row in rows if not row["can_be_restored"]] == [0, 1, 2]
    assert next(row for row in rows if row["served"])["can_be_restored"]


def test_broken_figures_do_not_hide_a_model(history: ModelHistory) -> None:
    kept = history.keep_served()
    (history.folder / f"{kept}.json").write_text("{")
    (row,) = history.models()
    assert (row["id"], row["served"]) == (kept, True)
