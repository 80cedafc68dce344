"""``/medsynth/api/cross-check``: the straight path, every form of the answer, the decision, and bad input."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from fastapi.testclient import TestClient

from medsynth_app.clinical import assessment
from medsynth_app.clinical.site.located_cache import ContentCache
from medsynth_app.clinical.work_slots import SlotLimits, WorkSlots
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.atlas import Atlas
from medsynth_app.imaging.atlas.brain_regions import Side
from medsynth_app.vocabulary import RESEARCH_NOTICE

PATH = "/medsynth/api/cross-check"
ARM = {"id": "arm_weakness", "state": "present", "side": "right"}


def ask(client: TestClient, **fields: Any) -> Any:
    return client.post(PATH, json={"case": "case_1", "symptoms": [ARM], **fields})


def store(path: Path, labels: np.ndarray, affine: np.ndarray) -> None:
    nib.save(nib.Nifti1Image(labels, affine), path)


def test_symptoms_of_the_tumours_own_side_fit_better(client: TestClient) -> None:
    own = ask(client).json()
    other = ask(client, symptoms=[{**ARM, "side": "left"}]).json()
    assert own["status"] == "proposed"
    assert own["site"]["side"] == "left"
    assert own["cross_check"]["log_bayes_factor"] > 0 > other["cross_check"]["log_bayes_factor"]
    assert other["cross_check"]["mirrored_log_bayes_factor"] == pytest.approx(
        own["cross_check"]["log_bayes_factor"], abs=0.3
    )


def test_the_record_is_kept_with_notice_versions_and_links(client: TestClient) -> None:
    made = ask(client, handedness="right", age=50, lat=37.5, lon=127.0).json()
    kept = client.get(f"{PATH}/{made['id']}").json()
    assert kept == made
    assert kept["notice"] == RESEARCH_NOTICE
    assert {"atlas", "knowledge_base", "scorer", "lesion_library", "medsynth"} <= set(kept["versions"])
    assert kept["intake"]["answers"][0]["symptom"] == "arm_weakness"
    distances = [row["distance_km"] for row in kept["hospitals"]["hospitals"]]
    assert distances[0] is not None
    assert all(km is None or km <= 500 for km in distances)
    assert client.get(PATH, params={"case": "case_1"}).json()["cross_checks"][-1]["id"] == made["id"]


def test_where_no_hospital_is_near_the_far_ones_are_listed(client: TestClient) -> None:
    listed = ask(client, lat=-50.0, lon=-120.0).json()["hospitals"]["hospitals"]
    assert min(row["distance_km"] for row in listed) > 500


@pytest.mark.parametrize(
    ("query", "kind", "start"),
    [
        (".html?lang=ko", "text/html", "<!DOCTYPE html>"),
        (".pdf", "application/pdf", "%PDF-"),
        ("?format=html", "text/html", "<!DOCTYPE html>"),
        ("?format=pdf&lang=ko", "application/pdf", "%PDF-"),
        ("/pictures/registration.png", "image/png", "\ufffdPNG"),
    ],
)
def test_every_form_of_the_report(client: TestClient, query: str, kind: str, start: str) -> None:
    answer = client.get(f"{PATH}/{ask(client).json()['id']}{query}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert answer.content.decode(errors="replace").startswith(start)
    if kind == "text/html":
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy, "the report runs no script"
        assert "<script" not in answer.text


def test_fhir_in_and_out(client: TestClient) -> None:
    item = {
        "linkId": "symptom/arm_weakness",
        "answer": [{"valueCoding": {"code": "yes"}}],
        "item": [{"linkId": "symptom/arm_weakness/side", "answer": [{"valueCoding": {"code": "right"}}]}],
    }
    response = {"resourceType": "QuestionnaireResponse", "status": "completed", "item": [item]}
    made = client.post(
        PATH, params={"case": "case_1"}, content=json.dumps(response),
        headers={"content-type": "application/fhir+json"},
    )  # fmt: skip
    assert made.status_code == 200
    report = client.get(f"{PATH}/{made.json()['id']}?format=fhir").json()
    assert (report["resourceType"], report["status"]) == ("DiagnosticReport", "preliminary")
    assert RESEARCH_NOTICE in report["conclusion"]


def test_uploaded_image_and_label(
    client: TestClient, tmp_path: Path, atlas: Atlas, mask_of: Callable[[str, Side], np.ndarray]
) -> None:
    store(tmp_path / "image.nii.gz", (atlas.labels > 0).astype(np.int16), atlas.affine)
    store(tmp_path / "label.nii.gz", mask_of("OCC_CALC", Side.RIGHT), atlas.affine)
    with open(tmp_path / "image.nii.gz", "rb") as image, open(tmp_path / "label.nii.gz", "rb") as label:
        answer = client.post(
            PATH,
            data={"params": json.dumps({"symptoms": [{"id": "homonymous_hemianopia", "side": "left"}]})},
            files={"image": ("Kim Minsu.nii.gz", image), "label": ("label.nii.gz", label)},
        )
    record = answer.json()
    assert answer.status_code == 200
    assert record["site"]["icd10_site"] == "C71.4"
    assert record["cross_check"]["log_bayes_factor"] > 0
    assert "Minsu" not in answer.text


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("itk::ExceptionObject in registration.cxx"),
        InvalidValueError("volume: its voxels are 8.0 mm thick", code="voxels_too_thick"),
    ],
)
def test_a_failed_registration_is_an_answer(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def broken(*_: object) -> None:
        raise failure

    monkeypatch.setattr(ContentCache, "get", lambda *_: None)  # not what an earlier test registered
    monkeypatch.setattr(assessment, "register_to_atlas", broken)
    answer = ask(client)
    record = answer.json()
    assert answer.status_code == 200
    assert record["concordance"] == "not_assessable"
    assert record["site"]["volumes_ml"]["whole_tumor"] > 1
    assert record["hospitals"]["general_only"]
    assert "itk" not in answer.text
    assert client.get(f"{PATH}/{record['id']}.pdf").status_code == 200


def test_one_cross_check_too_many_is_told_when_to_come_again(
    client: TestClient, session_clinic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_clinic, "slots", WorkSlots(SlotLimits(1, 0), "cross-checks"))
    with session_clinic.slots.slot():
        answer = ask(client)
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert ask(client).status_code == 200


# ---- the decision ----


def decide(client: TestClient, identifier: str, **fields: Any) -> Any:
    values = {"action": "accept", "user": "Dr Kim", "reason": "fits the images", **fields}
    return client.post(f"{PATH}/{identifier}/decision", json=values)


def test_a_named_person_makes_it_final_once(client: TestClient) -> None:
    made = ask(client).json()
    final = decide(client, made["id"])
    assert final.json()["status"] == final.json()["site"]["status"] == "final"
    assert final.json()["decision"]["actor"] == "Dr Kim"
    again = decide(client, made["id"], action="reject")
    assert (again.status_code, again.json()["code"]) == (409, "stale")


def test_a_changed_mask_cannot_be_accepted(
    client: TestClient, studies: Any, atlas: Atlas, mask_of: Callable[[str, Side], np.ndarray]
) -> None:
    made = ask(client).json()
    studies.save_label("case_1", mask_of("SMA", Side.LEFT), atlas.affine, "final", {})
    answer = decide(client, made["id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "stale")
    amended = decide(client, made["id"], action="amend", tag="final")
    assert amended.json()["decision"]["amended_label_version"] not in ("", made["label_version"])


def test_an_amended_mask_becomes_a_new_label(
    client: TestClient, studies: Any, tmp_path: Path, atlas: Atlas, mask_of: Callable[[str, Side], np.ndarray]
) -> None:
    made = ask(client).json()
    store(tmp_path / "new.nii.gz", mask_of("M1_LEG", Side.LEFT), atlas.affine)
    values = {"action": "amend", "user": "Dr Kim", "reason": "oedema missed"}
    with open(tmp_path / "new.nii.gz", "rb") as label:
        answer = client.post(
            f"{PATH}/{made['id']}/decision", data={"params": json.dumps(values)}, files={"label": ("new.nii.gz", label)}
        )
    assert answer.json()["status"] == "final"
    assert f"amended-{made['id'][:8]}" in studies.label_tags("case_1")
    assert studies.label_tags("case_1")[0] == "final"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"user": "anonymous"}, 422, "invalid_value"),
        ({"reason": " "}, 422, "invalid_value"),
        ({"action": "approve"}, 422, "invalid_value"),
        ({"action": "amend"}, 422, "invalid_value"),
        ({"label_version": "another"}, 409, "stale"),
        ({"surprise": 1}, 422, "invalid_value"),
    ],
)
def test_a_bad_decision_changes_nothing(client: TestClient, fields: dict[str, Any], status: int, code: str) -> None:
    made = ask(client).json()
    answer = decide(client, made["id"], **fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.get(f"{PATH}/{made['id']}").json()["status"] == "proposed"


# ---- bad input ----

BAD_REQUESTS = [
    ({"case": "nobody"}, 404, "unknown_case"),
    ({"case": None}, 400, "malformed"),
    ({"tag": "draft"}, 404, "not_found"),
    ({"symptoms": [{"id": "arm_weaknes"}]}, 422, "unknown_symptom"),
    ({"symptoms": [ARM, {**ARM, "state": "denied"}]}, 422, "contradictory_answers"),
    ({"symptoms": [{**ARM, "side": "up"}]}, 422, "invalid_value"),
    ({"symptoms": [{**ARM, "state": "maybe"}]}, 422, "invalid_value"),
    ({"symptoms": "arm_weakness"}, 422, "invalid_value"),
    ({"handedness": "both"}, 422, "invalid_value"),
    ({"age": 400}, 422, "invalid_value"),
    ({"age": "old"}, 422, "invalid_value"),
    ({"lat": 95, "lon": 10}, 422, "invalid_value"),
    ({"lat": 37}, 422, "invalid_value"),
    ({"birth_date": "1970-01-01"}, 422, "invalid_value"),
    ({"free_text": "x" * 2001}, 422, "invalid_value"),
    ({"lang": "fr"}, 422, "invalid_value"),
    ({"response": {"resourceType": "Patient"}, "symptoms": []}, 400, "malformed"),
]


@pytest.mark.parametrize(("fields", "status", "code"), BAD_REQUESTS)
def test_bad_requests_have_stable_codes(client: TestClient, fields: dict[str, Any], status: int, code: str) -> None:
    answer = ask(client, **fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        ("{", "application/json", 400, "malformed"),
        ("[]", "application/json", 400, "malformed"),
        ('{"age": NaN}', "application/json", 400, "malformed"),
        ("case: 1", "text/yaml", 415, "unsupported_kind"),
        (" " * ((1 << 20) + 1), "application/json", 413, "too_large"),
    ],
)
def test_unreadable_bodies(client: TestClient, content: str, kind: str, status: int, code: str) -> None:
    answer = client.post(PATH, content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def _wrong_value(labels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.where(labels > 0, 9, 0).astype(np.uint8), affine


def _wrong_shape(labels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return labels[:-1], affine


def _moved(labels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return labels, affine + np.array([[0, 0, 0, 5.0], [0] * 4, [0] * 4, [0] * 4])


@pytest.mark.parametrize(
    ("spoil", "code"), [(_wrong_value, "invalid_value"), (_wrong_shape, "wrong_grid"), (_moved, "wrong_grid")]
)
def test_unfit_labels(
    client: TestClient, tmp_path: Path, atlas: Atlas, mask_of: Callable[[str, Side], np.ndarray], spoil: Any, code: str
) -> None:
    store(tmp_path / "label.nii.gz", *spoil(mask_of("SMA", Side.LEFT), atlas.affine))
    with open(tmp_path / "label.nii.gz", "rb") as label:
        values = {"case": "case_1", "symptoms": [ARM]}
        answer = client.post(PATH, data={"params": json.dumps(values)}, files={"label": ("label.nii.gz", label)})
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_an_empty_mask_is_not_assessable(client: TestClient, studies: Any, atlas: Atlas) -> None:
    studies.save_label("case_1", np.zeros(atlas.labels.shape, np.uint8), atlas.affine, "final", {})
    record = ask(client).json()
    assert record["concordance"] == "not_assessable"
    assert "mask_empty" in record["reasons"]


@pytest.mark.parametrize("name", ["unknown-id", "../../etc/passwd", "0" * 36])
def test_unknown_cross_checks(client: TestClient, name: str) -> None:
    answer = client.get(f"{PATH}/{name}")
    assert answer.status_code == 404
    assert set(answer.json()) == {"detail", "code"}


# ---- what a patient says stays out of the logs and out of the record ----


def test_no_word_of_the_patient_reaches_a_log_or_the_record(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    words = "저는 홍길동입니다. 1970-01-01에 태어났고 오른팔에 힘이 없어요"
    made = ask(client, free_text=words)
    ask(client, free_text=words, symptoms=[{"id": "Hong Gildong 1970-01-01"}])
    ask(client, surname="Hong Gildong")
    client.post("/medsynth/api/symptoms/understand", json={"text": "홍길동 팔에 힘이 없어요"})
    logged = "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records
                       if not record.name.startswith("httpx"))  # fmt: skip
    for secret in ("홍길동", "Hong", "1970-01-01", "힘이"):
        assert secret not in logged
    assert "홍길동" not in made.text
    understood = [row["candidates"][0]["symptom"] for row in made.json()["understood"] if row["candidates"]]
    assert "arm_weakness" in understood


def test_the_patients_words_can_be_deleted(client: TestClient, session_clinic: Any) -> None:
    identifier = ask(client, free_text="팔이 저려요").json()["id"]
    assert session_clinic.repository.free_text(identifier) == "팔이 저려요"
    answer = client.delete(f"{PATH}/{identifier}/free-text", params={"user": "Dr Kim"})
    assert answer.json() == {"deleted": True}
    assert session_clinic.repository.free_text(identifier) == ""
