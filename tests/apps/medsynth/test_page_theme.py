"""Dark and light: as the system says, or as the user chose, kept for the next visit."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.apps.medsynth.chromium import all_of, chromium, errors, keep, pixels, wait

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def served_theme(start_server: Any, build: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    served = start_server(tmp_path_factory.mktemp("page_theme"))
    build.case(served.studies, "case_1", build.head(seed=1), with_label=True)
    with served.process:
        yield served


def system_says(browser: Any, theme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": theme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def brightness(browser: Any) -> float:
    """Mean of the header's pixels, 0 to 255."""
    return float(pixels(all_of(browser, "header")[0].screenshot_as_png).mean())


def test_the_page_is_dark_or_light(served_theme: Any) -> None:
    from selenium.webdriver.support.ui import Select

    with chromium(f"{served_theme.url}/medsynth/") as browser:
        wait(browser, lambda b: all_of(b, "#cases button"))
        system_says(browser, "dark")
        wait(browser, lambda b: brightness(b) < 80)
        system_says(browser, "light")
        wait(browser, lambda b: brightness(b) > 200)
        all_of(browser, "#cases button")[0].click()
        wait(browser, lambda b: all_of(b, "#case-name")[0].text == "case_1")
        wait(browser, lambda b: not all_of(b, "#progress")[0].is_displayed())
        all_of(browser, "#segment")[0].click()
        wait(browser, lambda b: all_of(b, "#volumes dd"))
        keep(browser, "page_light_cases")
        wait(browser, lambda b: all_of(b, "[data-tab=rounds]")[0].is_displayed())
        all_of(browser, "[data-tab=rounds]")[0].click()
        keep(browser, "page_light_rounds")
        Select(all_of(browser, "#theme")[0]).select_by_value("dark")
        wait(browser, lambda b: brightness(b) < 80)
        browser.refresh()
        wait(browser, lambda b: all_of(b, "#cases button"))
        assert brightness(browser) < 80, "kept"
        assert all_of(browser, "#theme")[0].get_attribute("value") == "dark"
        assert errors(browser) == []
