"""What arrives late for one case is never shown under the name of another."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.apps.medsynth.chromium import all_of, wait
from tests.apps.medsynth.test_page import browser, drawn_pixels  # noqa: F401

SLOW_PICTURES = """
const real = window.fetch;
window.slow = null; window.broken = null; window.arrived = 0;
window.fetch = async (path, options) => {
  const text = String(path);
  if (window.broken && text.includes("/datastore/image") && text.includes(window.broken))
    return new Response(JSON.stringify({ detail: "gone" }), { status: 404 });
  const answer = await real(path, options);
  if (window.slow && text.includes(window.slow)) {
    const wake = new Promise((done) => setTimeout(done, 4000));
    await wake;
    window.arrived += 1;
  }
  return answer;
};
"""


@pytest.fixture(scope="module")
def served_sample(start_server: Any, build: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Small cases: what is tested is who comes first."""
    served = start_server(tmp_path_factory.mktemp("cases_apart"))
    for number in (1, 2):
        build.case(served.studies, f"MedSynth_00{number}", build.head(seed=number))
    with served.process:
        yield served


def open_case(browser: Any, name: str) -> None:  # noqa: F811
    wait(browser, lambda b: all_of(b, f"#cases button[title={name}]"))[0].click()


def idle(browser: Any) -> None:  # noqa: F811
    time.sleep(0.3)
    wait(browser, lambda b: not all_of(b, "#progress")[0].is_displayed())
    time.sleep(1)


def picture(browser: Any) -> bytes:  # noqa: F811
    return bytes(all_of(browser, "#canvas")[0].screenshot_as_png)


pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium"), pytest.mark.timeout(300)]


def test_a_late_picture_is_not_shown_under_another_name(browser: Any) -> None:  # noqa: F811
    open_case(browser, "MedSynth_002")
    idle(browser)
    expected = picture(browser)
    browser.execute_script(SLOW_PICTURES + 'window.slow = "image=MedSynth_001";')
    open_case(browser, "MedSynth_001")
    open_case(browser, "MedSynth_002")
    wait(browser, lambda b: b.execute_script("return window.arrived") == 1)
    time.sleep(2)
    assert all_of(browser, "#case-name")[0].text == "MedSynth_002"
    assert picture(browser) == expected


def test_no_picture_stays_where_the_next_case_cannot_be_read(browser: Any) -> None:  # noqa: F811
    open_case(browser, "MedSynth_002")
    idle(browser)
    assert drawn_pixels(browser)[0] > 2000
    browser.execute_script(SLOW_PICTURES + 'window.broken = "MedSynth_001";')
    open_case(browser, "MedSynth_001")
    wait(browser, lambda b: "error" in all_of(b, "#status")[0].get_attribute("class"))
    time.sleep(1)
    assert drawn_pixels(browser)[0] < 2000


def test_a_late_mask_is_not_laid_over_another_case(browser: Any) -> None:  # noqa: F811
    open_case(browser, "MedSynth_001")
    idle(browser)
    before = drawn_pixels(browser)[1]
    open_case(browser, "MedSynth_002")
    idle(browser)
    browser.execute_script(SLOW_PICTURES + 'window.slow = "/infer/";')
    all_of(browser, "#segment")[0].click()
    time.sleep(0.5)
    open_case(browser, "MedSynth_001")
    wait(browser, lambda b: b.execute_script("return window.arrived") == 1)
    time.sleep(4)
    assert all_of(browser, "#case-name")[0].text == "MedSynth_001"
    assert drawn_pixels(browser)[1] <= before + 100

    # The mask of this very case would have been seen.
    all_of(browser, "#segment")[0].click()
    wait(browser, lambda b: drawn_pixels(b)[1] > before + 100)
