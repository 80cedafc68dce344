"""The server of benchmarks and tests: a start that fails is explained, and nothing stays running."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from medsynth_app.commands.support.server_process import ServerProcess
from medsynth_app.errors import MedSynthError


def test_each_server_gets_a_port_of_its_own(tmp_path: Path) -> None:
    servers = [ServerProcess(tmp_path / "app", tmp_path) for _ in range(5)]
    assert len({server.port for server in servers}) == 5
    assert servers[0].url == f"http://127.0.0.1:{servers[0].port}"


def test_server_that_cannot_start_says_why_and_leaves_no_process(tmp_path: Path) -> None:
    # A module that stands in for MONAI Label's and fails at once: the real one takes seconds to import.
    package = tmp_path / "root" / "monailabel"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "main.py").write_text("raise SystemExit('no such application')")
    app = tmp_path / "root" / "apps" / "broken"
    app.mkdir(parents=True)
    before = {process.pid for process in psutil.Process().children()}
    with pytest.raises(MedSynthError, match="server of broken did not start: no such application"):
        ServerProcess(app, tmp_path).__enter__()
    assert {process.pid for process in psutil.Process().children()} <= before
