"""What ``make serve`` runs, on a machine without a network: weights, viewer and page are local."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medsynth_app.api.routes.page import FILES

PATHS = (
    "/info/", "/ohif/", "/medsynth/login", "/medsynth/api/health/ready", "/datastore/image?image=case_1", "/medsynth/",
    *(f"/medsynth/page/{name}" for name in (*FILES, "niivue.js")), "/medsynth/api/cases/case_1/thumbnail",
    "/medsynth/api/synthesis", "/medsynth/api/symptoms?q=headache", "/medsynth/api/rounds",
)  # fmt: skip


def test_the_server_starts_and_segments_without_a_network(build: Any, tmp_path: Path, repository: Path) -> None:
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this account may not make a network namespace")
    build.case(tmp_path / "studies", "case_1", build.head((32, 32, 24)))
    environment = {**os.environ, "PYTHONPATH": str(repository), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    outcome = subprocess.run(
        ["unshare", "-n", sys.executable, str(Path(__file__).with_name("without_network.py")),
         str(tmp_path / "studies"), *PATHS],
        capture_output=True, text=True, env=environment, timeout=400, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr[-1000:]
    found = json.loads(outcome.stdout.splitlines()[-1])
    assert found["outside"] != 0, "there was a network after all"
    for path, (status, size) in found["answers"].items():
        assert status == 200, (path, status)
        assert size > 0, path
