"""A real DICOMweb server for tests: Orthanc with its DICOMweb plugin on a free port of this machine."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from lib.dicom_archive import DicomArchive

PLUGINS = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc", "/usr/local/share/orthanc/plugins")
START_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Orthanc:
    """A running Orthanc: its DICOMweb address, and what tests do with it."""

    url: str

    def send(self, folder: Path) -> None:
        DicomArchive(self.url).store(sorted(folder.glob("*.dcm")))

    def series(self, **search: str) -> list[str]:
        """UIDs of the series that fit."""
        found = requests.get(f"{self.url}/series", params=search, timeout=30).json()
        return [entry["0020000E"]["Value"][0] for entry in found]

    def empty(self) -> None:
        root = self.url.removesuffix("/dicom-web")
        for patient in requests.get(f"{root}/patients", timeout=30).json():
            requests.delete(f"{root}/patients/{patient}", timeout=30).raise_for_status()


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Starts it with everything it stores below ``folder``; skips the test where it is not installed."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
    plugin = next((p for d in PLUGINS for p in Path(d).glob("libOrthancDicomWeb.so*")), None)
    if not program or not plugin:
        pytest.skip("Orthanc with DICOMweb is not installed (Debian packages orthanc and orthanc-dicomweb)")
    port = free_port()
    settings = {
        "Name": "test", "StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(plugin)], "HttpPort": port, "DicomServerEnabled": False, "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False, "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/dicom-web/studies", process, folder / "log")
        yield Orthanc(f"http://127.0.0.1:{port}/dicom-web")
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    pytest.fail(f"Orthanc did not start: {log.read_text(errors='replace')[-800:]}")
