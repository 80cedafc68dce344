"""Every operation of the OpenAPI description with made-up input: no 5xx, no path of the server, errors as promised."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

hypothesis = pytest.importorskip("hypothesis", reason="its pin needs Python 3.11")
schemathesis = pytest.importorskip("schemathesis", reason="its pin needs Python 3.11")
GenerationMode = schemathesis.GenerationMode

EXAMPLES = int(os.environ.get("MEDSYNTH_EXAMPLES", "20"))
SLOW = {("POST", "/train/{model}"), ("POST", "/batch/infer/{model}"), ("POST", "/scoring/{method}")}
"""They start a process where their input is right; `test_protocol` and `test_training` do that on purpose."""
OPERATIONS_AT_LEAST = 40


@pytest.fixture(scope="module")
def served(start_server: Any, build: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of its own: made-up requests leave made-up cases behind."""
    lonely = start_server(tmp_path_factory.mktemp("openapi"), inference_slots="2", maximum_upload_mb="8")
    build.case(lonely.studies, "case_1")
    build.case(lonely.studies, "case_2", with_label=True)
    with lonely.process:
        yield lonely


@pytest.fixture(scope="module")
def described(served: Any) -> Any:
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json", timeout=60)
    schema.config.generation.modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    return schema


def operations(schema: Any) -> Iterator[Any]:
    for result in schema.get_all_operations():
        operation = result.ok()
        if (operation.method.upper(), operation.path) not in SLOW:
            yield operation


@pytest.mark.timeout(900)
def test_no_made_up_request_is_a_defect_or_tells_a_path(served: Any, described: Any, repository: Path) -> None:
    session = requests.Session()
    folders = [str(f).encode() for f in (served.studies, served.model_folder, served.temporary, repository)]
    tried: dict[str, int] = {}
    faults: set[str] = set()

    def check(operation: Any, mode: Any) -> None:
        name = f"{operation.method.upper()} {operation.path}"

        @hypothesis.seed(20)
        @hypothesis.settings(
            max_examples=max(1, EXAMPLES // 2), deadline=None, database=None, derandomize=False,
            suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate],
        )  # fmt: skip
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            tried[name] = tried.get(name, 0) + 1
            response = case.call(session=session, base_url=served.url, timeout=60)
            content = response.content
            if response.status_code >= 500 and response.status_code != 503:
                faults.add(f"{name}: {response.status_code} {content[:200]!r}")
            if any(folder in content for folder in folders):
                faults.add(f"{name}: tells a path")
            if response.status_code >= 400 and operation.method.upper() != "HEAD":
                if set(response.json()) != {"detail", "code"}:
                    faults.add(f"{name}: {content[:200]!r} is not the promised shape")

        run()

    for operation in operations(described):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                check(operation, mode)
            except hypothesis.errors.Unsatisfiable:
                continue  # an operation without parameters has no wrong input
    assert faults == set()
    assert len(tried) >= OPERATIONS_AT_LEAST, sorted(tried)
    assert sum(tried.values()) >= 10 * len(tried)
