"""The review queue of the page: next, compare, send back, accept, all by keyboard."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.apps.medsynth.chromium import all_of, errors, keep, pixels, wait
from tests.apps.medsynth.test_page import browser  # noqa: F401
from tests.apps.medsynth.test_page_pen import idle, press, the

FIRST, SECOND = "MedSynth_001", "MedSynth_002"
pytestmark = [
    pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium"), pytest.mark.timeout(300),
]  # fmt: skip


@pytest.fixture(scope="module")
def served_sample(start_server: Any, build: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two cases with submitted labels, two versions of the first."""
    folder: Path = tmp_path_factory.mktemp("review")
    served = start_server(folder)
    heads = {name: build.head(seed=seed) for seed, name in enumerate((FIRST, SECOND), start=1)}
    for name, head in heads.items():
        build.case(served.studies, name, head)
    with served.process:
        for name, author, cut in ((FIRST, "kim", 0), (FIRST, "lee", 30), (SECOND, "kim", 0)):
            labels = heads[name].labels.copy()
            labels[:cut] = 0
            path = build.nifti(folder / "label.nii.gz", labels, heads[name].affine)
            assert served.put_label(name, path, {"client_id": author}).status_code == 200
        yield served


def state(served: Any) -> list[tuple[str, str]]:
    return [(row["case"], row["status"]) for row in served.get("/medsynth/api/reviews").json()["reviews"]]


def test_the_queue_by_keyboard(browser: Any, served_sample: Any) -> None:  # noqa: F811
    from selenium.webdriver.common.keys import Keys

    wait(browser, lambda b: all_of(b, "[data-tab=review]")[0].is_displayed())
    all_of(browser, "[data-tab=review]")[0].send_keys(Keys.ENTER)
    wait(browser, lambda b: the(b, "review-title").text == FIRST and all_of(b, "#compare-table tbody tr"))
    idle(browser)
    assert [each.get_attribute("title") for each in all_of(browser, "#review-list button")] == [FIRST, SECOND]
    assert "Version 2 · lee" in the(browser, "review-facts").text
    assert not all_of(browser, "#cases button")[0].is_displayed(), "the queue takes the place of the cases"
    table = the(browser, "compare-table").text
    assert "Whole tumour" in table
    assert "voxels changed" in table

    second = pixels(the(browser, "canvas").screenshot_as_png)
    press(browser, "3")
    wait(browser, lambda b: "only in the first" in the(b, "volumes").text)
    idle(browser)
    assert not np.array_equal(pixels(the(browser, "canvas").screenshot_as_png), second)
    keep(browser, "page_review")

    press(browser, "n")
    wait(browser, lambda b: the(b, "review-title").text == SECOND and the(b, "review-open").is_displayed())
    assert not the(browser, "compare").is_displayed(), "there is one version alone"
    press(browser, "p")
    wait(browser, lambda b: the(b, "review-title").text == FIRST and all_of(b, "#compare-table tbody tr"))
    idle(browser)

    press(browser, "r")
    assert browser.switch_to.active_element.get_attribute("id") == "review-note"
    press(browser, "half of the oedema is missing", Keys.TAB, Keys.TAB, Keys.ENTER)
    wait(browser, lambda b: the(b, "review-title").text == SECOND and the(b, "review-open").is_displayed())
    idle(browser)
    assert (FIRST, "sent_back") in state(served_sample)
    assert [each.get_attribute("title") for each in all_of(browser, "#review-list button")] == [SECOND]

    the(browser, "canvas").click()
    press(browser, "a")
    wait(browser, lambda b: (SECOND, "accepted") in state(served_sample))
    wait(browser, lambda b: "accepted" in the(b, "review-facts").text)
    assert "Nothing here" in the(browser, "review-list").text

    from selenium.webdriver.support.ui import Select

    Select(the(browser, "review-status")).select_by_value("all")
    wait(browser, lambda b: len(all_of(b, "#review-list button")) == 2)
    all_of(browser, f"#review-list button[title={FIRST}]")[0].click()
    wait(browser, lambda b: "half of the oedema is missing" in the(b, "review-history").text)
    keep(browser, "page_review_decided")
    assert errors(browser) == []


def test_a_version_that_came_meanwhile_is_not_decided_upon_unseen(
    browser: Any, served_sample: Any, build: Any, tmp_path: Path  # noqa: F811
) -> None:
    head = build.head(seed=1)
    path = build.nifti(tmp_path / "label.nii.gz", head.labels, head.affine)
    served_sample.put_label(FIRST, path, {"client_id": "kim"})
    wait(browser, lambda b: all_of(b, "[data-tab=review]")[0].is_displayed())
    all_of(browser, "[data-tab=review]")[0].click()
    wait(browser, lambda b: the(b, "review-title").text == FIRST and the(b, "review-open").is_displayed())
    idle(browser)
    served_sample.put_label(FIRST, path, {"client_id": "lee"})
    the(browser, "review-accept").click()
    wait(browser, lambda b: "is not the newest" in the(b, "status").text)
    assert (FIRST, "waiting") in state(served_sample)
