"""OHIF as people use it: a real browser, a real Orthanc, from the list of studies to the mask over the image."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from medsynth_app.imaging.dicom.study_writing import write_study
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder
from tests.apps.medsynth.chromium import all_of, chromium, keep, pixels, wait
from tests.apps.medsynth.orthanc import running_orthanc

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium and Orthanc"),
              pytest.mark.timeout(900)]  # fmt: skip

WINDOW = (1280, 860)
MODEL = "brain_tumor_segmentation"
AS_OHIF_ASKS = {"result_extension": ".nrrd", "result_compress": False}
COLOURED, SEEN = 30, 40
"""Spread of a pixel's red, green and blue above which it has a colour; brightness above which it is not the ground."""
DRAWN = "return [...document.querySelectorAll('canvas.cornerstone-canvas')].map((c) => c.toDataURL('image/png'))"


@dataclass(frozen=True)
class Reading:
    """A server on an archive with one study of four series."""

    url: str
    case: CaseFiles
    flair: str

    def mask(self) -> np.ndarray:
        """What the server answers to OHIF's own request, (columns, rows, slices)."""
        answer = requests.post(
            f"{self.url}/infer/{MODEL}", params={"image": self.flair, "output": "image"},
            data={"params": json.dumps(AS_OHIF_ASKS)}, timeout=300,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text[:300]
        header, body = answer.content.split(b"\n\n", 1)
        sizes = next(line for line in header.decode().splitlines() if line.startswith("sizes: "))
        return np.frombuffer(body, np.uint8).reshape([int(n) for n in sizes.split()[1:]], order="F")


@pytest.fixture(scope="module")
def reading(start_server: Any, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    root = tmp_path_factory.mktemp("ohif")
    case = case_in_folder(repository / "sample-data" / "studies" / os.environ.get("MEDSYNTH_OHIF_CASE", "MedSynth_002"))
    assert case is not None
    with running_orthanc(root) as archive:
        study = write_study(case, root / "study", synthetic=True)
        archive.send(root / "study")
        server = start_server(root / "server")
        (server.model_folder / f"{MODEL}.safetensors").unlink()  # the shipped weights find the tumour
        server.process.studies = archive.url
        with server.process:
            yield Reading(server.url, case, study.series_uids["flair"])


def press(browser: Any, place: str) -> None:
    """Click once it is there and can be clicked."""
    wait(browser, lambda b: b.find_element("xpath", place).click() is None)


def viewports(browser: Any) -> list[np.ndarray]:
    """What OHIF has drawn, without the letters it lays over it: axial, sagittal, coronal."""
    return [pixels(base64.b64decode(text.split(",")[1])) for text in browser.execute_script(DRAWN)]


def is_seen(picture: np.ndarray) -> np.ndarray:
    return picture.max(axis=-1) > SEEN


def has_colour(picture: np.ndarray) -> np.ndarray:
    return picture.max(axis=-1) - picture.min(axis=-1) > COLOURED


def place_within(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """Middle of what is true in ``inner`` as shares of the box around ``outer``: down, right."""
    corners = [(np.flatnonzero(outer.any(axis=1 - axis))[[0, -1]]) for axis in (0, 1)]
    middle = [np.nonzero(inner)[axis].mean() for axis in (0, 1)]
    return np.array([(m - first) / (last - first) for m, (first, last) in zip(middle, corners)])


def test_from_the_list_of_studies_to_the_mask(reading: Reading) -> None:
    with chromium(f"{reading.url}/ohif/", WINDOW) as browser:
        press(browser, "//button[normalize-space()='Confirm and Hide']")
        press(browser, f"//td//*[text()='{reading.case.name}']")
        press(browser, "//a[contains(@href, 'monai-label')]//button")

        wait(browser, lambda b: sum(int(is_seen(p).any()) for p in viewports(b)) == 3)
        address = wait(browser, lambda b: all_of(b, "#monailabelServerURL"))[0]
        browser.execute_script("arguments[0].select()", address)
        address.send_keys(f"{reading.url}/")
        assert sum(int(has_colour(picture).sum()) for picture in viewports(browser)) == 0
        all_of(browser, "button.actionButton")[0].click()

        press(browser, "//button[normalize-space()='Run']")
        wait(browser, lambda b: has_colour(viewports(b)[0]).sum() > 300)
        wait(browser, lambda b: "Successful" not in b.find_element("tag name", "body").text)
        keep(browser, "ohif")
        axial = viewports(browser)[0]

    mask = reading.mask()
    flair = reading.case.read(["flair"]).array[0]
    assert mask.shape == flair.shape
    middle = mask.shape[2] // 2
    tumour, brain = (mask[:, :, middle] > 0).T, (flair[:, :, middle] > 0).T
    assert place_within(has_colour(axial), is_seen(axial)) == pytest.approx(place_within(tumour, brain), abs=0.04)
    share = has_colour(axial).sum() / (is_seen(axial) | has_colour(axial)).sum()
    assert share == pytest.approx(tumour.sum() / brain.sum(), rel=0.35)
    assert len({tuple(c) for c in np.round(axial[has_colour(axial)] / 64).astype(int)}) >= 2, "labels differ in colour"
