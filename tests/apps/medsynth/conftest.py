"""A real server on small synthetic cases, and the builders of its files."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import requests
import torch

from medsynth_app.commands.support import server_process
from medsynth_app.commands.support.server_process import ServerProcess
from medsynth_app.segmentation.network import NetworkConfiguration, build_network
from medsynth_app.segmentation.weights import save_weights
from medsynth_app.vocabulary import Modality
from tests.apps.medsynth.preloaded_server import ForkedServer, Starter

REPOSITORY = Path(__file__).resolve().parents[3]
APP = REPOSITORY / "apps" / "medsynth"
MODEL = "brain_tumor_segmentation"
SEQUENCES = tuple(m.value for m in Modality)
TIMEOUT = 120

# A machine that is busy with other tests needs minutes for the imports alone.
server_process.START_SECONDS = 500.0

# MONAI Label imports an application's ``lib`` from its folder; tests do the same.
if str(APP) not in sys.path:
    sys.path.insert(0, str(APP))


def lps_affine(shape: tuple[int, ...]) -> np.ndarray:
    """1 mm voxels as BraTS stores them: axes point left, posterior, superior; the middle lies near the origin."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[:3, 3] = [(shape[0] - 1) / 2 + 3.0, (shape[1] - 1) / 2 - 5.0, -(shape[2] - 1) / 2 + 7.0]
    return affine


def about_the_request(warnings: list[str]) -> list[str]:
    """Warnings without those about the mask: the tests' untrained networks find tumour everywhere."""
    return [text for text in warnings if "tumour" not in text]


@dataclass(frozen=True)
class Head:
    """Four sequences (4, X, Y, Z) int16 and labels 0..3 (X, Y, Z) uint8 of one head; affine voxel -> RAS mm."""

    sequences: np.ndarray
    labels: np.ndarray
    affine: np.ndarray


def make_head(shape: tuple[int, int, int] = (48, 52, 44), seed: int = 0) -> Head:
    """An ellipsoid head with a tumour of nested ellipsoids off its middle, a little different for each seed."""
    generator = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    brain = (grid**2).sum(axis=0) < 0.8
    center = np.array([0.25, -0.2, 0.15]) + generator.uniform(-0.08, 0.08, 3)
    distance = np.sqrt(((grid - center[:, None, None, None]) ** 2).sum(axis=0))
    labels = np.zeros(shape, dtype=np.uint8)
    for label, radius in ((2, 0.42), (3, 0.28), (1, 0.16)):
        labels[brain & (distance < radius)] = label
    contrasts = {"flair": (300, 420, 700, 600), "t1": (400, 200, 330, 340), "t1ce": (410, 150, 380, 900),
                 "t2": (350, 800, 650, 500)}  # fmt: skip
    noise = generator.normal(0, 12, (4, *shape))
    sequences = np.stack([np.take(contrasts[name], labels) for name in SEQUENCES]) + noise
    return Head(np.where(brain, sequences, 0).astype(np.int16), labels, lps_affine(shape))


def write_nifti(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    """Store an array with equal sform and qform."""
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def write_case(
    studies: Path,
    name: str,
    head: Head | None = None,
    *,
    with_label: bool = False,
    leave_out: tuple[str, ...] = (),
    ending: str = ".nii.gz",
) -> Path:
    """A BraTS case folder; its label, where wanted, has enhancing tumour as 4 like BraTS files."""
    head = head or make_head()
    folder = studies / name
    for sequence, channel in zip(SEQUENCES, head.sequences):
        if sequence not in leave_out:
            write_nifti(folder / f"{name}_{sequence}{ending}", channel, head.affine)
    if with_label:
        labels = np.where(head.labels == 3, 4, head.labels).astype(np.uint8)
        write_nifti(folder / f"{name}_seg{ending}", labels, head.affine)
    return folder


def touch_case(studies: Path, name: str) -> Path:
    """A case folder whose files are empty: enough for listing, quick for thousands."""
    folder = studies / name
    folder.mkdir(parents=True)
    for sequence in SEQUENCES:
        (folder / f"{name}_{sequence}.nii.gz").touch()
    return folder


def write_four_dimensional(path: Path, head: Head | None = None) -> Path:
    """One 4-D file with the four sequences as channels."""
    head = head or make_head()
    return write_nifti(path, np.moveaxis(head.sequences, 0, 3), head.affine)


def write_tiny_weights(path: Path) -> Path:
    """Weights of a network that answers in a fraction of a second and finds something everywhere."""
    torch.manual_seed(7)
    configuration = NetworkConfiguration(name="subpixel_unet", width=4, dropout=0.0)
    save_weights(build_network(configuration), configuration, path, {"step": 0})
    return path


def snapshot(*folders: Path) -> dict[str, tuple[int, int]]:
    """Size and time of everything in the folders, but for locks and what a server derives from the studies."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.name != ".lock" and ".medsynth" not in path.parts:
                facts = path.lstat()
                found[str(path)] = (facts.st_size, facts.st_mtime_ns) if path.is_file() else (0, 0)
    return found


@dataclass(frozen=True)
class Builders:
    """The builders above as one fixture: test modules cannot import each other."""

    model: str = MODEL
    sequences: tuple[str, ...] = SEQUENCES
    head: Any = staticmethod(make_head)
    nifti: Any = staticmethod(write_nifti)
    case: Any = staticmethod(write_case)
    touch_case: Any = staticmethod(touch_case)
    four_dimensional: Any = staticmethod(write_four_dimensional)
    weights: Any = staticmethod(write_tiny_weights)
    affine: Any = staticmethod(lps_affine)
    snapshot: Any = staticmethod(snapshot)


@pytest.fixture(scope="session")
def build() -> Builders:
    """Builders of heads, cases, files and weights."""
    return Builders()


@dataclass
class Served:
    """A running server and where its things are."""

    process: ServerProcess
    studies: Path
    temporary: Path
    model_folder: Path
    outside: Path
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def url(self) -> str:
        return self.process.url

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """One request; a thread of its own should make a session of its own."""
        return self.session.request(method, self.url + path, timeout=TIMEOUT, **arguments)

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return self.request("GET", path, **arguments)

    def infer(self, case: str = "", params: Any = None, **arguments: Any) -> requests.Response:
        """Segment a case; ``output`` and files as arguments."""
        query = {"image": case} if case else {}
        if "output" in arguments:
            query["output"] = arguments.pop("output")
        text = params if isinstance(params, str) else json.dumps(params or {})
        return self.request("POST", f"/infer/{MODEL}", params=query, data={"params": text}, **arguments)

    def put_label(self, case: str, path: Path, params: Any = None, **query: str) -> requests.Response:
        with open(path, "rb") as file:
            return self.request(
                "PUT", "/datastore/label", params={"image": case, **query},
                data={"params": json.dumps(params or {})}, files={"label": (path.name, file)},
            )  # fmt: skip

    def put_image(self, path: Path, name: str = "", params: Any = None) -> requests.Response:
        with open(path, "rb") as file:
            return self.request(
                "PUT", "/datastore/image", params={"image": name} if name else {},
                data={"params": json.dumps(params or {})}, files={"file": (path.name, file)},
            )  # fmt: skip

    def files(self) -> dict[str, tuple[int, int]]:
        """What lies on disk wherever the server could write."""
        return snapshot(self.studies, self.temporary, self.model_folder, self.outside)


def start(root: Path, starter: Starter | None = None, **conf: str) -> Served:
    """A server, not yet entered, whose folders lie under ``root``; quickly there where a starter forks it."""
    folders = [root / name for name in ("studies", "temporary", "model", "outside")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    studies, temporary, model_folder, outside = folders
    write_tiny_weights(model_folder / f"{MODEL}.safetensors")
    environment = {"TMPDIR": str(temporary), "HOME": str(outside), "OMP_NUM_THREADS": "1"}
    what: Any = (APP, studies, environment, {"model_folder": str(model_folder), **conf})
    process = ForkedServer(starter, *what) if starter else ServerProcess(*what)
    return Served(process, studies, temporary, model_folder, outside)


def write_cases(studies: Path) -> None:
    """``case_1`` and ``volume`` unlabelled, ``case_2`` and ``case_3`` labelled."""
    write_case(studies, "case_1", make_head(seed=1))
    write_case(studies, "case_2", make_head(seed=2), with_label=True)
    write_case(studies, "case_3", make_head(seed=3), with_label=True)
    write_four_dimensional(studies / "volume.nii.gz", make_head(seed=4))


@pytest.fixture(scope="session")
def starter() -> Iterator[Starter]:
    """Forks servers."""
    starter = Starter()
    yield starter
    starter.close()


@pytest.fixture(scope="module")
def served_apart(starter: Starter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server on the same cases in which no other file's tests have been handed a case."""
    served = start(tmp_path_factory.mktemp("apart"), starter)
    write_cases(served.studies)
    with served.process:
        yield served


@pytest.fixture(scope="session")
def start_server(starter: Starter) -> Any:
    """``start``, for tests that need a server of their own."""
    return partial(start, starter=starter)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server most tests share, started as a user starts it."""
    root = tmp_path_factory.mktemp("served")
    served = start(root, inference_slots="2", inference_queue="2", maximum_upload_mb="8", maximum_volume_mb="64")
    write_cases(served.studies)
    with served.process:
        yield served


@pytest.fixture
def nothing_written(served: Served) -> Iterator[None]:
    """Fails the test if a request left anything on disk."""
    before = served.files()
    yield
    # Files that were answered are removed a moment after their last byte, those of the test before this one too.
    end = time.monotonic() + 20
    while served.files() != before and time.monotonic() < end:
        time.sleep(0.05)
    after = served.files()
    assert after == {path: facts for path, facts in before.items() if path in after or "temporary" not in str(path)}
