"""A small clinic behind its routes: real atlas, database and score; the registration is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from medsynth_app.api.dependencies import get_clinic, get_studies
from medsynth_app.api.error_handlers import add_error_handlers
from medsynth_app.api.router import build_router
from medsynth_app.clinical import assessment
from medsynth_app.clinical.clinic import Clinic, ClinicConfiguration
from medsynth_app.clinical.knowledge.lesion_library import LibraryConfiguration
from medsynth_app.errors import NotFoundError
from medsynth_app.imaging.atlas.atlas import Atlas, load_atlas
from medsynth_app.imaging.atlas.brain_regions import Side
from medsynth_app.imaging.atlas.registration import GateResult, Registration
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder
from medsynth_app.imaging.volume import Volume

API = "/medsynth/api"


@dataclass
class FolderStudies:
    """Cases of a folder as the routes see them; labels by (case, tag)."""

    root: Path
    labels: dict[tuple[str, str], Path] = field(default_factory=dict)

    def case(self, name: str) -> CaseFiles:
        found = case_in_folder(self.root / name) if (self.root / name).is_dir() else None
        if found is None:
            raise NotFoundError(f"case: there is no {name!r}", code="unknown_case")
        return found

    def label_tags(self, name: str) -> tuple[str, ...]:
        return tuple(tag for case, tag in self.labels if case == name)

    def label_file(self, name: str, tag: str) -> Path:
        if (name, tag) not in self.labels:
            raise NotFoundError(f"label: none with tag {tag!r}")
        return self.labels[name, tag]

    def save_label(self, name: str, labels: np.ndarray, affine: np.ndarray, tag: str, info: dict[str, Any]) -> None:
        path = self.root / f"{name}-{tag}.nii.gz"
        write_image(path, labels, affine)
        self.labels[name, tag] = path


def write_image(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    """A NIfTI file."""
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Atlas and lesion library are made once for all tests here."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def atlas(cache_folder: Path) -> Atlas:
    """The real atlas."""
    return load_atlas(cache_folder)


@pytest.fixture(scope="session")
def mask_of(atlas: Atlas) -> Callable[[str, Side], np.ndarray]:
    """A label map (X, Y, Z) that fills a region with enhancing tumour."""
    return lambda code, side: np.where(atlas.mask(code, side), 3, 0).astype(np.uint8)


def known_registration(volume: Volume, tumor: np.ndarray | None, _: object = None) -> Registration:
    """The head lies in atlas space already."""
    gate = GateResult("brain_dice", 0.95, "at least 0.9", True, "the outline does not fit")
    return Registration(np.eye(4), None, volume.affine, volume.spatial_shape, "known", (gate,), True, 0.0)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the registration, which has tests of its own, by one that is known."""
    monkeypatch.setattr(assessment, "register_to_atlas", known_registration)


@pytest.fixture
def studies(tmp_path: Path, atlas: Atlas, mask_of: Callable[[str, Side], np.ndarray]) -> FolderStudies:
    """One case, ``case_1``, with a tumour in the left hand area."""
    found = FolderStudies(tmp_path / "studies")
    head = (atlas.labels > 0).astype(np.int16) * 100
    for sequence in ("flair", "t1", "t1ce", "t2"):
        write_image(found.root / "case_1" / f"case_1_{sequence}.nii.gz", head, atlas.affine)
    label = write_image(tmp_path / "final.nii.gz", mask_of("M1_HAND", Side.LEFT), atlas.affine)
    found.labels["case_1", "final"] = label
    return found


@pytest.fixture(scope="session")
def session_clinic(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Iterator[Clinic]:
    """One clinic with a small lesion library."""
    folder = tmp_path_factory.mktemp("clinic")
    configuration = ClinicConfiguration(
        folder / "clinical.db", folder / "pictures", cache_folder, library=LibraryConfiguration(count=60)
    )
    clinic = Clinic(configuration)
    yield clinic
    clinic.close()


@pytest.fixture(autouse=True)
def nothing_placed_before(request: pytest.FixtureRequest) -> None:
    """Every test registers anew: what a registration finds is replaced from test to test."""
    if "session_clinic" in request.fixturenames:
        clinic: Clinic = request.getfixturevalue("session_clinic")
        if clinic.is_ready and clinic.tools.placed is not None:
            clinic.tools.placed.clear()


@pytest.fixture
def client(session_clinic: Clinic, studies: FolderStudies, registered: None) -> TestClient:
    """The routes."""
    server = FastAPI()
    server.include_router(build_router())
    add_error_handlers(server)
    server.dependency_overrides[get_clinic] = lambda: session_clinic
    server.dependency_overrides[get_studies] = lambda: studies
    return TestClient(server, raise_server_exceptions=False)
