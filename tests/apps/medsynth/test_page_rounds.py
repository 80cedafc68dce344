"""The page's rounds in a real browser: a case to work on, training started and stopped, an earlier model again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.apps.medsynth.chromium import all_of, chromium, errors, keep, wait

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def served_rounds(start_server: Any, build: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Three cases, of which one is labelled."""
    served = start_server(tmp_path_factory.mktemp("page_rounds"))
    for number in (1, 2, 3):
        build.case(served.studies, f"case_{number}", build.head(seed=number), with_label=number == 3)
    with served.process:
        yield served
        served.request("DELETE", "/train/")


@pytest.fixture
def browser(served_rounds: Any) -> Iterator[Any]:
    with chromium(f"{served_rounds.url}/medsynth/") as driver:
        wait(driver, lambda b: all_of(b, "[data-tab=rounds]")[0].is_displayed())
        all_of(driver, "[data-tab=rounds]")[0].click()
        yield driver


def test_the_next_case_is_leased_to_me_and_opened(browser: Any, served_rounds: Any) -> None:
    name = all_of(browser, "#next-name")[0]
    name.send_keys("Kim")
    all_of(browser, "#next-go")[0].click()
    wait(browser, lambda b: all_of(b, "#case-name")[0].text in ("case_1", "case_2"))
    mine = all_of(browser, "#case-name")[0].text
    all_of(browser, "[data-tab=rounds]")[0].click()
    held = wait(browser, lambda b: [r.text for r in all_of(b, "#leases li") if "Kim" in r.text])
    assert held[0].startswith(mine)
    leases = served_rounds.get("/medsynth/api/rounds").json()["leases"]
    assert [(lease["case"], lease["annotator"]) for lease in leases] == [(mine, "Kim")]
    assert errors(browser) == []


def test_a_training_is_started_watched_and_stopped(browser: Any, served_rounds: Any) -> None:
    epochs = all_of(browser, "#epochs")[0]
    assert epochs.get_attribute("value") == "50"
    epochs.clear()
    epochs.send_keys("10000")
    assert not all_of(browser, "#train-stop")[0].is_enabled()
    all_of(browser, "#train-go")[0].click()
    wait(browser, lambda b: all_of(b, "#train-bar")[0].is_displayed())
    assert served_rounds.get("/train/?check_if_running=true").json()["request"]["max_epochs"] == 10000
    wait(browser, lambda b: "/ 10000" in all_of(b, "#train-facts")[0].text)
    assert "Time left" in all_of(browser, "#train-facts")[0].text
    assert not all_of(browser, "#train-go")[0].is_enabled()
    keep(browser, "page_rounds_training")
    all_of(browser, "#train-stop")[0].click()
    wait(browser, lambda b: all_of(b, "#train-go")[0].is_enabled())
    assert not all_of(browser, "#train-bar")[0].is_displayed()
    assert "stopped" in all_of(browser, "#train-facts")[0].text
    assert served_rounds.get("/train/?check_if_running=true").status_code == 404
    assert errors(browser) == []


def test_an_earlier_model_is_served_again(browser: Any, served_rounds: Any) -> None:
    weights = served_rounds.model_folder / "brain_tumor_segmentation.safetensors"
    before = served_rounds.get("/medsynth/api/rounds").json()["model"]
    other = weights.parent.parent / "other.safetensors"
    from safetensors import safe_open

    with safe_open(weights, "numpy") as file:
        notes = file.metadata()
    arrays = {key: np.asarray(value * 0.5, value.dtype) for key, value in load_file(weights).items()}
    save_file(arrays, other, notes)
    with other.open("rb") as file:
        files = {"file": ("w.safetensors", file)}
        answer = served_rounds.request("PUT", "/model/brain_tumor_segmentation", files=files)
    assert answer.status_code == 200, answer.text
    assert served_rounds.get("/medsynth/api/rounds").json()["model"] != before
    browser.refresh()
    wait(browser, lambda b: all_of(b, "[data-tab=rounds]")[0].is_displayed())
    all_of(browser, "[data-tab=rounds]")[0].click()

    def serve_again(driver: Any) -> bool:
        """The table may be drawn anew meanwhile: then the row is looked for again."""
        row = [row for row in all_of(driver, "#models-table tbody tr") if before[:8] in row.text][:1]
        if not row or "served" in row[0].text:
            return False
        row[0].find_element("css selector", "button").click()
        return True

    wait(browser, serve_again)
    keep(browser, "page_rounds_models")
    wait(browser, lambda b: before in all_of(b, "#models-said")[0].text)
    assert served_rounds.get("/medsynth/api/rounds").json()["model"] == before
    tablet = {"width": 820, "height": 1180, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", tablet)
    width, scrolled = browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    assert scrolled <= width, "cut off on a tablet"
    keep(browser, "page_rounds_820")
    assert errors(browser) == []
