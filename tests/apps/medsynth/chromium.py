"""A headless Chromium for tests of what people see in a browser."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
WAIT_SECONDS = 240
DESKTOP = (1280, 860)
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-unsafe-swiftshader", "--use-angle=swiftshader",
)  # fmt: skip
PICTURES = os.environ.get("MEDSYNTH_PICTURES", "")
"""Where the browser's pictures are kept; nowhere by default."""


@contextmanager
def chromium(url: str, size: tuple[int, int] = DESKTOP) -> Iterator[Any]:
    """A browser with a fresh profile at an address; skips the test where there is none.

    Args:
        url: what it opens.
        size: width and height of its window in pixels.
    """
    webdriver = pytest.importorskip("selenium.webdriver")
    if not BROWSER or not DRIVER:
        pytest.skip("needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for flag in (*FLAGS, f"--window-size={size[0]},{size[1]}", f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            driver.get(url)
            yield driver
        except BaseException:
            keep(driver, "failed")
            raise
        finally:
            driver.quit()


def keep(browser: Any, name: str) -> None:
    """Keep a picture of the window, where pictures are wanted."""
    if PICTURES:
        browser.save_screenshot(str(Path(PICTURES) / f"{name}.png"))


def wait(browser: Any, condition: Callable[[Any], Any], seconds: float = WAIT_SECONDS) -> Any:
    """What the condition answers once it is true; an element that is drawn anew meanwhile is looked for again."""
    from selenium.common import exceptions
    from selenium.webdriver.support.ui import WebDriverWait

    passing = (
        exceptions.NoSuchElementException, exceptions.StaleElementReferenceException,
        exceptions.ElementNotInteractableException, exceptions.ElementClickInterceptedException,
    )  # fmt: skip
    return WebDriverWait(browser, seconds, ignored_exceptions=passing).until(condition)


def all_of(browser: Any, selector: str) -> list[Any]:
    """Elements by CSS selector."""
    return browser.find_elements("css selector", selector)


def pixels(picture: bytes) -> np.ndarray:
    """A PNG as (height, width, 3) int, red green blue 0..255."""
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def errors(browser: Any) -> list[str]:
    """What went wrong in the page since the last look."""
    return [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]
