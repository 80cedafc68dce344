"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

SLOW_FOLDER = "tests/apps/medsynth"
"""Files directly in it start real servers and browsers."""
SLOW_FILES = (
    "tests/apps/medsynth/lib/server/routes/test_proxy.py",
    "tests/apps/medsynth/lib/test_change_journal.py",
    "tests/apps/medsynth/lib/test_dicom_archive.py",
    "tests/contract/test_other_peoples_dicom.py",
    "tests/contract/test_other_peoples_files.py",
    "tests/contract/test_other_peoples_grids.py",
    "tests/contract/test_other_peoples_labels.py",
    "tests/medsynth_app/api/test_audit.py",
    "tests/medsynth_app/api/test_cross_check.py",
    "tests/medsynth_app/benchmarks/test_images.py",
    "tests/medsynth_app/benchmarks/test_registration.py",
    "tests/medsynth_app/benchmarks/test_synthesis_utility.py",
    "tests/medsynth_app/commands/test_segment.py",
    "tests/medsynth_app/imaging/atlas/test_registration.py",
    "tests/medsynth_app/preparation/test_coregistration.py",
    "tests/medsynth_app/preparation/test_interpolation.py",
    "tests/medsynth_app/preparation/test_raw_segmentation.py",
    "tests/medsynth_app/segmentation/test_network.py",
    "tests/medsynth_app/segmentation/training/test_loop.py",
    "tests/medsynth_app/synthesis/phantoms/test_phantoms.py",
    "tests/medsynth_app/synthesis/stylegan2/images/test_shipped.py",
    "tests/medsynth_app/synthesis/stylegan2/images/test_training.py",
    "tests/medsynth_app/synthesis/stylegan2/test_encoder.py",
    "tests/medsynth_app/synthesis/stylegan2/test_training.py",
    "tests/medsynth_app/synthesis/tumor/learned/test_learned.py",
    "tests/medsynth_app/synthesis/tumor/test_generator.py",
)
"""They train, register or load servers: nine seconds of one core or more each. ``make test-quick`` leaves them out."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow; single tests elsewhere carry the mark themselves."""
    for item in items:
        place = item.path.relative_to(REPOSITORY)
        if place.parent.as_posix() == SLOW_FOLDER or place.as_posix() in SLOW_FILES:
            item.add_marker(pytest.mark.slow)


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
