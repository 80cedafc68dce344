"""Commands print what was asked for, and nothing of the libraries below them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("words", [["--help"], ["evaluate", "--help"], ["benchmark", "--help"]])
def test_nothing_on_standard_error(repository: Path, words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "medsynth_app.cli", *words], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(repository), "PYTHONWARNINGS": "default::FutureWarning"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "Warning" not in done.stdout
