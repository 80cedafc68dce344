"""The page: its files and headers, and its whole path in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WEB = Path(__file__).resolve().parents[3] / "medsynth_app" / "web"
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
WAIT_SECONDS = 240
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-unsafe-swiftshader", "--use-angle=swiftshader", "--window-size=1280,860",
)  # fmt: skip
PICTURES = os.environ.get("MEDSYNTH_PICTURES", "")
"""Where the browser's pictures are kept; nowhere by default."""


def test_the_page_allows_nothing_from_elsewhere(served: Any) -> None:
    answer = served.get("/medsynth/")
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")
    assert served.get("/medsynth", allow_redirects=False).headers["location"] == "/medsynth/"


def test_every_part_the_page_names_is_served(served: Any) -> None:
    named = set(re.findall(r'(?:src|href)="(/medsynth/[^"]+)"', served.get("/medsynth/").text))
    for script in WEB.glob("*.js"):
        named |= {f"/medsynth/page/{name}" for name in re.findall(r'from "\./([^"]+)"', script.read_text())}
    assert "/medsynth/page/niivue.js" in named
    for path in named:
        answer = served.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].startswith(("text/css", "text/javascript")), path


@pytest.mark.parametrize("name", ["index.html", "page.py", "__init__.py", "..%2findex.html", "%2e%2e%2f__init__.py"])
def test_no_other_file_is_served(served: Any, name: str) -> None:
    answer = served.get(f"/medsynth/page/{name}")
    assert answer.status_code in (400, 404)
    assert set(answer.json()) == {"detail", "code"}


def test_no_file_of_the_page_names_another_host() -> None:
    for path in (*WEB.glob("*.js"), *WEB.glob("*.html"), *WEB.glob("*.css")):
        hosts = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text(encoding="utf-8")))
        assert hosts <= {"http://www.w3.org/2000/svg"}, path.name


def test_every_word_is_there_in_both_languages() -> None:
    words = (WEB / "words.js").read_text(encoding="utf-8")
    pairs = dict(re.findall(r'(\w+): \["[^"]+",\s*"([^"]+)"\]', words))
    text = "".join(path.read_text(encoding="utf-8") for path in (*WEB.glob("*.js"), *WEB.glob("*.html")))
    used = set(re.findall(r'\bword\("(\w+)"', text)) | set(re.findall(r'data-(?:word|placeholder)="(\w+)"', text))
    assert used - set(pairs) == set()
    assert re.search("[가-힣]", pairs["segment"])


@pytest.fixture(scope="module")
def served_sample(start_server: Any, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server with the shipped weights on one sample case."""
    served = start_server(tmp_path_factory.mktemp("page"))
    (served.model_folder / "brain_tumor_segmentation.safetensors").unlink()
    shutil.copytree(repository / "sample-data" / "studies" / "MedSynth_002", served.studies / "MedSynth_002")
    with served.process:
        yield served


@pytest.fixture
def browser(served_sample: Any) -> Iterator[Any]:
    """Headless Chromium on the page."""
    webdriver = pytest.importorskip("selenium.webdriver")
    if not BROWSER or not DRIVER:
        pytest.skip("needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            driver.get(f"{served_sample.url}/medsynth/")
            yield driver
        finally:
            driver.quit()


def keep(browser: Any, name: str) -> None:
    if PICTURES:
        browser.save_screenshot(str(Path(PICTURES) / f"{name}.png"))


def wait(browser: Any, condition: Any) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, WAIT_SECONDS).until(condition)


def all_of(browser: Any, selector: str) -> list[Any]:
    return browser.find_elements("css selector", selector)


@pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium")
@pytest.mark.timeout(900)
def test_open_segment_intake_cross_check_decide(browser: Any) -> None:
    wait(browser, lambda b: all_of(b, "#cases button"))[0].click()
    wait(browser, lambda b: not all_of(b, "#segment")[0].get_attribute("disabled"))
    wait(browser, lambda b: all_of(b, "#progress")[0].get_attribute("hidden") is not None)
    bright = drawn_pixels(browser)
    assert bright[0] > 2000, "the sequence is not seen"
    all_of(browser, "#segment")[0].click()
    wait(browser, lambda b: all_of(b, "#volumes dd"))
    assert len(all_of(browser, "#volumes dd")) == 3
    assert drawn_pixels(browser)[1] > bright[1] + 300, "the mask is not seen"
    keep(browser, "page_segmentation")

    phrase = all_of(browser, "#phrase")[0]
    phrase.send_keys("left arm is weak")
    wait(browser, lambda b: all_of(b, "#candidates button"))[0].click()
    assert all_of(browser, "#reported select")[1].get_attribute("value") == "left"
    all_of(browser, "#check")[0].click()
    verdict = wait(browser, lambda b: all_of(b, "#verdict"))[0]
    assert verdict.get_attribute("class").split()[1] in {
        "concordant", "partly_supported", "discordant", "indeterminate", "not_assessable",
    }  # fmt: skip
    assert all_of(browser, "#result tbody tr")
    assert all_of(browser, "#hospitals li")
    keep(browser, "page_cross_check")

    all_of(browser, "#decider")[0].send_keys("Dr. Kim")
    all_of(browser, "#reason")[0].send_keys("seen on FLAIR")
    all_of(browser, "#accept")[0].click()
    wait(browser, lambda b: "Accept" in all_of(b, "#decided")[0].text)
    errors = [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert errors == []


@pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium")
@pytest.mark.timeout(900)
def test_generators_and_korean(browser: Any) -> None:
    from selenium.webdriver.support.ui import Select

    wait(browser, lambda b: all_of(b, "[data-tab=generators]")[0].is_displayed())
    Select(all_of(browser, "#language")[0]).select_by_value("ko")
    tab = all_of(browser, "[data-tab=generators]")[0]
    assert tab.text == "합성"
    tab.click()
    rows = Select(all_of(browser, "#row")[0])
    wanted = next(o for o in rows.options if o.text.startswith("volume_synthesis") and "phantom" in o.text)
    rows.select_by_visible_text(wanted.text)
    all_of(browser, "#conditions button")[0].click()
    wait(browser, lambda b: all_of(b, "#picture")[0].get_attribute("src"))
    assert "volume_synthesis" in all_of(browser, "#made")[0].text
    keep(browser, "page_synthesis")


def drawn_pixels(browser: Any) -> tuple[int, int]:
    """Pixels of the viewer that are not black, and those that are coloured."""
    import io

    import numpy as np
    from PIL import Image

    shot = Image.open(io.BytesIO(all_of(browser, "#canvas")[0].screenshot_as_png)).convert("RGB")
    array = np.asarray(shot).astype(int)
    spread = array.max(axis=-1) - array.min(axis=-1)
    red_lines = (array[..., 0] > 200) & (array[..., 1] < 60)
    return int((array.max(axis=-1) > 40).sum()), int(((spread > 25) & ~red_lines).sum())
