"""The pen of the page: strokes change the mask, can be undone, and are kept as a version with who and when."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.apps.medsynth.chromium import all_of, errors, keep, pixels, wait
from tests.apps.medsynth.test_page import browser  # noqa: F401

CASE = "MedSynth_001"
pytestmark = [
    pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium"), pytest.mark.timeout(300),
]  # fmt: skip


@pytest.fixture(scope="module")
def served_sample(start_server: Any, build: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A small labelled case."""
    served = start_server(tmp_path_factory.mktemp("pen"))
    build.case(served.studies, CASE, build.head(seed=1), with_label=True)
    with served.process:
        yield served


def the(browser: Any, identifier: str) -> Any:  # noqa: F811
    return browser.find_element("id", identifier)


def idle(browser: Any) -> None:  # noqa: F811
    wait(browser, lambda b: not the(b, "progress").is_displayed())


def open_with_label(browser: Any) -> None:  # noqa: F811
    """The case in the axial view, its label shown, pen in hand."""
    from selenium.webdriver.support.ui import Select

    wait(browser, lambda b: all_of(b, f"#cases button[title={CASE}]"))[0].click()
    wait(browser, lambda b: the(b, "pen-toggle").is_enabled())
    idle(browser)
    Select(the(browser, "view")).select_by_value("axial")
    wait(browser, lambda b: the(b, "versions").is_enabled())
    labels = Select(the(browser, "versions"))
    labels.select_by_index(len(labels.options) - 1)
    wait(browser, lambda b: all_of(b, "#volumes dd"))
    idle(browser)
    the(browser, "canvas").click()
    press(browser, "e")
    wait(browser, lambda b: the(b, "pen-tools").is_displayed())


def press(browser: Any, *keys: str) -> None:  # noqa: F811
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def drag(browser: Any, across: int = 60) -> None:  # noqa: F811
    """A stroke from the middle of the picture to the right."""
    from selenium.webdriver import ActionChains

    chain = ActionChains(browser, duration=20)
    chain = chain.move_to_element_with_offset(the(browser, "canvas"), -across, 0).click_and_hold()
    for _ in range(6):
        chain = chain.move_by_offset(across // 3, 0)
    chain.release().perform()


def volumes(browser: Any) -> list[float]:  # noqa: F811
    return [float(each.text.split()[0]) for each in all_of(browser, "#volumes dd")]


def seen(browser: Any) -> np.ndarray:  # noqa: F811
    return pixels(the(browser, "canvas").screenshot_as_png)


def saved_label(served: Any) -> np.ndarray:
    content = served.get("/datastore/label", params={"label": CASE}).content
    return np.asanyarray(nib.Nifti1Image.from_bytes(_unpacked(content)).dataobj)


def _unpacked(content: bytes) -> bytes:
    import gzip

    return gzip.GzipFile(fileobj=io.BytesIO(content)).read()


def test_stroke_correct_compare_undo_save(browser: Any, served_sample: Any, build: Any) -> None:  # noqa: F811
    open_with_label(browser)
    before, began = seen(browser), volumes(browser)
    press(browser, "2")
    assert all_of(browser, "[data-pen='2']")[0].get_attribute("aria-pressed") == "true"
    drag(browser)
    wait(browser, lambda b: the(b, "correct").is_enabled())
    assert not the(browser, "save").is_enabled(), "strokes that nobody applied would be lost"
    keep(browser, "page_pen_stroke")
    press(browser, "c")
    wait(browser, lambda b: "voxels changed" in the(b, "status").text)
    idle(browser)
    after = seen(browser)
    assert np.abs(after - before).max(axis=-1).sum() > 0
    changed = volumes(browser)
    assert changed != began
    keep(browser, "page_pen_corrected")

    press(browser, "x")
    wait(browser, lambda b: the(b, "before").get_attribute("aria-pressed") == "true")
    wait(browser, lambda b: not np.array_equal(seen(b), after))
    press(browser, "x")
    wait(browser, lambda b: np.array_equal(seen(b), after))

    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    ActionChains(browser).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
    wait(browser, lambda b: volumes(b) == began)

    drag(browser)
    wait(browser, lambda b: the(b, "correct").is_enabled())
    press(browser, "c")
    wait(browser, lambda b: volumes(b) == changed)
    the(browser, "annotator").send_keys("Kim")
    the(browser, "save").click()
    wait(browser, lambda b: "version 1" in the(b, "status").text.lower())
    assert any("Version 1 · Kim" in each.text for each in all_of(browser, "#versions option"))
    versions = served_sample.get("/datastore/label/versions", params={"label": CASE}).json()
    assert [(each["version"], each["author"]) for each in versions] == [(1, "Kim")]
    head = build.head(seed=1)
    kept = saved_label(served_sample)
    assert kept.shape == head.labels.shape
    differing = kept != head.labels
    assert 0 < differing.sum() < 0.5 * head.labels.size
    assert (kept[differing] == 2).any()
    info = served_sample.get("/datastore/label/info", params={"label": CASE, "tag": "final"}).json()
    assert [each["action"] for each in info["corrections"]] == ["correct", "undo", "correct"]
    assert errors(browser) == []


def test_what_is_painted_is_exactly_what_was_drawn(browser: Any, served_sample: Any, tmp_path: Path) -> None:  # noqa: F811
    open_with_label(browser)
    start = volumes(browser)
    press(browser, "0")
    from selenium.webdriver.common.keys import Keys

    the(browser, "canvas").click()
    press(browser, Keys.ARROW_RIGHT, " ")
    wait(browser, lambda b: the(b, "paint").is_enabled())
    press(browser, "p")
    wait(browser, lambda b: "painted" in the(b, "status").text)
    assert sum(volumes(browser)) <= sum(start)
    assert errors(browser) == []
