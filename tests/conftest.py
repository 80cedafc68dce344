"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real public data; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("MEDSYNTH_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("real data are not on this machine (set MEDSYNTH_DATA to their folder)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_table_of_generated_images(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What tests generate is noted apart from what the user generates; servers that tests start inherit it."""
    os.environ["MEDSYNTH_GENERATED"] = str(tmp_path_factory.mktemp("generated") / "generated.db")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY
