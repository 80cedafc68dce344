"""Rounds over REST: a case out, its label back, a better model, the next case; and nothing is lost on the way."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import requests
from monailabel.client import MONAILabelClient

MODEL = "brain_tumor_segmentation"
NAMES = ("necrotic_core", "edema", "enhancing_tumor")
TRAINING = {
    "max_epochs": 12, "patches_per_case": 2, "patch_size": "64,64,64", "val_split": 0.5, "learning_rate": 0.02,
}  # fmt: skip
PATIENCE_SECONDS = 800
KILLS = int(os.environ.get("MEDSYNTH_KILLS", "2"))
"""How often the server is killed; the full run of 30 takes half an hour."""

pytestmark = pytest.mark.timeout(max(1200, 120 * KILLS))


def wait_for(what: Any, seconds: float = PATIENCE_SECONDS) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError("it did not happen in time")


@pytest.fixture(scope="module")
def rounds_server(start_server: Any, build: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two labelled cases, five without a label, one of them synthetic."""
    served = start_server(tmp_path_factory.mktemp("rounds"))
    for seed in range(7):
        build.case(served.studies, f"case_{seed}", build.head(seed=seed), with_label=seed < 2)
    with served.process:
        params = json.dumps({"save": True, "seed": 3, "result": "label"})
        made = served.request("POST", "/infer/tumor_case_synthesis", data={"params": params}, params={"image": "_"})
        assert made.status_code == 200, made.text
        yield served


def rounds_of(served: Any) -> dict[str, Any]:
    response = served.get("/medsynth/api/rounds")
    assert response.status_code == 200, response.text
    return response.json()


def background_done(served: Any) -> bool:
    work = rounds_of(served)["background"]
    return work["labels_to_score"] == 0 and work["assessed"] == work["cases"]


def correct_label(tmp_path: Path, build: Any, case: str) -> Path:
    """What an annotator would draw: the truth."""
    head = build.head(seed=int(case.rsplit("_", 1)[1]))
    return build.nifti(tmp_path / f"{case}.nii.gz", head.labels, head.affine)


def test_a_whole_round_in_the_order_of_slicers_calls(rounds_server: Any, build: Any, tmp_path: Path) -> None:
    served = rounds_server
    client = MONAILabelClient(served.url, tmpdir=str(tmp_path), client_id="slicer")
    assert client.auth_enabled() is False
    info = client.info()
    assert info["scoring"] == {"agreement": {"description": info["scoring"]["agreement"]["description"]}}
    strategy = next(iter(info["strategies"]))
    assert strategy == "uncertain_and_diverse"
    config = info["strategies"][strategy]["config"]
    assert all(isinstance(value, str) or all(isinstance(v, str) for v in value) for value in config.values())
    rounds_of(served)  # somebody looks: the background work starts
    wait_for(lambda: background_done(served), 300)

    # Next sample, as the plugin sends a strategy's table: texts, and a choice as its first entry.
    table = {key: value[0] if isinstance(value, list) else value for key, value in config.items()}
    sample = client.next_sample(strategy, table)
    case = sample["id"]
    assert case in {f"case_{seed}" for seed in range(2, 7)}, "neither labelled nor generated cases"
    assert sample["cases"][0]["uncertainty"] > 0
    assert sample["cases"][0]["distance"] > 0
    assert served.get("/datastore/image", params={"image": case}).status_code == 200
    client.datastore()
    client.info()
    assert served.get("/datastore/label", params={"label": case, "tag": "original"}).status_code == 404
    file, _ = client.infer(MODEL, case, {"result_extension": ".nrrd", "result_dtype": "uint8", "client_id": "slicer"})
    assert Path(file).stat().st_size > 0

    # Submit, with the segments in the annotator's own order.
    head = build.head(seed=int(case.rsplit("_", 1)[1]))
    swapped = np.array([0, 3, 1, 2], dtype=np.uint8)[head.labels]
    label = build.nifti(tmp_path / "label.nii.gz", swapped, head.affine)
    rows = [{"name": name, "idx": 5 + i} for i, name in enumerate((NAMES[1], NAMES[2], NAMES[0]))]
    client.save_label(case, str(label), params={"label_info": rows, "model": MODEL, "client_id": "slicer"})
    client.info()
    stored = served.get("/datastore/label", params={"label": case}).content
    (tmp_path / "back.nii.gz").write_bytes(stored)
    assert np.array_equal(np.asarray(nib.load(tmp_path / "back.nii.gz").dataobj), head.labels)  # type: ignore[attr-defined]
    wait_for(lambda: background_done(served), 300)
    open_round = rounds_of(served)["rounds"][-1]
    assert (open_round["cases"], open_round["annotators"], open_round["open"]) == ([case], ["slicer"], True)
    assert set(open_round["agreement"]) == set(NAMES)
    assert 0 <= open_round["dice_before"] < 0.5, "the first weights know nothing"
    assert open_round["minutes_per_case"] is not None

    # Train, polled as the plugin polls it.
    started = served.request("POST", f"/train/{MODEL}", json={**TRAINING, "model": MODEL, "client_id": "slicer"})
    assert started.status_code == 200, started.text
    seen: list[dict[str, Any]] = []
    wait_for(lambda: _polled(served, seen))
    status = served.get("/train/").json()
    assert status["status"] == "DONE", status["details"]
    assert {"epoch", "total_epochs", "eta_seconds"} <= set(status["progress"])
    stats = client.info()["train_stats"][MODEL]
    assert stats["published"] is True, stats
    assert stats["after"] > stats["before"], "the new model is better on the validation case"
    view = rounds_of(served)
    done = view["rounds"][0]
    assert done["open"] is False
    assert done["labelled"] == 3
    assert done["model_dice"]["mean"] > done["model_dice_before"]["mean"]
    assert done["dice_after"] is not None
    assert done["model"] == view["model"] == stats["model"]

    following = client.next_sample(strategy, table)
    assert following["id"] not in ("", case)
    assert {row["case"] for row in view["leases"]} == set()

    # One call goes back to the earlier model, one more comes back.
    earlier = next(row["id"] for row in view["models"] if row["id"] != view["model"])
    response = served.request("POST", f"/medsynth/api/rounds/models/{earlier}")
    assert (response.status_code, response.json()["before"]) == (200, view["model"])
    assert rounds_of(served)["model"] == earlier
    assert served.infer("case_0", output="json").json()["model_step"] == 0
    assert served.request("POST", f"/medsynth/api/rounds/models/{view['model']}").status_code == 200
    assert rounds_of(served)["model"] == view["model"]
    unknown = served.request("POST", "/medsynth/api/rounds/models/..%2Fx")
    assert unknown.status_code in (400, 404)


def _polled(served: Any, seen: list[dict[str, Any]]) -> bool:
    answer = served.get("/train/", params={"check_if_running": "true"})
    if answer.status_code == 200:
        seen.append(answer.json())
    status = served.get("/train/").json()["status"]
    return status not in ("SUBMITTED", "RUNNING")
