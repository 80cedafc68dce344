"""Attacks that the stock server does not withstand: refused, nothing written, no path of the server told."""

from __future__ import annotations

import http.client
import io
import json
import pickle
import tarfile
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import psutil
import pytest
import requests

MODEL = "brain_tumor_segmentation"
CLIMBING = ["../x", "..", "../../etc/passwd", "/etc/passwd", "a/../../b", "..\\x", "a\0b", "%2e%2e/x", ".ssh"]


@pytest.fixture(autouse=True)
def _nothing_written(nothing_written: None) -> None:
    """No attack of this file may leave a file."""


def refused(response: requests.Response) -> None:
    assert 400 <= response.status_code < 500, (response.status_code, response.text[:200])
    assert set(response.json()) == {"detail", "code"}


def raw(served: Any, method: str, path: str) -> tuple[int, bytes]:
    """A request whose path no client library tidies up."""
    connection = http.client.HTTPConnection("127.0.0.1", served.process.port, timeout=60)
    connection.putrequest(method, path, skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


# ---- S1: code through a session folder and bundle_path ---------------------------------------------------


@pytest.mark.parametrize("uncompress", ["false", "true"])
def test_no_session_stores_files(served: Any, uncompress: str) -> None:
    files = [("files", ("sitecustomize.py", b"open('owned', 'w')")), ("files", ("b.py", b""))]
    refused(served.request("PUT", "/session/", params={"uncompress": uncompress}, files=files))


@pytest.mark.parametrize("path", ["/scoring/dice", "/train/nothing", "/batch/infer/nothing"])
def test_no_process_starts_with_a_clients_bundle_path(served: Any, path: str) -> None:
    refused(served.request("POST", path, json={"bundle_path": str(served.outside), "name": "../../x"}))


def test_deprecated_scoring_starts_nothing(served: Any) -> None:
    response = served.request("POST", "/scoring/", json={"bundle_path": str(served.outside)})
    assert set(response.json()) <= {"agreement"}, "only the server's own scoring, in a thread"
    assert psutil.Process(served.process.process.pid).children() == []


# ---- S2: names of cases as paths -------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLIMBING)
def test_no_upload_below_another_name(served: Any, build: Any, tmp_path: Path, name: str) -> None:
    path = build.nifti(tmp_path / "x.nii.gz", build.head().sequences[0], build.head().affine)
    refused(served.put_image(path, name))


@pytest.mark.parametrize("file_name", ["main.py", "../../main.py", "x.nii.gz/../main.py", "a.json"])
def test_no_upload_of_another_kind(served: Any, file_name: str) -> None:
    refused(
        served.request(
            "PUT", "/datastore/image", params={"image": "x"}, files={"file": (file_name, b"import os")}
        )
    )


@pytest.mark.parametrize("name", CLIMBING)
@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("GET", "/datastore/image", "image"),
        ("HEAD", "/datastore/image", "image"),
        ("DELETE", "/datastore/image", "id"),
        ("GET", "/datastore/image/info", "image"),
        ("GET", "/datastore/label", "label"),
        ("DELETE", "/datastore/label", "id"),
        ("POST", f"/infer/{MODEL}", "image"),
    ],
)
def test_no_name_reaches_other_files(served: Any, method: str, path: str, key: str, name: str) -> None:
    response = served.request(method, path, params={key: name, "tag": "final"})
    assert 400 <= response.status_code < 500
    assert b"root:" not in response.content


def test_absolute_path_of_an_existing_file_is_no_image(served: Any) -> None:
    target = str(served.studies / "volume.nii.gz")
    response = served.infer(target)
    refused(response)
    assert str(served.studies) not in response.json()["detail"]


# ---- S3: tags as paths -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["../../x", "a/b", "..", "x" * 100, "fin al"])
def test_no_tag_is_a_path(served: Any, build: Any, tmp_path: Path, tag: str) -> None:
    path = build.nifti(tmp_path / "l.nii.gz", build.head(seed=1).labels, build.head(seed=1).affine)
    refused(served.put_label("case_1", path, tag=tag))
    refused(served.get("/datastore/label", params={"label": "case_2", "tag": tag}))


# ---- S4: params that are the server's --------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {"save_label": True, "label_tag": "../../x"},
        {"save_label": True, "label_tag": "final"},
        {"image": "/etc/passwd"},
        {"image": "nobody", "model": "nobody"},
        {"label": "/etc/passwd"},
        {"upload": "/etc/passwd"},
        {"case": "/etc/passwd"},
        {"params": {"precision": "fp8"}},
        {"device": "cuda:7"},
        {"logging": "NONSENSE"},
        {"timeout": -1},
        {"model_filename": "/etc/passwd", "result_write_to_file": False},
        {"sw_batch_size": 10**9, "roi_size": [10**6] * 3},
    ],
)
def test_server_side_keys_of_a_client_do_nothing(served: Any, params: dict[str, Any]) -> None:
    plain = served.infer("case_1", output="json").json()
    answer = served.infer("case_1", params, output="json")
    assert answer.status_code == 200, answer.text
    assert answer.json()["volumes_ml"] == plain["volumes_ml"]
    assert served.get("/datastore/label?label=case_1&tag=final").status_code == 404


@pytest.mark.parametrize(
    "info",
    [
        {"strategy": "x"},
        {"strategy": {"random": "x"}},
        {"synthetic": True},
        {"path": "/etc/passwd"},
        {"ts": "never"},
        {"name": "../../x"},
    ],
)
def test_infos_that_the_server_keeps_are_not_taken_from_a_client(served: Any, info: dict[str, Any]) -> None:
    before = served.get("/datastore/image/info?image=case_1").json()
    index = served.studies / "datastore_v2.json"
    kept = index.read_bytes()
    response = served.request("PUT", "/datastore/image/info?image=case_1", data={"info": json.dumps(info)})
    assert response.status_code == 200
    assert served.get("/datastore/image/info?image=case_1").json() == before
    assert index.read_bytes() == kept


# ---- S5, S6: sessions ------------------------------------------------------------------------------------


def test_no_archive_is_unpacked(served: Any) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("../../../owned")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"own"))
    files = {"files": ("x.tar.gz", buffer.getvalue())}
    refused(served.request("PUT", "/session/", params={"uncompress": "true"}, files=files))


@pytest.mark.parametrize("session", ["../../x", "/etc", "0" * 36])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_session_is_read_or_removed(served: Any, session: str, method: str) -> None:
    refused(served.request(method, f"/session/{requests.utils.quote(session, safe='')}"))
    refused(served.request("POST", f"/infer/{MODEL}", params={"session_id": session}))


# ---- S7: training ----------------------------------------------------------------------------------------


def test_training_takes_only_its_own_options(served: Any) -> None:
    body = {
        "name": "../../x",
        "train_ds": "/etc/passwd",
        "tracking_uri": "http://127.0.0.1:1",
        "max_epochs": "x",
    }
    response = served.request("POST", f"/train/{MODEL}", json=body)
    refused(response)
    assert "max_epochs" in response.json()["detail"]
    # the older way, which trains everything
    refused(served.request("POST", "/train/", json={MODEL: body}))


# ---- S8: weights -----------------------------------------------------------------------------------------


class _Pickled:
    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(Path("owned").resolve()), "w"))


@pytest.mark.parametrize("name", ["w.pt", "w.ts", "../../w.safetensors.pt"])
def test_no_pickle_becomes_a_model(served: Any, name: str) -> None:
    refused(served.request("PUT", f"/model/{MODEL}", files={"file": (name, pickle.dumps(_Pickled()))}))
    refused(
        served.request("PUT", f"/model/{MODEL}", files={"file": ("w.safetensors", pickle.dumps(_Pickled()))})
    )


@pytest.mark.parametrize("model", ["..%2f..%2fx", "nobody", "%2e%2e"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_model_name_is_a_path(served: Any, method: str, model: str) -> None:
    status, _ = raw(served, method, f"/model/{model}")
    assert 400 <= status < 500


# ---- S9: proxy and other paths ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/proxy/dicom/%2e%2e%2fsystem",
        "/proxy/dicom/../system",
        "/proxy/dicom/wado/%2e%2e/%2e%2e/system",
        "/proxy/dicom/studies/%252e%252e/system",
        "/proxy/dicom/system",
        "/proxy/dicom/qido/studies",
        "/ohif/../../../../etc/passwd",
        "/ohif/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/static/../../../../../etc/passwd",
        "/static/..%2f..%2f..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/datastore/../../../etc/passwd",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_path_climbs(served: Any, method: str, path: str) -> None:
    status, content = raw(served, method, path)
    assert 400 <= status < 500, (status, content[:200])
    assert b"root:" not in content


def test_nobody_restarts_the_application(served: Any) -> None:
    refused(served.request("POST", "/reload"))


@pytest.mark.parametrize("path", ["/infer/wsi/x", "/infer/wsi_v2/x"])
def test_whole_slide_routes_are_gone(served: Any, path: str) -> None:
    refused(served.request("POST", path, json={}))


# ---- no path of the server is told -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/info/"),
        ("GET", "/datastore/"),
        ("GET", "/datastore/?output=all"),
        ("GET", "/datastore/?output=train"),
        ("GET", "/datastore/image/info?image=case_1"),
        ("GET", "/datastore/image/info?image=volume"),
        ("GET", "/datastore/label/info?label=case_2&tag=final"),
        ("GET", f"/model/info/{MODEL}"),
        ("GET", "/logs/?lines=1000"),
        ("GET", "/openapi.json"),
        ("GET", "/train/"),
        ("POST", f"/infer/{MODEL}?image=case_1&output=json"),
        ("POST", f"/infer/{MODEL}?image=nobody"),
        ("GET", "/datastore/label?label=case_1&tag=nothing"),
    ],
)
def test_no_answer_holds_a_path_of_the_server(served: Any, repository: Path, method: str, path: str) -> None:
    text = served.request(method, path).text
    for folder in (served.studies, served.model_folder, served.temporary, repository):
        assert str(folder) not in text


@pytest.mark.parametrize("query", ["lines=0", "lines=99999999", "lines=x"])
def test_only_so_much_of_the_log_is_told(served: Any, query: str) -> None:
    refused(served.get(f"/logs/?{query}"))


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "multipart/form-data"}, {"Content-Type": "multipart/form-data; boundary="}]
)
def test_broken_multipart_is_refused(served: Any, headers: dict[str, str]) -> None:
    refused(served.request("PUT", "/datastore/image", data=b"--x\r\nno", headers=headers))


def test_params_field_larger_than_a_megabyte_is_refused(served: Any) -> None:
    refused(served.infer("case_1", json.dumps({"x": "y" * (2 << 20)}), files={"label": ("l.nii.gz", b"")}))


# ---- S11: bombs ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """200 KB of gzip that stand for 200 MB of zeros behind a plain header."""
    header = nib.Nifti1Header()
    header.set_data_shape((1000, 1000, 1000))
    header.set_data_dtype("float32")
    header["vox_offset"], header["magic"] = 352, b"n+1"
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 24)
    content = [packer.compress(header.binaryblock + bytes(4))]
    content += [packer.compress(zeros) for _ in range((200 << 20) // len(zeros))]
    return b"".join([*content, packer.flush()])


def test_a_bomb_is_refused_before_it_is_read(served: Any, bomb: bytes) -> None:
    memory = psutil.Process(served.process.process.pid).memory_info
    before = memory().rss
    for method, path, field in (
        ("PUT", "/datastore/image?image=x", "file"),
        ("PUT", "/datastore/label?image=case_1", "label"),
        ("POST", f"/infer/{MODEL}", "file"),
        ("POST", "/infer/tumor_case_synthesis?image=_", "label"),
    ):
        response = served.request(method, path, files={field: ("x.nii.gz", bomb)})
        assert (response.status_code, response.json()["code"]) == (413, "too_large"), path
    assert memory().rss - before < 100 << 20


def operations_with_files(served: Any) -> list[tuple[str, str, tuple[str, ...]]]:
    """Method, path and file fields of every operation that says that it takes files."""
    description = served.get("/openapi.json").json()
    schemas = description["components"]["schemas"]
    found = []
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data", {}).get("schema", {})
            form = schemas.get(form.get("$ref", "").rpartition("/")[2], form)
            fields = [name for name, field in form.get("properties", {}).items() if "binary" in json.dumps(field)]
            if fields:
                found.append((method.upper(), path, tuple(fields)))
    return found


def test_every_operation_that_takes_a_file_has_the_limits(served: Any, bomb: bytes) -> None:
    found = operations_with_files(served)
    assert len(found) >= 5, found
    long = bytes((8 << 20) + 4096)
    for method, path, fields in found:
        address = path.format(model=MODEL, identifier="0" * 32)
        for field in fields:
            ending = ".safetensors" if path == "/model/{model}" else ".tar" if field == "dicom" else ".nii.gz"
            for content in (long, bomb)[: 2 if ending == ".nii.gz" else 1]:
                response = served.request(
                    method, address, params={"image": "case_1"}, data={"params": "{}"},
                    files={field: (f"x{ending}", content)},
                )  # fmt: skip
                answer = (response.status_code, response.json()["code"])
                assert answer == (413, "too_large"), (path, field, response.text)


def test_no_training_runs_inside_the_server(served: Any) -> None:
    refused(served.request("POST", f"/train/{MODEL}?run_sync=true", json={}))
