"""Temporary files of a killed server are removed by the next one, those of a living one never."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from lib.server.temporary_folder import PREFIX, TemporaryFolder

LIVE = """
import sys, time
sys.path.insert(0, sys.argv[1])
from lib.server.temporary_folder import TemporaryFolder
folder = TemporaryFolder()
(folder.path / "medsynth-upload").mkdir()
print(folder.path, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("killed", [True, False])
def test_a_killed_servers_files_are_removed_a_living_ones_stay(parent: Path, repository: Path, killed: bool) -> None:
    command = [sys.executable, "-c", LIVE, str(repository / "apps" / "medsynth")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        try:
            if killed:
                other.send_signal(signal.SIGKILL)
                other.wait()
            own = TemporaryFolder()
            assert theirs.exists() is not killed
            own.remove()
        finally:
            other.kill()


def test_what_is_not_a_servers_stays(parent: Path) -> None:
    (parent / f"{PREFIX}empty").mkdir()
    (parent / "medsynth-abc").mkdir()
    outside = parent / "outside"
    outside.mkdir()
    (outside / "lock").touch()
    (parent / f"{PREFIX}link").symlink_to(outside)
    TemporaryFolder().remove()
    assert {path.name for path in parent.iterdir()} == {f"{PREFIX}empty", f"{PREFIX}link", "medsynth-abc", "outside"}
    assert (outside / "lock").exists()


def test_files_lie_inside_until_the_server_ends(parent: Path) -> None:
    async def serve() -> None:
        folder, ends = TemporaryFolder(), asyncio.Event()
        task = asyncio.get_running_loop().create_task(folder.remove_once(ends.wait()))
        await asyncio.sleep(0)
        with tempfile.NamedTemporaryFile() as file:
            assert Path(file.name).parent == folder.path
            ends.set()
            await asyncio.sleep(0.1)
            assert folder.path.is_dir(), "a request still needs its file"
        assert os.environ["TMPDIR"] == str(folder.path)
        await asyncio.wait_for(task, 5)

    asyncio.run(serve())
    assert list(parent.iterdir()) == []
    assert os.environ["TMPDIR"] == str(parent)
