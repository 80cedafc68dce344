"""Every script in ``examples/`` does what it says, in Python and with curl, against a running server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
HELPERS = {"medsynth_server.py"}
OTHER_TESTS = {"prepare_images.py", "prepare_head_ct.py"}
"""Work on files, not on a server; tested where the readers of those files are."""
SAMPLE = "MedSynth_002"
pytestmark = [
    pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="needs bash and curl"),
    pytest.mark.timeout(900),
]  # fmt: skip


@dataclass(frozen=True)
class Example:
    """How a script is called and what it leaves.

    Attributes:
        words: its arguments; ``{out}`` is the file that it writes, ``{photograph}`` a picture to read.
        ending: of that file; empty where it writes none.
        said: a part of what both versions print.
        holds: whether the file is what it should be.
    """

    words: str
    ending: str = ""
    said: str = ""
    holds: Callable[[Path], bool] = lambda path: True


def is_mask(path: Path) -> bool:
    values = np.unique(np.asarray(nib.load(path).dataobj))  # type: ignore[attr-defined]
    return set(values.tolist()) <= {0, 1, 2, 3} and len(values) > 1


def is_volume(path: Path) -> bool:
    image: Any = nib.load(path)
    return image.ndim == 3 and b"synthetic" in image.header["descrip"].item().lower()


def is_marked_picture(path: Path) -> bool:
    return "synthetic" in str(Image.open(path).info).lower()


def is_pdf(path: Path) -> bool:
    return path.read_bytes()[:5] == b"%PDF-"


# trained before there are large cases to train on
TABLE = {
    "train_round": Example("1", "", "DONE"),
    "segment_case": Example("case_1 {out}", ".nii.gz", "enhancing_tumor", is_mask),
    "make_tumor_case": Example("7 {out}", ".nii.gz", "synthetic-7", is_mask),
    "make_volume": Example("7 mri_brain {out}", ".nii.gz", "", is_volume),
    "make_picture": Example("7 chest_xray pneumonia {out}", ".png", "", is_marked_picture),
    "make_skin_lesion": Example("7 melanoma {out}", ".png", "", is_marked_picture),
    "find_skin_lesion": Example("{photograph} {out}", ".png", "", is_marked_picture),
    "walk_skin_lesion": Example("{photograph} {out}", ".png", "", is_marked_picture),
    "cross_check": Example(f"{SAMPLE} {{out}}", ".pdf", "final", is_pdf),
    "find_hospitals": Example("BROCA 37.5 127.0", "", "km"),
    "annotate_round": Example("kim {out}", ".nii.gz", "kim", is_mask),
}


@pytest.fixture(scope="module")
def server(start_server: Any, build: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    served = start_server(tmp_path_factory.mktemp("examples"))
    for number in (1, 2, 3):
        build.case(served.studies, f"case_{number}", build.head(seed=number))
    for number in (4, 5):
        build.case(served.studies, f"case_{number}", build.head(seed=number), with_label=True)
    with served.process:
        yield served


@pytest.fixture
def full_size_case(server: Any, repository: Path) -> None:
    """Only for those who need it: before, training takes small cases alone."""
    if not (server.studies / SAMPLE).exists():
        shutil.copytree(repository / "sample-data" / "studies" / SAMPLE, server.studies / SAMPLE)


@pytest.fixture(scope="module")
def photograph(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = server.request(
        "POST", "/infer/skin_lesion_synthesis", params={"image": "_", "output": "image"},
        data={"params": '{"seed": 3, "lesion_class": "nevus"}'},
    )  # fmt: skip
    path = tmp_path_factory.mktemp("photograph") / "lesion.png"
    path.write_bytes(made.content)
    return path


def test_every_example_is_in_the_table_in_both_languages() -> None:
    python = {path.stem for path in EXAMPLES.glob("*.py") if path.name not in HELPERS | OTHER_TESTS}
    shell = {path.stem for path in EXAMPLES.glob("*.sh")}
    assert python == shell == set(TABLE)


@pytest.mark.parametrize("language", ["py", "sh"])
@pytest.mark.parametrize("name", TABLE)
def test_it_does_what_it_says(
    name: str, language: str, server: Any, photograph: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    example = TABLE[name]
    if SAMPLE in example.words:
        request.getfixturevalue("full_size_case")
    out = tmp_path / f"out{example.ending}"
    words = example.words.format(out=out, photograph=photograph).split()
    run = [sys.executable if language == "py" else "bash", str(EXAMPLES / f"{name}.{language}"), *words, server.url]
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    outcome = subprocess.run(run, capture_output=True, text=True, timeout=600, check=False, env=environment)
    assert outcome.returncode == 0, outcome.stdout[-500:] + outcome.stderr[-500:]
    assert example.said in outcome.stdout
    if example.ending:
        assert example.holds(out), name


@pytest.mark.parametrize("run", [[sys.executable, "segment_case.py"], ["bash", "segment_case.sh"]])
def test_a_refusal_is_told_and_is_no_success(run: list[str], server: Any, tmp_path: Path) -> None:
    command = [run[0], str(EXAMPLES / run[1]), "no_such_case", str(tmp_path / "mask.nii.gz"), server.url]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert outcome.returncode != 0
    assert "no_such_case" in outcome.stdout + outcome.stderr + (
        (tmp_path / "mask.nii.gz").read_text() if (tmp_path / "mask.nii.gz").exists() else ""
    )
