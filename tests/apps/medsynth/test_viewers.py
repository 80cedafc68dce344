"""What 3D Slicer and OHIF send, call by call in their order."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from monailabel.client import MONAILabelClient

from tests.apps.medsynth.conftest import about_the_request

MODEL = "brain_tumor_segmentation"


def as_slicer_sends(config: dict[str, Any]) -> dict[str, Any]:
    """Slicer's option table: a combo's first entry, numbers cast back from their text, zero from ``""``."""
    params: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, list):
            params[key] = value[0]
        elif isinstance(value, bool):
            params[key] = value
        elif isinstance(value, (int, float)):
            params[key] = type(value)(str(value)) if value else type(value)(0)
        else:
            params[key] = value
    return params


def test_slicers_way_from_connecting_to_submitting(served_apart: Any, tmp_path: Path) -> None:
    client = MONAILabelClient(served_apart.url, tmpdir=str(tmp_path), client_id="slicer")

    assert client.auth_enabled() is False
    info = client.info()
    assert client.train_status(check_if_running=True) is False

    strategy = next(iter(info["strategies"]))
    sample = client.next_sample(strategy, {**info["strategies"][strategy].get("config", {})})
    assert sample["id"] in ("case_1", "volume"), "only cases without a label are proposed"
    assert {"id", "name", "path"} <= set(sample)
    assert sample["path"] == "", "no path of the server; Slicer then downloads"

    answer = served_apart.get("/datastore/image", params={"image": sample["id"]})
    image_file = tmp_path / sample["name"]
    image_file.write_bytes(answer.content)
    image: Any = nib.load(image_file)
    assert image.ndim == 3, "Slicer opens scalar volumes only"

    assert sample["id"] in client.datastore()["objects"]
    original = served_apart.get("/datastore/label", params={"label": sample["id"], "tag": "original"})
    assert original.status_code == 404

    # Slicer then runs the first model that lists one of the labels.
    model = next(n for n, m in info["models"].items() if m["labels"])
    assert model == MODEL
    params = as_slicer_sends(info["models"][model]["config"])
    params |= {"result_extension": ".nrrd", "result_dtype": "uint8", "label_info": [{"name": "edema"}]}
    file, facts = client.infer(model, sample["id"], params)
    assert about_the_request(facts["warnings"]) == []
    assert list(facts["label_names"].values()) == [1, 2, 3], "Slicer numbers segments by their order"

    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(file))).transpose(2, 1, 0)
    assert mask.shape == image.shape

    # What it submits: its own NIfTI, its own numbering, ``idx`` off by the skipped background segment.
    label_file = tmp_path / "label.nii.gz"
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), image.affine), label_file)
    names = ["necrotic_core", "edema", "enhancing_tumor"]
    info_rows = [{"name": name, "idx": index} for index, name in enumerate(names, start=2)]
    saved = client.save_label(
        sample["id"], str(label_file), params={"label_info": info_rows, "model": model, "client_id": "slicer"}
    )
    assert saved["label"] == sample["id"]
    try:
        after = client.info()["datastore"]
        assert after["completed"] == info["datastore"]["completed"] + 1
        assert after["label_tags"]["final"] == after["completed"]
        np.testing.assert_array_equal(
            np.asarray(nib.load(client.download_label(sample["id"], "final")).dataobj),
            mask,  # type: ignore[attr-defined]
        )
        again = {client.next_sample("random", {})["id"] for _ in range(5)}
        assert sample["id"] not in again
    finally:
        served_apart.request("DELETE", "/datastore/label", params={"id": sample["id"], "tag": "final"})


def test_slicer_uploads_what_the_user_opened_and_segments_it(served: Any, build: Any, tmp_path: Path) -> None:
    """The user opened one sequence of a patient: the volume becomes a case, and what is missing is named."""
    client = MONAILabelClient(served.url, tmpdir=str(tmp_path))
    head = build.head(seed=7)
    path = build.nifti(tmp_path / "upload.nii.gz", head.sequences[0], head.affine)
    try:
        assert client.upload_image(str(path), "Patient_flair") == {"image": "Patient_flair"}
        response = served.infer("Patient_flair", {"result_extension": ".nrrd"})
        assert (response.status_code, response.json()["code"]) == (422, "missing_sequence")
        assert "t1, t1ce, t2" in response.json()["detail"]
    finally:
        served.request("DELETE", "/datastore/image", params={"id": "Patient_flair"})


def test_slicer_returns_training_options_as_its_table_holds_them(served: Any) -> None:
    """Whole lists, numbers as text, zero as ``""``: all are understood; here stopped by one wrong value."""
    config = served.get("/info/").json()["trainers"][MODEL]["config"]
    body = {key: str(value) if isinstance(value, float) else value for key, value in config.items()}
    body |= {"patience": "0.0", "seed": "", "client_id": "slicer", "val_split": "9"}
    response = served.request("POST", f"/train/{MODEL}", json=body)
    assert response.status_code == 422
    assert response.json()["detail"].startswith("val_split: '9' must be between")


def test_ohif_connects_and_runs_with_the_changed_options_only(served: Any) -> None:
    assert served.get("/info/").status_code == 200
    assert served.get("/train/?check_if_running=true").status_code == 404
    params = {
        "result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": False, "restore_label_idx": False,
    }  # fmt: skip
    response = served.infer("case_1", params, output="image")
    assert response.status_code == 200
    header, _, body = response.content.partition(b"\n\n")
    assert b"encoding: raw" in header
    image = served.get("/datastore/image?image=case_1").content
    voxels = int(np.prod(nib.Nifti1Image.from_bytes(gzip.decompress(image)).shape))
    assert len(body) == voxels, "OHIF reads the raw bytes as uint8 voxels"
    assert max(body) <= 3


def test_ohif_returns_untouched_choices_as_whole_lists(served: Any) -> None:
    config = served.get("/info/").json()["models"][MODEL]["config"]
    assert isinstance(config["precision"], list)
    response = served.infer("case_1", config, output="json")
    assert response.status_code == 200
    assert about_the_request(response.json()["warnings"]) == []


def test_ohifs_page_is_served(served: Any) -> None:
    response = served.get("/ohif/")
    assert response.status_code == 200
    assert "html" in response.headers["content-type"]


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/static/favicon.ico", "/info/"])
def test_pages_of_the_stock_server_are_still_there(served: Any, path: str) -> None:
    assert served.get(path).status_code == 200


def test_openapi_names_each_operation_once(served: Any) -> None:
    paths = json.loads(served.get("/openapi.json").text)["paths"]
    assert {"/info/", "/infer/{model}", "/datastore/image", "/train/{model}"} <= set(paths)
    identifiers = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(identifiers) == len(set(identifiers))
