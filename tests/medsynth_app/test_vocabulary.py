"""The words and numbers that scripts and viewers rely on."""

from __future__ import annotations

import pickle

import pytest

from medsynth_app import errors
from medsynth_app.vocabulary import LABEL_NAMES, RESEARCH_NOTICE, Modality, TumorLabel, TumorRegion


def test_channel_order_is_that_of_msd() -> None:
    assert [m.value for m in Modality] == ["flair", "t1", "t1ce", "t2"]


def test_label_names_are_contiguous_from_one() -> None:
    assert LABEL_NAMES == {"necrotic_core": 1, "edema": 2, "enhancing_tumor": 3}


@pytest.mark.parametrize(("region", "labels"), [("WT", {1, 2, 3}), ("TC", {1, 3}), ("ET", {3})])
def test_regions_are_nested_label_sets(region: str, labels: set[int]) -> None:
    assert set(TumorRegion(region).labels) == labels


def test_region_labels_are_the_named_ones() -> None:
    assert TumorRegion.ENHANCING_TUMOR.labels == (TumorLabel.ENHANCING_TUMOR,)
    assert TumorLabel.EDEMA not in TumorRegion.TUMOR_CORE.labels


def test_no_file_suffix_is_the_end_of_another() -> None:
    suffixes = [s for m in Modality for s in m.file_suffixes]
    assert len(set(suffixes)) == 8
    assert not [(a, b) for a in suffixes for b in suffixes if a != b and a.endswith(b)]


def test_research_notice_is_the_agreed_sentence() -> None:
    assert RESEARCH_NOTICE == (
        "Research and education only. Not a medical device. Not for diagnosis or treatment decisions."
    )


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.MalformedRequestError, 400, "malformed"),
        (errors.NotFoundError, 404, "not_found"),
        (errors.StaleError, 409, "stale"),
        (errors.TooLargeError, 413, "too_large"),
        (errors.UnsupportedKindError, 415, "unsupported_kind"),
        (errors.InvalidValueError, 422, "invalid_value"),
        (errors.BusyError, 429, "busy"),
        (errors.OverloadedError, 503, "overloaded"),
    ],
)
def test_errors_carry_the_status_of_the_contract(
    error: type[errors.MedSynthError], status: int, code: str
) -> None:
    raised = error("width: 3 must be 4")
    assert (raised.status, raised.code, raised.message, str(raised)) == (
        status, code, "width: 3 must be 4", "width: 3 must be 4",
    )  # fmt: skip
    assert isinstance(raised, errors.MedSynthError)


def test_an_error_keeps_its_own_code_through_a_process_boundary() -> None:
    sent = errors.InvalidValueError("flair is missing", code="missing_sequence")
    received = pickle.loads(pickle.dumps(sent))
    assert (received.code, received.message, received.status) == ("missing_sequence", "flair is missing", 422)
    assert errors.InvalidValueError("other").code == "invalid_value"
