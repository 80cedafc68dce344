"""What clients send wrongly: the contract's error, no 500, nothing left on disk."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

ERROR_KEYS = {"detail", "code"}


def check_error(response: Any, status: int, code: str, *words: str) -> None:
    """The error has the contract's shape and its message names what it is about."""
    assert response.status_code == status, response.text[:500]
    body = response.json()
    assert set(body) == ERROR_KEYS
    assert body["code"] == code
    for word in words:
        assert word in body["detail"], body["detail"]
    assert "Traceback" not in response.text


FILES: dict[str, Callable[[Path, Any], Path]] = {}


def bad_file(function: Callable[[Path, Any], Path]) -> Callable[[Path, Any], Path]:
    FILES[function.__name__] = function
    return function


@bad_file
def garbage(path: Path, build: Any) -> Path:
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    return path


@bad_file
def empty(path: Path, build: Any) -> Path:
    path.write_bytes(b"")
    return path


@bad_file
def truncated(path: Path, build: Any) -> Path:
    whole = build.four_dimensional(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


@bad_file
def two_dimensional(path: Path, build: Any) -> Path:
    return build.nifti(path, np.ones((20, 20), dtype=np.int16), np.eye(4))


@bad_file
def one_slice(path: Path, build: Any) -> Path:
    return build.nifti(path, np.ones((20, 20, 1), dtype=np.int16), np.eye(4))


@bad_file
def nan(path: Path, build: Any) -> Path:
    array = np.moveaxis(build.head().sequences, 0, 3).astype(np.float32)
    array[20, 20, 20, 1] = np.nan
    return build.nifti(path, array, np.eye(4))


@bad_file
def all_zero(path: Path, build: Any) -> Path:
    return build.nifti(path, np.zeros((32, 32, 32, 4), dtype=np.int16), np.eye(4))


@bad_file
def three_channels(path: Path, build: Any) -> Path:
    return build.nifti(path, np.moveaxis(build.head().sequences[:3], 0, 3), np.eye(4))


@bad_file
def single_sequence(path: Path, build: Any) -> Path:
    return build.nifti(path, build.head().sequences[0], np.eye(4))


@bad_file
def contradicting_forms(path: Path, build: Any) -> Path:
    image = nib.Nifti1Image(np.moveaxis(build.head().sequences, 0, 3), np.eye(4))
    image.set_sform(np.diag([-1.0, 1, 1, 1]), 1)
    image.set_qform(np.eye(4), 1)
    nib.save(image, path)
    return path


@bad_file
def huge_header(path: Path, build: Any) -> Path:
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4) + bytes(1000)))
    return path


@bad_file
def zip_named_nifti(path: Path, build: Any) -> Path:
    path.write_bytes(b"PK\x03\x04" + bytes(200))
    return path


@pytest.mark.parametrize(
    ("kind", "status", "code", "word"),
    [
        ("garbage", 415, "unsupported_kind", "not a readable"),
        ("empty", 415, "unsupported_kind", "empty"),
        ("truncated", 415, "unsupported_kind", "not a readable"),
        ("two_dimensional", 422, "invalid_value", "3-D"),
        ("one_slice", 422, "invalid_value", "3-D"),
        ("nan", 422, "invalid_value", "NaN"),
        ("all_zero", 422, "invalid_value", "every voxel is zero"),
        ("three_channels", 422, "missing_sequence", "missing sequence"),
        ("single_sequence", 422, "missing_sequence", "missing sequence flair, t1, t1ce, t2"),
        ("contradicting_forms", 422, "invalid_value", "sform and qform disagree"),
        ("huge_header", 422, "invalid_value", "30000"),
        ("zip_named_nifti", 415, "unsupported_kind", "not a readable"),
    ],
)
@pytest.mark.usefixtures("nothing_written")
def test_uploaded_image_of_a_wrong_kind_is_refused(
    served: Any, build: Any, tmp_path: Path, kind: str, status: int, code: str, word: str
) -> None:
    path = FILES[kind](tmp_path / "image.nii.gz", build)
    with open(path, "rb") as file:
        response = served.infer(files={"file": (path.name, file)})
    check_error(response, status, code, word)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("garbage", 415, "unsupported_kind"),
        ("empty", 415, "unsupported_kind"),
        ("truncated", 415, "unsupported_kind"),
        ("two_dimensional", 422, "invalid_value"),
        ("nan", 422, "invalid_value"),
        ("contradicting_forms", 422, "invalid_value"),
    ],
)
@pytest.mark.usefixtures("nothing_written")
def test_unfit_image_never_becomes_a_case(
    served: Any, build: Any, tmp_path: Path, kind: str, status: int, code: str
) -> None:
    response = served.put_image(FILES[kind](tmp_path / "image.nii.gz", build), f"bad_{kind}")
    check_error(response, status, code, f"bad_{kind}")


@pytest.mark.parametrize("name", ["image.exe", "image.dcm", "main.py", "image", "image.pt"])
@pytest.mark.usefixtures("nothing_written")
def test_files_of_unknown_endings_are_refused(served: Any, name: str) -> None:
    for method, path in (("POST", "/infer/brain_tumor_segmentation"), ("PUT", "/datastore/image")):
        check_error(
            served.request(method, path, files={"file": (name, b"x" * 400)}), 415, "unsupported_kind", name
        )


@pytest.mark.parametrize(
    ("params", "status", "code", "words"),
    [
        ("{not json", 400, "malformed", ["params", "JSON"]),
        ("[1, 2]", 400, "malformed", ["params", "object", "list"]),
        ('"text"', 400, "malformed", ["params", "object", "str"]),
        ("[" * 100_000, 400, "malformed", ["params", "JSON"]),
        ({"precision": "fp8"}, 422, "invalid_value", ["precision", "fp8", "bf16"]),
        ({"precision": {"a": 1}}, 422, "invalid_value", ["precision", "text"]),
        (
            {"test_time_augmentation": "perhaps"},
            422,
            "invalid_value",
            ["test_time_augmentation", "true or false"],
        ),
        ({"minimum_component_ml": "much"}, 422, "invalid_value", ["minimum_component_ml", "much", "number"]),
        ({"minimum_component_ml": -1}, 422, "invalid_value", ["minimum_component_ml", "between 0 and 1000"]),
        ({"minimum_component_ml": 1e400}, 422, "invalid_value", ["minimum_component_ml"]),
        ('{"minimum_component_ml": NaN}', 422, "invalid_value", ["minimum_component_ml"]),
        ({"memory_limit_gb": True}, 422, "invalid_value", ["memory_limit_gb", "number"]),
        ({"result_extension": ".dcm"}, 422, "invalid_value", ["result_extension", ".nrrd"]),
        ({"result_extension": "/../../x.nii.gz"}, 422, "invalid_value", ["result_extension"]),
        ({"result_extension": 3}, 422, "invalid_value", ["result_extension", "text"]),
    ],
)
@pytest.mark.usefixtures("nothing_written")
def test_wrong_params_name_the_field(
    served: Any, params: Any, status: int, code: str, words: list[str]
) -> None:
    check_error(served.infer("case_1", params), status, code, *words)


@pytest.mark.parametrize(
    ("method", "path", "status", "word"),
    [
        ("POST", "/infer/brain_tumor_segmentation?image=nobody", 404, "nobody"),
        ("POST", "/infer/no_such_model?image=case_1", 404, "no_such_model"),
        ("POST", "/infer/no_such_model", 404, "no_such_model"),
        ("POST", "/infer/brain_tumor_segmentation", 400, "image"),
        ("POST", "/infer/brain_tumor_segmentation?image=case_1&output=video", 422, "output"),
        ("POST", "/infer/brain_tumor_segmentation?image=case_1&output=dicom_seg", 422, "DICOMweb"),
        ("GET", "/datastore/image?image=nobody", 404, "nobody"),
        ("GET", "/datastore/image", 422, "image"),
        ("GET", "/datastore/image?image=case_1&modality=pet", 422, "pet"),
        ("GET", "/datastore/image/info?image=nobody", 404, "nobody"),
        ("GET", "/datastore/label?label=case_1&tag=final", 404, "final"),
        ("GET", "/datastore/label/info?label=case_1&tag=final", 404, "final"),
        ("DELETE", "/datastore/image?id=nobody", 404, "nobody"),
        ("DELETE", "/datastore/label?id=case_1&tag=final", 404, "final"),
        ("GET", "/datastore/?output=everything", 422, "output"),
        ("POST", "/activelearning/wisest", 404, "wisest"),
        ("POST", "/train/no_such_trainer", 404, "no_such_trainer"),
        ("POST", "/scoring/no_such_method", 404, "no_such_method"),
        ("POST", "/batch/infer/no_such_model", 404, "no_such_model"),
        ("GET", "/model/no_such_model", 404, "no_such_model"),
        ("GET", "/model/info/no_such_model", 404, "no_such_model"),
        ("DELETE", "/model/no_such_model", 404, "no_such_model"),
        ("GET", "/train/?check_if_running=true", 404, "Train"),
        ("GET", "/logs/gpu", 404, "gpu"),
        ("GET", "/nowhere", 404, "Not Found"),
        ("PATCH", "/infer/brain_tumor_segmentation", 405, "Not Allowed"),
    ],
)
@pytest.mark.usefixtures("nothing_written")
def test_unknown_names_are_answered_with_404_or_the_field(
    served: Any, method: str, path: str, status: int, word: str
) -> None:
    if path == "/logs/gpu" and shutil.which("nvidia-smi"):
        pytest.skip("this machine has a GPU to tell about")
    response = served.request(method, path)
    assert response.status_code == status, response.text[:300]
    assert set(response.json()) == ERROR_KEYS
    assert word in response.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ([1], 422, ["dictionary"]),
        ({"max_epochs": "many"}, 422, ["max_epochs", "whole number"]),
        ({"max_epochs": 0}, 422, ["max_epochs", "between 1"]),
        ({"max_epochs": 1.5}, 422, ["max_epochs", "whole number"]),
        ({"learning_rate": "fast"}, 422, ["learning_rate"]),
        ({"loss": "magic"}, 422, ["loss", "dice"]),
        ({"patch_size": 96}, 422, ["patch_size"]),
        ({"patch_size": "1,2"}, 422, ["patch_size"]),
        ({"patch_size": "33,32,32"}, 422, ["patch_size", "32"]),
        ({"patch_size": "32,32,32"}, 422, ["patch_size", "64"]),
        ({"seed": 1e400}, 422, ["seed", "whole number"]),
        ({"val_split": 2}, 422, ["val_split"]),
    ],
)
@pytest.mark.usefixtures("nothing_written")
def test_wrong_training_options_are_refused_before_anything_starts(
    served: Any, body: Any, status: int, words: list[str]
) -> None:
    headers = {"Content-Type": "application/json"}
    text = json.dumps(body)  # infinity too, as JavaScript's and Python's writers make it
    response = served.request("POST", "/train/brain_tumor_segmentation", data=text, headers=headers)
    check_error(response, status, "invalid_value", *words)
    assert served.get("/train/", params={"check_if_running": "true"}).status_code == 404


@pytest.mark.parametrize(
    "strategy_body", [{"label_tag": ["x"]}, {"strategy": []}, {"labels": 3}, {"client_id": {}}]
)
def test_odd_strategy_parameters_do_not_break_the_next_sample(
    served: Any, strategy_body: dict[str, Any]
) -> None:
    response = served.request("POST", "/activelearning/random", json=strategy_body)
    assert response.status_code in (200, 422), response.text


def broken_case(served: Any, build: Any, name: str) -> Path:
    head = build.head(seed=9)
    if name == "three_of_four":
        return build.case(served.studies, name, head, leave_out=("t1ce",))
    folder = build.case(served.studies, name, head)
    path = folder / f"{name}_t2.nii.gz"
    if name == "other_shape":
        build.nifti(path, head.sequences[3][:, :, :-2], head.affine)
    elif name == "other_place":
        build.nifti(path, head.sequences[3], head.affine + shift(5.0))
    elif name == "nan_sequence":
        array = head.sequences[3].astype(np.float32)
        array[10, 10, 10] = np.inf
        build.nifti(path, array, head.affine)
    elif name == "empty_sequence":
        path.write_bytes(b"")
    elif name == "garbage_sequence":
        path.write_bytes(b"not an image" * 100)
    return folder


def shift(millimetres: float) -> np.ndarray:
    matrix = np.zeros((4, 4))
    matrix[0, 3] = millimetres
    return matrix


@pytest.mark.parametrize(
    ("name", "status", "code", "words"),
    [
        (
            "three_of_four",
            422,
            "missing_sequence",
            ["three_of_four", "missing sequence t1ce", "found flair, t1, t2"],
        ),
        ("other_shape", 422, "invalid_value", ["other_shape t2", "share one grid"]),
        ("other_place", 422, "invalid_value", ["other_place t2", "share one grid"]),
        ("nan_sequence", 422, "invalid_value", ["nan_sequence t2", "NaN"]),
        ("empty_sequence", 415, "unsupported_kind", ["empty_sequence t2", "empty"]),
        ("garbage_sequence", 415, "unsupported_kind", ["garbage_sequence t2", "not a readable"]),
    ],
)
def test_broken_case_in_the_folder_is_explained(
    served: Any, build: Any, name: str, status: int, code: str, words: list[str]
) -> None:
    folder = broken_case(served, build, name)
    try:
        check_error(served.infer(name), status, code, *words)
        before = served.files()
        check_error(served.infer(name), status, code, *words)
        assert served.files() == before
    finally:
        shutil.rmtree(folder)
        served.get("/datastore/image?image=nobody")  # makes it look at the folder now


def label_file(path: Path, build: Any, kind: str) -> Path:
    head = build.head(seed=1)
    if kind == "wrong_shape":
        return build.nifti(path, head.labels[:-1], head.affine)
    if kind == "wrong_place":
        return build.nifti(path, head.labels, head.affine + shift(3.0))
    if kind == "unknown_value":
        return build.nifti(path, head.labels * 5, head.affine)
    if kind == "half_value":
        return build.nifti(path, head.labels.astype(np.float32) / 2, head.affine)
    if kind == "both_three_and_four":
        labels = head.labels.copy()
        labels[0, 0, 0] = 4
        return build.nifti(path, labels, head.affine)
    if kind == "four_channels":
        return build.four_dimensional(path, head)
    return FILES[kind](path, build)


@pytest.mark.parametrize(
    ("kind", "status", "code", "words"),
    [
        ("wrong_shape", 422, "wrong_grid", ["label", "another grid"]),
        ("wrong_place", 422, "wrong_grid", ["label", "3.0 mm apart"]),
        ("unknown_value", 422, "invalid_value", ["label", "values", "allowed"]),
        ("half_value", 422, "invalid_value", ["label", "0.5"]),
        ("both_three_and_four", 422, "invalid_value", ["label", "both 3 and 4"]),
        ("four_channels", 422, "invalid_value", ["label", "4 channels"]),
        ("garbage", 415, "unsupported_kind", ["label", "not a readable"]),
        ("empty", 415, "unsupported_kind", ["label", "empty"]),
    ],
)
@pytest.mark.usefixtures("nothing_written")
def test_unfit_label_changes_nothing(
    served: Any, build: Any, tmp_path: Path, kind: str, status: int, code: str, words: list[str]
) -> None:
    path = label_file(tmp_path / "label.nii.gz", build, kind)
    check_error(served.put_label("case_1", path), status, code, *words)


@pytest.mark.parametrize(
    ("params", "code", "word"),
    [
        ({"label_info": "x"}, "invalid_value", "label_info"),
        ({"label_info": [1, 2]}, "invalid_value", "label_info"),
        ({"label_info": [{"name": "liver", "idx": 1}]}, "invalid_value", "label"),
        ({"label_info": [{"name": n} for n in ("liver", "spleen", "kidney")]}, "unknown_label", "liver"),
    ],
)
@pytest.mark.usefixtures("nothing_written")
def test_label_with_unknown_segments_is_refused(
    served: Any, build: Any, tmp_path: Path, params: dict[str, Any], code: str, word: str
) -> None:
    path = build.nifti(tmp_path / "label.nii.gz", build.head(seed=1).labels, build.head(seed=1).affine)
    check_error(served.put_label("case_1", path, params), 422, code, word)


@pytest.mark.usefixtures("nothing_written")
def test_label_for_an_unknown_case_is_refused(served: Any, build: Any, tmp_path: Path) -> None:
    path = build.nifti(tmp_path / "label.nii.gz", build.head().labels, build.head().affine)
    check_error(served.put_label("nobody", path), 404, "not_found", "nobody")


@pytest.mark.usefixtures("nothing_written")
def test_body_larger_than_allowed_is_refused(served: Any) -> None:
    body = bytes(10 << 20)
    response = served.request("PUT", "/datastore/image", files={"file": ("a.nii.gz", body)})
    check_error(response, 413, "too_large", "8 MB")


@pytest.mark.usefixtures("nothing_written")
def test_body_of_unknown_length_is_counted_as_it_comes(served: Any) -> None:
    boundary = "frontier"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.nii.gz"\r\n\r\n'
    ).encode()

    def chunks() -> Any:
        yield head
        for _ in range(40):
            yield bytes(1 << 18)

    response = served.request(
        "PUT", "/datastore/image", data=chunks(),
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )  # fmt: skip
    check_error(response, 413, "too_large", "8 MB")


@pytest.mark.usefixtures("nothing_written")
def test_a_field_that_should_be_a_file_is_named(served: Any) -> None:
    response = served.request("PUT", "/datastore/label", params={"image": "case_1"}, data={"params": "{}"})
    check_error(response, 422, "invalid_value", "label")


def test_json_answers_hold_no_nan(served: Any) -> None:
    response = served.request(
        "PUT",
        "/datastore/image/info",
        params={"image": "case_1"},
        data={"info": '{"dose": NaN, "list": [Infinity]}'},
    )
    assert response.status_code == 200
    info = json.loads(served.get("/datastore/image/info?image=case_1").text, parse_constant=pytest.fail)
    assert (info["dose"], info["list"]) == (None, [None])
    assert served.get("/datastore/", params={"output": "all"}).status_code == 200
