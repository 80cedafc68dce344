"""The starter of the tests' servers outlives whoever asks twice."""

from __future__ import annotations

import subprocess
import sys

from tests.apps.medsynth.preloaded_server import CODES, answer


def test_an_exit_code_is_told_as_often_as_it_is_asked_for() -> None:
    """Two threads that look after one server: the second question must not end the starter, and every later test."""
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as process:
        told = [answer({how: process.pid}) for how in ("wait", "poll", "wait")]
        assert told == ["3", "3", "3"]
        del CODES[process.pid]
