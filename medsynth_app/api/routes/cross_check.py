"""``/medsynth/api/cross-check``: symptoms against a mask, the answer in four forms, and the clinician's decision."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, JSONResponse, Response

from medsynth_app.api.dependencies import Body, ClinicHere, Files, Received, Studies, StudiesHere, acting_as
from medsynth_app.api.received_images import current_version, stored_images, uploaded_images
from medsynth_app.api.schemas import CrossCheckRequest, DecisionRequest, checked, inline_schema
from medsynth_app.clinical.clinic import Clinic
from medsynth_app.clinical.intake.form import Intake, parse_intake
from medsynth_app.clinical.record.decision import CrossCheckStatus, Decision, DecisionAction
from medsynth_app.clinical.record.repository import StoredCrossCheck
from medsynth_app.clinical.record.view import record_view
from medsynth_app.clinical.report.content import conclusion, report_content
from medsynth_app.clinical.report.fhir import diagnostic_report, intake_from_response
from medsynth_app.clinical.report.html import render_html
from medsynth_app.clinical.report.pdf import render_pdf
from medsynth_app.clinical.site.tumor_images import TumorImages, label_version, read_t1_like
from medsynth_app.errors import InvalidValueError, MalformedRequestError, NotFoundError, StaleError
from medsynth_app.imaging.labels import read_submitted_label

router = APIRouter(tags=["Clinic"])
Language = Literal["ko", "en"]
QUESTIONNAIRE_RESPONSE = "QuestionnaireResponse"
FHIR_JSON = "application/fhir+json"

REPORT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""The report loads nothing and runs nothing, whatever a patient wrote into it."""


class Form(str, Enum):
    """Forms of an answer."""

    json = "json"
    html = "html"
    pdf = "pdf"
    fhir = "fhir"


_REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": inline_schema(CrossCheckRequest)},
            FHIR_JSON: {"schema": {"type": "object", "description": "QuestionnaireResponse; name the case by ?case="}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "params": {"type": "string", "description": "The JSON object above, without `case`."},
                        "image": {"type": "string", "format": "binary", "description": "T1-like, skull-stripped."},
                        "label": {"type": "string", "format": "binary", "description": "Label map on its grid."},
                    },
                    "required": ["label"],
                }
            },
        },
    }
}


@router.post("/cross-check", summary="Cross-check symptoms with a case's mask, or with uploaded files",
             openapi_extra=_REQUEST_BODY)  # fmt: skip
def cross_check(
    body: Body,
    files: Files,
    clinic: ClinicHere,
    studies: StudiesHere,
    case: Annotated[str | None, Query(description="Case, where the body is a QuestionnaireResponse.")] = None,
    tag: Annotated[str | None, Query(max_length=64)] = None,
) -> dict[str, Any]:
    request, intake = _understood(body, clinic)
    images = _images(request, files, studies, case, tag)
    return _with_links(record_view(clinic.cross_check(images, intake, request.place)))


@router.get("/cross-check", summary="All cross-checks of a case, oldest first")
def cross_checks(clinic: ClinicHere, case: str) -> dict[str, Any]:
    found = clinic.repository.cross_checks(case)
    return {"cross_checks": [_with_links(record_view(check)) for check in found]}


@router.get("/cross-check/{identifier}.html", summary="The report to print, HTML")
def cross_check_html(identifier: str, clinic: ClinicHere, lang: Language = "en") -> Response:
    return _answer(clinic, identifier, Form.html, lang)


@router.get("/cross-check/{identifier}.pdf", summary="The report to print, PDF")
def cross_check_pdf(identifier: str, clinic: ClinicHere, lang: Language = "en") -> Response:
    return _answer(clinic, identifier, Form.pdf, lang)


@router.get("/cross-check/{identifier}", summary="A cross-check as JSON, HTML, PDF or FHIR R4 DiagnosticReport")
def stored_cross_check(
    identifier: str, clinic: ClinicHere, form: Annotated[Form, Query(alias="format")] = Form.json, lang: Language = "en"
) -> Response:
    return _answer(clinic, identifier, form, lang)


@router.get("/cross-check/{identifier}/pictures/{name}.png", summary="mask, regions or registration")
def picture(identifier: str, name: str, clinic: ClinicHere) -> Response:
    clinic.repository.cross_check(identifier)
    return Response(clinic.pictures.picture(identifier, name), media_type="image/png")


@router.post(
    "/cross-check/{identifier}/decision",
    summary="Accept, amend (with a new label version) or reject, by a named user with a reason; makes it final",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": inline_schema(DecisionRequest)},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "params": {"type": "string", "description": "The JSON object above."},
                            "label": {"type": "string", "format": "binary", "description": "For amend: the new mask."},
                        },
                        "required": ["params"],
                    }
                },
            },
        }
    },
)
def decide(identifier: str, body: Body, files: Files, clinic: ClinicHere, studies: StudiesHere) -> dict[str, Any]:
    request = checked(DecisionRequest, body.values)
    request = request.model_copy(update={"user": acting_as(request.user)})
    check = clinic.repository.cross_check(identifier)
    _check_open(check)
    _check_label(check, request, studies)
    # every other field is checked before a new label is kept
    _decision(request, "pending" if _is_amend(request) else "")
    amended = _amended_version(check, request, files, studies)
    decision = _decision(request, amended)
    final = clinic.repository.decide(
        identifier, decision, expected_label_version=request.label_version, final=True
    )
    return _with_links(record_view(final))


@router.delete("/cross-check/{identifier}/free-text", summary="Delete the patient's own words; the answers stay")
def delete_free_text(identifier: str, clinic: ClinicHere, user: str) -> dict[str, Any]:
    return {"deleted": clinic.repository.delete_free_text(identifier, acting_as(user))}


# ---- the request ----


def _understood(body: Received, clinic: Clinic) -> tuple[CrossCheckRequest, Intake]:
    values = body.values
    if isinstance(values, Mapping) and values.get("resourceType") == QUESTIONNAIRE_RESPONSE:
        values = {"response": values}
    request = checked(CrossCheckRequest, values)
    if request.response is None:
        return request, parse_intake(request.as_values(), clinic.definitions)
    if request.symptoms:
        raise MalformedRequestError("response, symptoms: both are given; allowed: one of them")
    return request, intake_from_response(request.response, clinic.definitions)


def _images(
    request: CrossCheckRequest,
    files: Mapping[str, Path],
    studies: Studies | None,
    case: str | None,
    tag: str | None,
) -> TumorImages:
    named = request.case or case
    if files:
        return uploaded_images(studies, named, files)
    if not named:
        raise MalformedRequestError("case: missing; name a case, or send image and label as files")
    return stored_images(studies, named, request.tag or tag)


# ---- the answer ----


def _with_links(record: dict[str, Any]) -> dict[str, Any]:
    here = f"/medsynth/api/cross-check/{record['id']}"
    forms = {"self": here, "html": f"{here}.html", "pdf": f"{here}.pdf", "fhir": f"{here}?format=fhir"}
    return {**record, "links": forms}


def _answer(clinic: Clinic, identifier: str, form: Form, lang: Language) -> Response:
    check = clinic.repository.cross_check(identifier)
    if form is Form.json:
        return JSONResponse(_with_links(record_view(check)))
    symptoms = {each.id: each for each in clinic.repository.symptoms()}
    if form is Form.fhir:
        return JSONResponse(diagnostic_report(check, symptoms, conclusion(check, lang)), media_type=FHIR_JSON)
    content = report_content(check, symptoms, clinic.pictures.load(identifier), lang)
    if form is Form.html:
        return HTMLResponse(render_html(content), headers=REPORT_HEADERS)
    name = f"cross-check-{check.id[:8]}.pdf"
    headers = {"Content-Disposition": f'inline; filename="{name}"'}
    return Response(render_pdf(content), media_type="application/pdf", headers=headers)


# ---- the decision ----


def _check_open(check: StoredCrossCheck) -> None:
    if check.status is not CrossCheckStatus.PROPOSED:
        raise StaleError(f"status: it is {check.status.value!r}; a decision is possible while it is 'proposed'")


def _check_label(check: StoredCrossCheck, request: DecisionRequest, studies: Studies | None) -> None:
    """Refuse to accept or reject a mask that is no longer the one in the datastore.

    Raises:
        StaleError: the label of that tag has changed, or the user saw another version.
    """
    if request.label_version not in (None, check.label_version):
        raise StaleError(f"label_version: {request.label_version!r}; the cross-check is of {check.label_version!r}")
    tag = check.result.get("label", {}).get("tag")
    if not tag or studies is None or (_is_amend(request) and request.tag == tag):
        return
    try:
        now = current_version(studies, check.case_id, tag)
    except NotFoundError:
        raise StaleError(f"label: the mask with tag {tag!r} that was checked is gone; cross-check again") from None
    if now != check.label_version:
        raise StaleError(
            f"label: the mask with tag {tag!r} has changed since (version {now}, checked was "
            f"{check.label_version}); cross-check again"
        )


def _is_amend(request: DecisionRequest) -> bool:
    return request.action == DecisionAction.AMEND.value


def _decision(request: DecisionRequest, amended_version: str) -> Decision:
    # a word that is no action is refused by the record itself, which lists those allowed
    return Decision(request.action, request.user, request.reason, amended_version)  # type: ignore[arg-type]


def _amended_version(
    check: StoredCrossCheck, request: DecisionRequest, files: Mapping[str, Path], studies: Studies | None
) -> str:
    """Version of the amended mask: a label already in the datastore, or one that came along and is kept now."""
    if not _is_amend(request):
        return ""
    if "label" in files:
        return _keep_amended(check, request, files["label"], studies)
    if not request.tag or studies is None:
        raise InvalidValueError("tag: missing; allowed for amend: the tag of the new label, or the label as a file")
    return current_version(studies, check.case_id, request.tag)


def _keep_amended(
    check: StoredCrossCheck, request: DecisionRequest, label: Path, studies: Studies | None
) -> str:
    if studies is None:
        raise InvalidValueError("label: this server holds no cases to keep it with")
    volume, _ = read_t1_like(studies.case(check.case_id))
    labels = read_submitted_label(label, volume)
    version = label_version(labels)
    if version == check.label_version:
        raise InvalidValueError("label: is the mask that was checked; allowed for amend: a changed one")
    info = {"cross_check": check.id, "amended_by": request.user}
    studies.save_label(check.case_id, labels, volume.affine, f"amended-{check.id[:8]}", info)
    return version
