"""``brain_tumor_segmentation`` as a task: what it answers besides the mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from lib.datastore import CaseDatastore
from lib.inference import run_inference
from lib.infers.segmentation import BrainTumorSegmentationInferTask

from medsynth_app.errors import InvalidValueError
from medsynth_app.segmentation.current_network import CurrentNetwork
from tests.apps.medsynth.conftest import make_head, write_case, write_tiny_weights


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    write_case(folder, "P1", make_head())
    return folder


def answer(studies: Path, **params: Any) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    weights = write_tiny_weights(studies.parent / "tiny.safetensors")
    task = BrainTumorSegmentationInferTask(CurrentNetwork([weights], "cpu"))
    found = run_inference({"m": task}, CaseDatastore(studies), {"model": "m", "image": "P1", **params})
    image = nib.load(found["file"])
    voxels = np.asarray(image.dataobj)
    Path(found["file"]).unlink()
    return voxels, image.affine, found["params"]


def test_uncertainty_is_a_map_on_the_same_grid(studies: Path) -> None:
    labels, affine, plain = answer(studies)
    percent, same, told = answer(studies, result="uncertainty")
    assert "volume_intervals_ml" not in plain
    assert percent.shape == labels.shape
    assert percent.dtype == np.uint8
    assert 3 < percent.max() <= 100
    np.testing.assert_array_equal(same, affine)
    assert told["volumes_ml"] == plain["volumes_ml"]
    assert all(low <= told["volumes_ml"][n] <= high for n, (low, high) in told["volume_intervals_ml"].items())
    assert isinstance(told["look_here_first"], list)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"result": "entropy"}, "result: 'entropy' must be one of label_map, uncertainty"),
        ({"result": "uncertainty", "result_extension": ".seg.nrrd"}, "result_extension: '.seg.nrrd' holds labels"),
    ],
)
def test_impossible_results_are_named(studies: Path, params: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError) as refusal:
        answer(studies, **params)
    assert message in str(refusal.value)
