"""A MONAI Label server as a child process, for benchmarks: started on a free port, stopped for certain."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType

import psutil
import requests

from medsynth_app.errors import MedSynthError

START_SECONDS = 300.0


def server_environment(app: Path) -> dict[str, str]:
    """What ``medsynth serve`` adds to the environment of the server and of the processes it starts.

    Args:
        app: folder of the MONAI Label application.
    """
    root = str(app.resolve().parents[1])
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), root])),
        # Large tensors come and go: keeping their memory instead of mapping it anew saves page faults.
        "MALLOC_MMAP_MAX_": os.environ.get("MALLOC_MMAP_MAX_", "0"),
        "MALLOC_TRIM_THRESHOLD_": os.environ.get("MALLOC_TRIM_THRESHOLD_", str(4 << 30)),
    }


class ServerProcess:
    """Use as a context: the server answers inside it.

    Args:
        app: folder of the MONAI Label application.
        studies: studies folder, or URL of a DICOMweb server.
        environment: added to the process's environment.
        conf: ``--conf`` pairs.

    Raises:
        MedSynthError: it does not answer in time; the message holds the end of its log.
    """

    def __init__(
        self,
        app: Path,
        studies: Path | str,
        environment: dict[str, str] | None = None,
        conf: dict[str, str] | None = None,
    ) -> None:
        self.app, self.studies = app, studies
        self.environment = environment or {}
        self.conf = conf or {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.peak_memory_bytes = 0

    def __enter__(self) -> ServerProcess:
        pairs = [part for key, value in self.conf.items() for part in ("--conf", key, value)]
        arguments = [
            "start_server", "--app", str(self.app), "--studies", str(self.studies), "--host", "127.0.0.1",
            "--port", str(self.port), *pairs,
        ]  # fmt: skip
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        self.process = self._launch(arguments)
        self._wait_until_it_answers()
        threading.Thread(target=self._watch_memory, daemon=True).start()
        return self

    def _launch(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(self.app.resolve().parents[1]), **self.environment}
        command = [sys.executable, "-W", "ignore", "-m", "monailabel.main", *arguments]
        return subprocess.Popen(command, env=environment, stdout=self._log, stderr=subprocess.STDOUT)  # noqa: S603

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if requests.get(f"{self.url}/info/", timeout=10).status_code < 500:  # 401 where a login is needed
                    return
            except requests.RequestException:
                time.sleep(0.2)
        self._log.seek(0)
        end = self._log.read()[-800:].decode(errors="replace")
        self.__exit__(None, None, None)
        raise MedSynthError(f"the server of {self.app.name} did not start: {end}")

    def _watch_memory(self) -> None:
        try:
            process = psutil.Process(self.process.pid)
            while self.process.poll() is None:
                self.peak_memory_bytes = max(self.peak_memory_bytes, process.memory_info().rss)
                time.sleep(0.05)
        except psutil.Error:
            return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()
