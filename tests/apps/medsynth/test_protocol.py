"""MONAI Label's protocol as its own client and plain requests speak it, and masks on the grid of their image."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
import time
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from monailabel.client import MONAILabelClient

from tests.apps.medsynth.conftest import about_the_request

MODEL = "brain_tumor_segmentation"
LABELS = {"necrotic_core": 1, "edema": 2, "enhancing_tumor": 3}


@pytest.fixture
def client(served: Any, tmp_path: Path) -> MONAILabelClient:
    return MONAILabelClient(served.url, tmpdir=str(tmp_path), client_id="test")


def read_mask(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Array (X, Y, Z) and affine voxel -> RAS mm of a NIfTI or NRRD file, read by other libraries than ours."""
    if path.name.endswith((".nii", ".nii.gz")):
        image: Any = nib.load(path)
        return np.asarray(image.dataobj), image.affine
    picture = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(picture.GetDirection()).reshape(3, 3) * np.array(picture.GetSpacing())
    affine[:3, 3] = picture.GetOrigin()
    return sitk.GetArrayFromImage(picture).transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def parts_of(response: Any) -> dict[str, Message]:
    """The parts of a multipart answer by name, parsed by the standard library."""
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + response.content)
    assert message.is_multipart()
    return {str(part.get_param("name", header="content-disposition")): part for part in message.get_payload()}  # type: ignore[union-attr, misc]


# ---- /info/ --------------------------------------------------------------------------------------------


def test_info_is_what_viewers_read(client: MONAILabelClient) -> None:
    info = client.info()
    assert info["name"] == "MedSynth"
    assert info["labels"] == list(LABELS), "OHIF needs a list"
    assert next(iter(info["models"])) == MODEL, "Slicer runs the first model that lists a label"
    model = info["models"][MODEL]
    assert (model["type"], model["dimension"], model["labels"]) == ("segmentation", 3, LABELS)
    assert set(info["datastore"]) == {"total", "completed", "label_tags"}
    assert "config" not in info, "Slicer takes it for an old server"
    for name, other in info["models"].items():
        if name in ("brain_tumor_scribbles", "brain_tumor_edit"):
            assert other["type"] in ("scribbles", "deepedit"), "panels of their own, never run by themselves"
        elif name != MODEL:
            assert other["type"] == "others", f"{name} would be shown or run by a viewer"
            assert not other["labels"]


def test_options_are_typed_as_viewers_show_them(client: MONAILabelClient) -> None:
    info = client.info()
    tables = [entry["config"] for section in ("models", "trainers") for entry in info[section].values()]
    for value in itertools.chain.from_iterable(table.values() for table in tables):
        assert isinstance(value, (bool, int, float, str, list))
        if isinstance(value, list):
            assert all(isinstance(item, str) for item in value), "Slicer breaks on lists of numbers"


def test_auth_is_off_and_says_so_with_404(served: Any, client: MONAILabelClient) -> None:
    assert served.get("/auth/").status_code == 404
    assert client.auth_enabled() is False


# ---- inference -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["case_1", "volume"])
@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".nii", ".seg.nrrd"])
def test_client_gets_a_mask_on_the_grid_of_the_image(
    served: Any, client: MONAILabelClient, build: Any, case: str, ending: str, tmp_path: Path
) -> None:
    file, params = client.infer(MODEL, case, {"result_extension": ending, "result_dtype": "uint8"})
    assert str(file).endswith(ending)
    mask, affine = read_mask(Path(file))
    (tmp_path / "image.nii.gz").write_bytes(served.get("/datastore/image", params={"image": case}).content)
    image: Any = nib.load(tmp_path / "image.nii.gz")
    assert mask.dtype == np.uint8
    assert mask.shape == image.shape
    np.testing.assert_allclose(affine, image.affine, atol=1e-4)
    assert set(np.unique(mask)) <= {0, 1, 2, 3}
    assert mask.any(), "the tiny network of the tests finds something in every head"
    assert params["label_names"] == LABELS
    volumes = {name: float((mask == value).sum()) / 1000 for name, value in LABELS.items()}
    assert params["volumes_ml"] == pytest.approx(volumes, abs=1e-3)
    assert "Not a medical device" in params["notice"]
    assert 0 <= params["mean_entropy"] <= 1
    names = {name: "volume.nii.gz" if case == "volume" else f"{case}_{name}.nii.gz" for name in build.sequences}
    assert {name: row["file"] for name, row in params["series_used"].items()} == names
    assert all(row["why"] for row in params["series_used"].values())


def test_centroid_and_box_are_those_of_the_mask(client: MONAILabelClient) -> None:
    file, params = client.infer(MODEL, "case_1", {"result_extension": ".nii.gz"})
    mask, affine = read_mask(Path(file))
    voxels = np.argwhere(mask > 0)
    expected = affine[:3, :3] @ voxels.mean(axis=0) + affine[:3, 3]
    np.testing.assert_allclose(params["centroid_ras_mm"], expected, atol=0.01)
    assert params["bounding_box_voxels"] == [voxels.min(axis=0).tolist(), (voxels.max(axis=0) + 1).tolist()]


@pytest.mark.parametrize("output", [None, "all"])
def test_default_answer_is_multipart_with_params_and_image(served: Any, output: str | None) -> None:
    response = served.infer("case_1", {"result_extension": ".nrrd"}, **({"output": output} if output else {}))
    assert response.status_code == 200
    parts = parts_of(response)
    assert list(parts) == ["params", "image"]
    assert parts["params"].get_content_type() == "application/json"
    assert parts["params"].get_filename() is None
    assert str(parts["image"].get_filename()).endswith(".nrrd")
    assert parts["image"].get_content_type() == "application/octet-stream"
    assert parts["image"].get_payload(decode=True)[:4] == b"NRRD"  # type: ignore[index]


def test_image_answer_is_the_file_alone(served: Any) -> None:
    response = served.infer("case_1", {"result_extension": ".nii.gz"}, output="image")
    assert response.headers["content-type"] == "application/octet-stream"
    assert ".nii.gz" in response.headers["content-disposition"]
    assert response.content[:2] == b"\x1f\x8b"


def test_json_answer_is_the_facts_alone(served: Any) -> None:
    facts = served.infer("case_1", output="json").json()
    assert facts["label_names"] == LABELS
    assert about_the_request(facts["warnings"]) == []
    assert set(facts["latencies"]) == {"read", "segment", "write", "total"}


@pytest.mark.usefixtures("nothing_written")
def test_no_result_file_stays_behind(served: Any) -> None:
    for output in ("image", "json", "all"):
        assert served.infer("case_1", output=output).status_code == 200


def test_uploaded_volume_is_segmented_like_the_case(served: Any, build: Any, tmp_path: Path) -> None:
    path = build.four_dimensional(tmp_path / "x.nii.gz", build.head(seed=1))
    params = {"result_extension": ".nii.gz"}
    with open(path, "rb") as file:
        uploaded = served.infer("", params, output="image", files={"file": (path.name, file)})
    (tmp_path / "a.nii.gz").write_bytes(uploaded.content)
    (tmp_path / "b.nii.gz").write_bytes(served.infer("case_1", params, output="image").content)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.nii.gz")[0], read_mask(tmp_path / "b.nii.gz")[0])


def test_unknown_options_are_ignored_and_reported(served: Any) -> None:
    facts = served.infer("case_1", {"smoothing": 3, "client_id": "x", "device": "cuda"}, output="json").json()
    assert about_the_request(facts["warnings"]) == ["unknown option 'smoothing' was ignored"]


def test_uncompressed_nrrd_is_raw_uint8_in_the_images_voxel_order(served: Any) -> None:
    params = {"result_extension": ".nrrd", "result_compress": False}
    content = served.infer("case_1", params, output="image").content
    header, _, body = content.partition(b"\n\n")
    assert b"encoding: raw" in header
    assert b"type: unsigned char" in header
    image: Any = nib.Nifti1Image.from_bytes(
        gzip.decompress(served.get("/datastore/image?image=case_1").content)
    )
    assert f"sizes: {' '.join(map(str, image.shape))}".encode() in header
    assert len(body) == np.prod(image.shape)


# ---- orientation ---------------------------------------------------------------------------------------


def stored_as(
    head: Any, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> tuple[np.ndarray, np.ndarray]:
    """The same head with permuted and reversed voxel axes: sequences (4, ...), affine. Nothing moves in space."""
    array = np.transpose(head.sequences, (0, *(a + 1 for a in axes)))
    change = np.zeros((4, 4))
    change[3, 3] = 1
    for new, old in enumerate(axes):
        change[old, new] = 1
    affine = head.affine @ change
    for axis, flip in enumerate(flips):
        if flip:
            array = np.flip(array, axis + 1)
            affine = affine.copy()
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis + 1] - 1)
            affine[:3, axis] *= -1
    return np.ascontiguousarray(array), affine


def world_dice(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> float:
    """Exact-label Dice of two masks, the second one looked up at the places of the first one's voxels."""
    mask, affine = first
    other, other_affine = second
    index = np.stack(np.meshgrid(*[np.arange(n) for n in mask.shape], indexing="ij"), axis=-1)
    change = np.linalg.inv(other_affine) @ affine
    places = np.rint(index @ change[:3, :3].T + change[:3, 3]).astype(int)
    found = other[tuple(np.moveaxis(places, -1, 0))]
    return 2 * ((found == mask) & (mask > 0)).sum() / ((mask > 0).sum() + (found > 0).sum())


@pytest.mark.parametrize(
    ("axes", "flips"),
    [
        ((0, 1, 2), (True, True, False)),  # RAS
        ((0, 1, 2), (True, False, True)),
        ((2, 0, 1), (False, False, False)),
        ((1, 2, 0), (True, False, True)),
        ((2, 1, 0), (False, True, True)),
    ],
)
def test_one_case_stored_in_any_orientation_gets_one_answer(
    served: Any, build: Any, tmp_path: Path, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    head = build.head(seed=6)
    answers = []
    for name, (array, affine) in {
        "lps": (head.sequences, head.affine), "other": stored_as(head, axes, flips),
    }.items():  # fmt: skip
        path = build.nifti(tmp_path / f"{name}.nii.gz", np.moveaxis(array, 0, 3), affine)
        with open(path, "rb") as file:
            response = served.infer(
                "", {"result_extension": ".nii.gz"}, output="image", files={"file": (path.name, file)}
            )
        (tmp_path / f"mask_{name}.nii.gz").write_bytes(response.content)
        mask = read_mask(tmp_path / f"mask_{name}.nii.gz")
        assert mask[0].shape == array.shape[1:]
        np.testing.assert_allclose(mask[1], affine, atol=1e-4)
        answers.append(mask)
    assert world_dice(*answers) >= 0.99


# ---- datastore -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", ["", "flair", "t1", "t1ce", "t2"])
@pytest.mark.parametrize(("case", "seed"), [("case_1", 1), ("volume", 4)])
def test_download_is_one_scalar_sequence(
    served: Any, build: Any, tmp_path: Path, case: str, seed: int, modality: str
) -> None:
    query = {"image": case, **({"modality": modality} if modality else {})}
    response = served.get("/datastore/image", params=query)
    assert response.status_code == 200
    assert f'filename="{case}.nii.gz"' in response.headers["content-disposition"]
    (tmp_path / "x.nii.gz").write_bytes(response.content)
    image: Any = nib.load(tmp_path / "x.nii.gz")
    channel = build.sequences.index(modality or "flair")
    np.testing.assert_array_equal(np.asarray(image.dataobj), build.head(seed=seed).sequences[channel])


def test_check_sum_is_told_apart(served: Any) -> None:
    digest = hashlib.sha256(served.get("/datastore/image?image=case_1").content).hexdigest()
    for text, status in ((digest, 200), (f"SHA256:{digest}", 200), ("0" * 64, 404), ("CRC:1", 422)):
        query = {"image": "case_1", "check_sum": text}
        assert served.request("HEAD", "/datastore/image", params=query).status_code == status


def test_single_volume_becomes_a_case_and_goes_again(
    served: Any, client: MONAILabelClient, build: Any, tmp_path: Path
) -> None:
    path = build.four_dimensional(tmp_path / "some.name.v2.nii.gz", build.head(seed=8))
    assert client.upload_image(str(path), "some.name.v2") == {"image": "some.name.v2"}
    try:
        assert "some.name.v2" in client.datastore()["objects"]
        assert client.infer(MODEL, "some.name.v2", {})[1]["label_names"] == LABELS
        response = served.put_image(path)
        assert response.json() == {"image": "some.name.v2"}, "the id keeps the dots of the file name"
        other = build.four_dimensional(tmp_path / "other.nii.gz", build.head(seed=9))
        assert served.put_image(other, "some.name.v2").status_code == 409
        assert served.put_image(other, "some.name.v1").json() == {"image": "some.name.v1"}
    finally:
        for name in ("some.name.v2", "some.name.v1"):
            served.request("DELETE", "/datastore/image", params={"id": name})
    assert "some.name.v2" not in client.datastore()["objects"]


def test_four_volumes_uploaded_one_by_one_are_segmented(served: Any, build: Any, tmp_path: Path) -> None:
    head = build.head(seed=1)
    names = [f"X_{sequence}" for sequence in build.sequences]
    try:
        for name, channel in zip(names, head.sequences):
            path = build.nifti(tmp_path / f"{name}.nii.gz", channel, head.affine)
            assert served.put_image(path, name).status_code == 200
            if name == "X_flair":
                answer = served.infer("X_flair")
                assert (answer.status_code, answer.json()["code"]) == (422, "missing_sequence")
                assert "missing sequence t1, t1ce, t2" in answer.json()["detail"]
        whole = served.infer("case_1", output="json").json()
        for name in names:
            assert served.infer(name, output="json").json()["volumes_ml"] == whole["volumes_ml"]
    finally:
        for name in names:
            served.request("DELETE", "/datastore/image", params={"id": name})


def test_labels_go_up_down_and_away(
    served: Any, client: MONAILabelClient, build: Any, tmp_path: Path
) -> None:
    head = build.head(seed=1)
    path = build.nifti(tmp_path / "label.nii.gz", head.labels, head.affine)
    info = [{"name": name, "idx": index} for index, name in enumerate(LABELS, start=1)]
    answer = client.save_label("case_1", str(path), tag="review", params={"label_info": info, "model": MODEL})
    assert answer == {"image": "case_1", "label": "case_1"}
    downloaded = Path(client.download_label("case_1", "review"))
    np.testing.assert_array_equal(read_mask(downloaded)[0], head.labels)
    assert served.request("HEAD", "/datastore/label?image=case_1&tag=review").status_code == 200
    assert served.get("/datastore/label/info?label=case_1&tag=review").json()["model"] == MODEL
    assert served.request("DELETE", "/datastore/label?id=case_1&tag=review").status_code == 200
    assert served.request("HEAD", "/datastore/label?image=case_1&tag=review").status_code == 404


def test_a_predicted_seg_nrrd_can_be_submitted(served: Any, client: MONAILabelClient) -> None:
    file, _ = client.infer(MODEL, "case_1", {"result_extension": ".seg.nrrd"})
    assert served.put_label("case_1", Path(file), tag="nrrd").status_code == 200
    stored = Path(client.download_label("case_1", "nrrd"))
    np.testing.assert_array_equal(read_mask(stored)[0], read_mask(Path(file))[0])
    served.request("DELETE", "/datastore/label?id=case_1&tag=nrrd")


def test_label_of_a_case_folder_is_served_canonical(client: MONAILabelClient, build: Any) -> None:
    served_label = Path(client.download_label("case_2", "final"))
    np.testing.assert_array_equal(read_mask(served_label)[0], build.head(seed=2).labels)


@pytest.mark.usefixtures("nothing_written")
def test_dataset_is_a_zip_and_leaves_no_file(served: Any, build: Any) -> None:
    response = served.get("/datastore/dataset", params={"limit_cases": 1})
    assert response.status_code == 200
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        images = [f"image/case_2_{sequence}.nii.gz" for sequence in build.sequences]
        assert sorted(archive.namelist()) == sorted([*images, "label/case_2.nii.gz", "metadata.json"])


def test_list_of_training_cases_holds_no_path_of_the_server(served: Any) -> None:
    rows = served.get("/datastore/", params={"output": "train"}).json()
    assert rows
    assert not any(text.startswith("/") for row in rows for text in row.values())


def test_weights_go_down_and_up(served: Any, build: Any, tmp_path: Path) -> None:
    content = served.get(f"/model/{MODEL}").content
    checksum = served.get(f"/model/info/{MODEL}").json()["checksum"]
    assert checksum.endswith(hashlib.sha256(content).hexdigest())
    answer = served.request("PUT", f"/model/{MODEL}", files={"file": ("w.safetensors", content)})
    assert answer.json()["checksum"] == checksum


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("w.pt", b"x", 415),
        ("w.safetensors", b"", 415),
        ("w.safetensors", b"junk" * 100, 415),
        ("w.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00" + b'{"a":1}         ', 415),
    ],
)
@pytest.mark.usefixtures("nothing_written")
def test_junk_never_replaces_the_weights(served: Any, name: str, content: bytes, status: int) -> None:
    response = served.request("PUT", f"/model/{MODEL}", files={"file": (name, content)})
    assert response.status_code == status
    assert set(response.json()) == {"detail", "code"}
    assert served.infer("case_1", output="json").status_code == 200


# ---- batch ---------------------------------------------------------------------------------------------


def test_status_is_404_where_nothing_runs(served: Any) -> None:
    end = time.monotonic() + 500  # the background thread, of lowest priority, may still look at cases
    while (response := served.get("/scoring/")).status_code == 200 and time.monotonic() < end:
        time.sleep(0.2)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("body", [{"label_tag": "../x"}, {"max_workers": "many"}, {"max_batch_size": -1}])
@pytest.mark.usefixtures("nothing_written")
def test_wrong_batch_options_are_refused(served: Any, body: dict[str, Any]) -> None:
    response = served.request("POST", f"/batch/infer/{MODEL}", json=body)
    assert response.status_code == 422
    assert next(iter(body)).removeprefix("label_") in response.json()["detail"]


# ---- observing ----


def test_metrics_audit_and_health_of_a_real_server(served: Any, build: Any, tmp_path: Path) -> None:
    identifier = served.get("/info/").headers["X-Request-ID"]
    assert len(identifier) == 32
    path = build.nifti(tmp_path / "l.nii.gz", build.head(seed=1).labels, build.head(seed=1).affine)
    assert served.put_label("case_1", path, tag="audited").status_code == 200
    assert served.request("DELETE", "/datastore/label?id=case_1&tag=audited").status_code == 200
    changes = served.get("/medsynth/api/audit").json()["changes"][:2]
    assert [(c["action"], c["case"], c["tag"]) for c in changes] == [
        ("label.removed", "case_1", "audited"), ("label.stored", "case_1", "audited")
    ]  # fmt: skip
    assert served.infer("case_1", output="json").status_code == 200
    text = served.get("/medsynth/api/metrics").text
    for name in ("medsynth_requests_total", "process_resident_memory_bytes"):
        assert name in text
    assert "case_1" not in text
    assert served.get("/medsynth/api/health/live").json() == {"status": "ok"}
    ready = served.get("/medsynth/api/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok"), ready.text


def test_the_log_is_json_without_cases(served: Any) -> None:
    response = served.get("/datastore/image/info?image=case_1")
    lines = [json.loads(line) for line in served.get("/logs/?lines=200").text.splitlines() if line.startswith("{")]
    (line,) = [each for each in lines if each.get("request") == response.headers["X-Request-ID"]]
    assert (line["route"], line["status"]) == ("info", 200), "/logs/ leaves the last part of what looks like a path"
    assert "case_1" not in json.dumps(line)
