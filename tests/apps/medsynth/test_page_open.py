"""Opening a study on the page, in a real browser: files, a DICOM folder, drag and drop, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsynth_app.imaging.dicom.study_writing import write_study
from medsynth_app.imaging.studies.cases import CaseFiles
from tests.apps.medsynth.chromium import all_of, chromium, errors, keep, pixels, wait

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium"),
    pytest.mark.timeout(900),
]

DROP = """
const done = arguments[arguments.length - 1];
fetch(arguments[0]).then((answer) => answer.blob()).then((blob) => {
  const data = new DataTransfer();
  for (const name of arguments[1]) data.items.add(new File([blob], name));
  document.dispatchEvent(new DragEvent("dragover", { dataTransfer: data, bubbles: true, cancelable: true }));
  const seen = getComputedStyle(document.getElementById("drop-here")).display;
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  done(seen);
});
"""


@pytest.fixture(scope="module")
def empty(start_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server without a case."""
    served = start_server(tmp_path_factory.mktemp("open"))
    with served.process:
        yield served


@pytest.fixture
def browser(empty: Any) -> Iterator[Any]:
    with chromium(f"{empty.url}/medsynth/") as driver:
        wait(driver, lambda b: all_of(b, "#cases li"))
        yield driver


def ready(browser: Any) -> list[str]:
    """Files and roles of what the dialog is about to open."""
    wait(browser, lambda b: all_of(b, "#open-go")[0].is_enabled())
    names = [each.text for each in all_of(browser, "#open-cases li span")]
    roles = [each.get_attribute("value") for each in all_of(browser, "#open-cases li select")]
    return [f"{name} {role}" for name, role in zip(names, roles)]


def opened(browser: Any, name: str) -> None:
    wait(browser, lambda b: all_of(b, "#case-name")[0].text == name)
    wait(browser, lambda b: not all_of(b, "#progress")[0].is_displayed())
    wait(browser, lambda b: int((pixels(all_of(b, "#canvas")[0].screenshot_as_png).max(axis=-1) > 40).sum()) > 2000)


def test_the_empty_page_says_the_steps_and_files_become_a_case(
    browser: Any, empty: Any, build: Any, tmp_path: Path
) -> None:
    steps = [item.text for item in all_of(browser, "#welcome li")]
    assert len(steps) == 3
    assert all(steps)
    keep(browser, "page_empty")
    folder = build.case(tmp_path, "kim", build.head(seed=5), with_label=True)
    files = sorted(folder.glob("*.nii.gz"))
    all_of(browser, "#open-files")[0].send_keys("\n".join(map(str, files)))
    assert ready(browser) == [
        "kim_flair.nii.gz flair", "kim_seg.nii.gz label", "kim_t1.nii.gz t1", "kim_t1ce.nii.gz t1ce", "kim_t2.nii.gz t2"
    ]  # fmt: skip
    assert all_of(browser, "#open-cases input")[0].get_attribute("value") == "kim"
    keep(browser, "page_open_files")
    all_of(browser, "#open-go")[0].click()
    opened(browser, "kim")
    assert not all_of(browser, "#welcome")[0].is_displayed()
    assert not all_of(browser, "#open-dialog")[0].is_displayed()
    assert list(empty.get("/datastore/?output=all").json()["objects"]["kim"]["labels"]) == ["final"]
    assert "kim" in [each.get_attribute("title") for each in all_of(browser, "#cases button")]
    assert errors(browser) == []


def test_a_dicom_folder_becomes_a_case(browser: Any, empty: Any, build: Any, tmp_path: Path) -> None:
    folder = build.case(tmp_path / "x", "c", build.head(seed=6), leave_out=("t1",))
    sequences = {path.name[2:-7]: path for path in folder.glob("*.nii.gz")}
    write_study(CaseFiles("x", sequences), tmp_path / "Study_7")
    (tmp_path / "Study_7" / "readme.txt").write_text("no image")
    all_of(browser, "#open-folder")[0].send_keys(str(tmp_path / "Study_7"))
    assert ready(browser) == []
    assert "132 DICOM images" in all_of(browser, "#open-cases")[0].text
    assert "other files, not sent: 1" in all_of(browser, "#open-said")[0].text
    all_of(browser, "#open-go")[0].click()
    opened(browser, "Study_7")
    assert "missing T1" in all_of(browser, "#status")[0].text
    got = empty.get("/datastore/image", params={"image": "Study_7", "modality": "t2"})
    assert got.status_code == 200


def test_dropped_files_are_sorted_and_what_is_refused_is_said(browser: Any, empty: Any, build: Any) -> None:
    if not (empty.studies / "host").exists():
        build.case(empty.studies, "host", build.head(seed=8))
    names = ["host_flair.nii.gz", "lee_T2_FLAIR.nii.gz", "lee_T1_post.nii.gz", "notes.txt"]
    address = "/datastore/image?image=host"
    assert browser.execute_async_script(DROP, address, names) == "flex"
    assert ready(browser) == [
        "host_flair.nii.gz flair", "lee_T2_FLAIR.nii.gz flair", "lee_T1_post.nii.gz t1ce"
    ]  # fmt: skip
    assert [field.get_attribute("value") for field in all_of(browser, "#open-cases input")] == ["host", "lee"]
    all_of(browser, "#open-go")[0].click()
    rows = wait(browser, lambda b: (found := all_of(b, "#open-result li")) and len(found) == 2 and found)
    assert "exists already" in rows[0].text
    assert "error" in rows[0].get_attribute("class")
    assert rows[1].text.startswith("lee ")
    keep(browser, "page_open_refused")
    # renamed, it goes
    field = all_of(browser, "#open-cases input")[0]
    field.clear()
    field.send_keys("host again")
    all_of(browser, "#open-go")[0].click()
    opened(browser, "host_x20_again")
    assert np.array_equal(
        *(np.frombuffer(empty.get(f"/datastore/image?image={name}&modality=flair").content, np.uint8)
          for name in ("host", "host_x20_again"))
    )  # fmt: skip
    assert [line for line in errors(browser) if "409" not in line] == []


def test_nothing_that_can_be_opened_is_said_so(browser: Any) -> None:
    browser.execute_async_script(DROP, "/medsynth/", ["letter.docx"])
    wait(browser, lambda b: "DICOM" in all_of(b, "#open-said")[0].text)
    assert not all_of(browser, "#open-go")[0].is_enabled()
