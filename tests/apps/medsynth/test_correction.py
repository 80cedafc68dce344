"""Corrections over REST: 3D Slicer's Scribbles and SmartEdit in its order of calls, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import requests
import SimpleITK as sitk

CASE = "case_1"
SEGMENTS = ("necrotic_core", "edema", "enhancing_tumor", "background_scribbles", "foreground_scribbles")
LABEL_INFO = [{"name": name, "id": value} for value, name in enumerate(SEGMENTS, start=1)]


def correct(
    served: Any, model: str, params: dict[str, Any], label: Path | None = None, case: str = CASE, output: str = "image"
) -> requests.Response:
    files = {"label": (label.name, label.read_bytes())} if label else None
    return served.request(
        "POST", f"/infer/{model}", params={"image": case, "output": output},
        data={"params": json.dumps(params)}, files=files,
    )  # fmt: skip


def read(answer: requests.Response, path: Path) -> np.ndarray:
    assert answer.status_code == 200, answer.text[:300]
    path.write_bytes(answer.content)
    if path.name.endswith(".nrrd"):
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T
    return np.asanyarray(nib.load(path).dataobj)


@pytest.fixture
def scribbled(tmp_path: Path, build: Any) -> tuple[Path, np.ndarray]:
    """A file as Slicer exports it: the head's labels but for the core, and a stroke where the core should be."""
    head = build.head(seed=1)
    values = head.labels.copy()
    core = values == 1
    values[core] = 2
    middle = np.argwhere(core)[len(np.argwhere(core)) // 2]
    values[middle[0] - 1 : middle[0] + 2, middle[1], middle[2]] = 5
    return build.nifti(tmp_path / "scribbles.nii.gz", values.astype(np.uint8), head.affine), values


def test_slicers_scribbles_panel(served: Any, tmp_path: Path, scribbled: tuple[Path, np.ndarray]) -> None:
    info = served.get("/info/").json()
    assert info["models"]["brain_tumor_scribbles"]["type"] == "scribbles"
    assert info["models"]["brain_tumor_edit"]["type"] == "deepedit"
    assert next(iter(info["models"])) == "brain_tumor_segmentation"
    options = info["models"]["brain_tumor_scribbles"]["config"].items()
    config = {name: value[0] if isinstance(value, list) else value for name, value in options}
    path, drawn = scribbled
    params = {
        **config, "roi": [], "label_info": LABEL_INFO, "selected_label_name": "necrotic_core",
        "result_extension": ".nrrd", "result_dtype": "uint8",
    }  # fmt: skip
    found = read(correct(served, "brain_tumor_scribbles", params, path), tmp_path / "mask.nrrd")
    # the panel replaces one segment: there is one value, under which everything that was drawn lies
    assert set(np.unique(found)) == {0, 1}
    assert (found[drawn == 5] == 1).all()


def test_all_labels_where_they_are_asked_for(served: Any, tmp_path: Path, scribbled: tuple[Path, np.ndarray]) -> None:
    path, drawn = scribbled
    params = {"label_info": LABEL_INFO, "selected_label_name": "necrotic_core", "result": "label_map"}
    found = read(correct(served, "brain_tumor_scribbles", params, path), tmp_path / "mask.nii.gz")
    assert {1, 2, 3} <= set(np.unique(found))
    untouched = (drawn == 3) | (drawn == 0)
    assert np.array_equal(found[untouched], drawn[untouched])
    facts = correct(served, "brain_tumor_scribbles", params, path, output="json").json()
    assert facts["voxels_changed"] >= facts["voxels_marked"] == 3


def test_smart_edit(served: Any, tmp_path: Path, build: Any) -> None:
    labels = build.head(seed=1).labels
    places = {name: np.argwhere(labels == value) for name, value in (("necrotic_core", 1), ("edema", 2))}
    points = {name: [found[len(found) // 2].tolist()] for name, found in places.items()}
    params = {**points, "enhancing_tumor": [], "label": "edema", "background": [[1, 1, 1]], "result_extension": ".nrrd"}
    found = read(correct(served, "brain_tumor_edit", params), tmp_path / "mask.nrrd")
    assert found[tuple(points["necrotic_core"][0])] == 1
    assert found[tuple(points["edema"][0])] == 2
    assert found[1, 1, 1] == 0


def test_points_correct_the_label_that_is_sent(served: Any, tmp_path: Path, build: Any) -> None:
    head = build.head(seed=1)
    path = build.nifti(tmp_path / "label.nii.gz", head.labels, head.affine)
    params = {"edema": [np.argwhere(head.labels == 3)[0].tolist()], "reach_mm": 1}
    found = read(correct(served, "brain_tumor_edit", params, path), tmp_path / "mask.nii.gz")
    assert 0 < (found != head.labels).sum() < 100


@pytest.mark.parametrize(
    ("model", "params", "status", "code"),
    [
        ("brain_tumor_edit", {}, 422, "no_strokes"),
        ("brain_tumor_edit", {"edema": [[999, 0, 0]]}, 422, "outside"),
        ("brain_tumor_edit", {"edema": [[1, 1, 1]], "background": [[1, 1, 1]]}, 422, "contradicting_strokes"),
        ("brain_tumor_edit", {"foreground": [[1, 1, 1]], "label": "cyst"}, 422, "unknown_label"),
        ("brain_tumor_edit", {"edema": [[1, 1, 1]] * 10_000}, 422, "too_many_points"),
        ("brain_tumor_edit", {"edema": [[1, 1, 1]], "reach_mm": 1000}, 422, None),
        ("brain_tumor_scribbles", {}, 400, None),
    ],
)
def test_what_is_refused(
    served: Any, nothing_written: None, model: str, params: dict[str, Any], status: int, code: str | None
) -> None:
    answer = correct(served, model, params)
    assert answer.status_code == status, answer.text[:300]
    assert code is None or answer.json()["code"] == code


def test_strokes_on_another_grid_are_refused(served: Any, tmp_path: Path, build: Any) -> None:
    head = build.head((20, 20, 20))
    path = build.nifti(tmp_path / "scribbles.nii.gz", np.full((20, 20, 20), 4, np.uint8), head.affine)
    answer = correct(served, "brain_tumor_scribbles", {"label_info": LABEL_INFO}, path)
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_grid")
