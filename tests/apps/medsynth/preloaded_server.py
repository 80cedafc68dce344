"""Starts servers without importing them again: a real ``monailabel start_server``, a fork away instead of ten seconds.

Run as a script it reads lines of JSON and answers each with one line. ``{"start": ARGUMENTS, "log": FILE,
"environment": {...}}``: forks a process that runs the server and answers its number. ``{"poll": NUMBER}``: whether that
process still runs: its exit code, or nothing. ``{"wait": NUMBER}``: the exit code, once it is gone with all its threads
and locks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from medsynth_app.commands.support.server_process import ServerProcess

REPOSITORY = Path(__file__).resolve().parents[3]
APP = REPOSITORY / "apps" / "medsynth"


# ---- in the tests ----


class Starter:
    """The process that forks servers; its environment is that of the tests with one thread."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
        # What it says when it dies; kept out of the tests' own output, which imports fill with warnings.
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True, env=environment,
        )  # fmt: skip
        self._one_at_a_time = threading.Lock()
        assert self._process.stdout
        while (line := self._process.stdout.readline().strip()) != "ready":
            assert self._process.poll() is None, line

    def ask(self, question: dict[str, Any]) -> str:
        assert self._process.stdin
        assert self._process.stdout
        with self._one_at_a_time:
            try:
                self._process.stdin.write(json.dumps(question) + "\n")
                self._process.stdin.flush()
            except BrokenPipeError as error:
                raise AssertionError(f"the starter is gone ({self._process.wait()}): {self._last_words()}") from error
            return self._process.stdout.readline().strip()

    def _last_words(self) -> str:
        self._said.seek(0)
        return self._said.read()[-2000:]

    def start(self, arguments: list[str], log: str, environment: dict[str, str]) -> ForkedProcess:
        return ForkedProcess(self, int(self.ask({"start": arguments, "log": log, "environment": environment})))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class ForkedProcess:
    """A server forked by a starter, with what tests use of ``subprocess.Popen``."""

    def __init__(self, starter: Starter, pid: int) -> None:
        self.pid = pid
        self._starter = starter
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            answer = self._starter.ask({"poll": self.pid})
            self._code = int(answer) if answer else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        if timeout is None and self._code is None:
            self._code = int(self._starter.ask({"wait": self.pid}))
        end = time.monotonic() + (timeout or 0.0)
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"server {self.pid}", timeout or 0.0)
            time.sleep(0.02)
        return code

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class ForkedServer(ServerProcess):
    """A ``ServerProcess`` that comes from a starter."""

    def __init__(self, starter: Starter, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._starter = starter

    def _launch(self, arguments: list[str]) -> Any:
        log = f"/proc/{os.getpid()}/fd/{self._log.fileno()}"
        return self._starter.start(arguments, log, self.environment)


# ---- in the starter ----


def preload() -> None:
    """Import what a server imports; no thread may run when a process forks."""
    sys.path.insert(0, str(APP))
    import main  # noqa: F401, PLC0415
    import monailabel.app  # noqa: PLC0415
    import monailabel.main  # noqa: F401, PLC0415
    import uvicorn  # noqa: F401, PLC0415


def serve(arguments: list[str], log: str, environment: dict[str, str]) -> None:
    """In the forked process."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the starter's questions are not for a server's own children
    os.setsid()
    os.environ.update(environment)
    tempfile.tempdir = None  # found anew from the environment
    sys.argv = ["monailabel", *arguments]
    from monailabel.main import Main  # noqa: PLC0415

    Main().run()


def fork(question: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        try:
            serve(question["start"], question["log"], question["environment"])
        finally:
            os._exit(1)
    return child


CODES: dict[int, int] = {}
"""Exit codes of processes that are gone: a second thread that asks gets the same answer, and the starter lives on."""


def answer(question: dict[str, Any]) -> str:
    if "start" in question:
        child = fork(question)
        CODES.pop(child, None)
        return str(child)
    pid = question.get("poll", question.get("wait"))
    if pid not in CODES:
        gone, status = os.waitpid(pid, os.WNOHANG if "poll" in question else 0)
        if gone:
            CODES[pid] = os.waitstatus_to_exitcode(status)
    return str(CODES[pid]) if pid in CODES else ""


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    preload()
    say("ready")
    for line in sys.stdin:
        say(answer(json.loads(line)))
