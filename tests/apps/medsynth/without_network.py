"""Run by `test_offline` in a network namespace of its own: only loopback, and nothing beyond it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41
PORT = 8123


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP_RUNNING))


def answer(path: str, data: bytes | None = None) -> tuple[int, int]:
    """Status and bytes."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", data, timeout=120) as response:
            return response.status, len(response.read())
    except urllib.error.HTTPError as error:
        return error.code, 0
    except OSError:
        return 0, 0


def main(studies: str, paths: list[str]) -> None:
    loopback_up()
    with socket.socket() as probe:
        probe.settimeout(2)
        outside = probe.connect_ex(("203.0.113.1", 80))
    command = [sys.executable, "-m", "medsynth_app.commands.serve", "--studies", studies, "--port", str(PORT)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        end = time.monotonic() + 300
        while answer("/info/")[0] != 200 and time.monotonic() < end and server.poll() is None:
            time.sleep(0.3)
        found = {path: answer(path) for path in paths}
        found["infer"] = answer("/infer/brain_tumor_segmentation?image=case_1&output=image", b"")
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    sys.stdout.write(json.dumps({"outside": outside, "answers": found}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
