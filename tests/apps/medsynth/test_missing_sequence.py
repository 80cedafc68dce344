"""A case that lacks one sequence: refused, unless the client accepts a blank in its place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

CASE = "lacking_t1"


@pytest.fixture(autouse=True)
def lacking_case(served: Any, build: Any) -> Iterator[None]:
    """A case without T1, and one that has FLAIR alone."""
    folders = [
        build.case(served.studies, CASE, leave_out=("t1",)),
        build.case(served.studies, "flair_alone", leave_out=("t1", "t1ce", "t2")),
    ]
    yield
    for folder in folders:
        shutil.rmtree(folder)


def test_it_is_refused_by_name(served: Any) -> None:
    answer = served.infer(CASE, output="json")
    assert (answer.status_code, answer.json()["code"]) == (422, "missing_sequence")
    assert "missing sequence t1;" in answer.json()["detail"]


def test_a_blank_takes_its_place_where_the_client_says_so(served: Any) -> None:
    answer = served.infer(CASE, {"missing_sequence": "blank"}, output="json")
    assert answer.status_code == 200
    assert "t1 is missing and was taken as blank: expect a worse result" in answer.json()["warnings"]


def test_any_number_may_be_missing_but_all(served: Any) -> None:
    answer = served.infer("flair_alone", {"missing_sequence": "blank"}, output="json")
    assert answer.status_code == 200
    warnings = " ".join(answer.json()["warnings"])
    assert all(f"{name} is missing and was taken as blank" in warnings for name in ("t1", "t1ce", "t2"))
    assert "without t1ce nothing tells enhancing tumour from necrotic core" in warnings


def test_another_word_is_refused(served: Any) -> None:
    answer = served.infer(CASE, {"missing_sequence": "guess"}, output="json")
    assert answer.status_code == 422
    assert "missing_sequence: 'guess' must be one of refuse, blank" in answer.json()["detail"]
