"""A process started by the server ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from lib.processes import SERVER_PID_VARIABLE, die_with_server, remember_server

CHILD = """
import time
from lib.processes import die_with_server
die_with_server()
print("ready", flush=True)
time.sleep(300)
"""
PARENT = f"""
import subprocess, sys, time
from lib.processes import remember_server
remember_server()
child = subprocess.Popen([sys.executable, '-c', {CHILD!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(300)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
def test_child_ends_when_the_server_is_killed(repository: Path, how: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(repository / "apps" / "medsynth")}
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, getattr(signal, how))
    parent.wait(30)
    gone, alive = psutil.wait_procs([child], timeout=30)
    for process in alive:
        process.kill()
    assert gone == [child]


def test_server_itself_and_lone_processes_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVER_PID_VARIABLE, raising=False)
    die_with_server()
    monkeypatch.setenv(SERVER_PID_VARIABLE, "1")  # restored afterwards, whatever ``remember_server`` sets
    remember_server()
    assert os.environ[SERVER_PID_VARIABLE] == str(os.getpid())
    die_with_server()
