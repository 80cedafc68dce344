"""The page: its files and headers, and its whole path in a real browser."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.synthesis.catalogue import CATALOGUE
from tests.apps.medsynth.chromium import all_of, chromium, errors, keep, pixels, wait

SAMPLE = "MedSynth_002"
UNNAMED = """
const shown = (e) => e.offsetParent !== null;
const named = (e) => e.textContent.trim() || e.getAttribute("aria-label") || e.title || e.alt || e.labels?.length;
const controls = document.querySelectorAll("button, input, select, canvas, progress, a[href]");
return [...controls].filter((e) => shown(e) && !named(e)).map((e) => e.outerHTML);
"""
WEB = Path(__file__).resolve().parents[3] / "medsynth_app" / "web"


def browsed(test: Any) -> Any:
    """Marks a test that needs a browser."""
    linux = pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium")
    return linux(pytest.mark.timeout(900)(test))


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
        assert answer.headers["content-type"].startswith(("text/css", "text/javascript", "image/png")), path


@pytest.mark.parametrize("name", ["index.html", "page.py", "__init__.py", "..%2findex.html", "%2e%2e%2f__init__.py"])
def test_no_other_file_is_served(served: Any, name: str) -> None:
    answer = served.get(f"/medsynth/page/{name}")
    assert answer.status_code in (400, 404)
    assert set(answer.json()) == {"detail", "code"}


def test_a_case_in_small(served: Any) -> None:
    answer = served.get("/medsynth/api/cases/case_1/thumbnail")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content[:4] == b"\x89PNG"
    assert "private" in answer.headers["Cache-Control"], "no proxy keeps pictures of patients"
    kept = served.studies / ".medsynth" / "thumbnails" / "case_1.png"
    made = kept.stat().st_mtime_ns
    assert served.get("/medsynth/api/cases/case_1/thumbnail").content == answer.content
    assert kept.stat().st_mtime_ns == made, "made once"


@pytest.mark.parametrize("name", ["no_such_case", ".ssh", "-x", "..%2f..%2fetc%2fpasswd", "a%00b", "%2e%2e", "a" * 200])
def test_no_thumbnail_of_anything_else(served: Any, name: str) -> None:
    answer = served.get(f"/medsynth/api/cases/{name}/thumbnail")
    assert answer.status_code in (400, 404, 422)
    assert set(answer.json()) == {"detail", "code"}


def test_no_file_of_the_page_names_another_host() -> None:
    for path in (*WEB.glob("*.js"), *WEB.glob("*.html"), *WEB.glob("*.css")):
        hosts = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text(encoding="utf-8")))
        assert hosts <= {"http://www.w3.org/2000/svg"}, path.name


def test_every_word_is_there_in_both_languages() -> None:
    words = (WEB / "words.js").read_text(encoding="utf-8")
    pairs = dict(re.findall(r'(\w+): \["[^"]+",\s*"([^"]+)"\]', words))
    text = "".join(path.read_text(encoding="utf-8") for path in (*WEB.glob("*.js"), *WEB.glob("*.html")))
    used = set(re.findall(r'\bword\("(\w+)"', text)) | set(re.findall(r'data-(?:word|placeholder|label)="(\w+)"', text))
    assert used - set(pairs) == set()
    assert re.search("[가-힣]", pairs["segment"])


def test_every_condition_of_a_generator_has_a_name_in_both_languages() -> None:
    fields = (WEB / "fields.js").read_text(encoding="utf-8")
    pairs = dict(re.findall(r'(\w+): \["[^"]+",\s*"([^"]+)"\]', fields))
    shown = {condition["name"] for row in CATALOGUE.rows for condition in row.conditions.described()}
    assert shown - set(pairs) == set()


@pytest.fixture(scope="module")
def served_sample(start_server: Any, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server with the shipped weights on one sample case."""
    served = start_server(tmp_path_factory.mktemp("page"))
    (served.model_folder / "brain_tumor_segmentation.safetensors").unlink()
    shutil.copytree(repository / "sample-data" / "studies" / SAMPLE, served.studies / SAMPLE)
    with served.process:
        yield served


@pytest.fixture
def browser(served_sample: Any) -> Iterator[Any]:
    """Headless Chromium on the page."""
    with chromium(f"{served_sample.url}/medsynth/") as driver:
        yield driver


@browsed
def test_open_segment_intake_cross_check_decide(browser: Any, served_sample: Any, tmp_path: Path) -> None:
    from selenium.webdriver.support.ui import Select

    wait(browser, lambda b: all_of(b, "#cases button"))[0].click()
    wait(browser, lambda b: not all_of(b, "#segment")[0].get_attribute("disabled"))
    wait(browser, lambda b: all_of(b, "#progress")[0].get_attribute("hidden") is not None)
    assert browser.execute_script("return document.querySelector('#cases img').naturalWidth") == 96
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
    Select(all_of(browser, "#reported select")[2]).select_by_value("weeks")
    all_of(browser, "#check")[0].click()
    verdict = wait(browser, lambda b: all_of(b, "#verdict"))[0]
    assert verdict.get_attribute("class").split()[1] in {
        "concordant", "partly_supported", "discordant", "indeterminate", "not_assessable",
    }  # fmt: skip
    assert all_of(browser, "#result tbody tr")
    assert all_of(browser, "#hospitals li")
    keep(browser, "page_cross_check")

    record = served_sample.get("/medsynth/api/cross-check", params={"case": SAMPLE}).json()["cross_checks"][-1]
    assert "weeks" in str(record["intake"])

    all_of(browser, "#decider")[0].send_keys("Dr. Kim")
    all_of(browser, "#reason")[0].send_keys("oedema reaches the motor strip")
    all_of(browser, "#amend")[0].click()
    assert "corrected mask" in all_of(browser, "#decided")[0].text, "amending needs another mask"
    all_of(browser, ".decision summary")[0].click()
    all_of(browser, "#amend-file")[0].send_keys(str(corrected_mask(served_sample, tmp_path)))
    all_of(browser, "#amend")[0].click()
    wait(browser, lambda b: "Decided: Amend" in all_of(b, "#decided")[0].text)
    assert not all_of(browser, "#accept")[0].is_enabled()
    labels = served_sample.get("/datastore/?output=all").json()["objects"][SAMPLE]["labels"]
    assert any(tag.startswith("amended-") for tag in labels)
    assert errors(browser) == []


@browsed
def test_generators_and_korean(browser: Any) -> None:
    from selenium.webdriver.support.ui import Select

    wait(browser, lambda b: all_of(b, "[data-tab=generators]")[0].is_displayed())
    Select(all_of(browser, "#language")[0]).select_by_value("ko")
    tab = all_of(browser, "[data-tab=generators]")[0]
    assert tab.text == "합성"
    choose_generator(browser, "volume_synthesis/phantom")
    all_of(browser, "#conditions button")[0].click()
    wait(browser, lambda b: all_of(b, "#picture")[0].get_attribute("src"))
    assert all_of(browser, "#made")[0].text.startswith("볼륨 · 팬텀 · 시드 ")
    assert "중증도, 0~1" in all_of(browser, "#conditions")[0].text
    told = {row.find_element("tag name", "th").text for row in all_of(browser, "#facts tr")}
    assert {"생성기", "조건: 볼륨 종류", "안내"} <= told
    assert "{" not in all_of(browser, "#facts")[0].text, "a table, no raw JSON"
    keep(browser, "page_synthesis")

    all_of(browser, "#conditions [name=seed]")[0].send_keys("7")
    browser.execute_script("document.querySelector('#conditions [name=save]').click()")
    all_of(browser, "#conditions button")[0].click()
    pictures = wait(browser, lambda b: (found := all_of(b, "#gallery button")) and len(found) == 2 and found)
    assert pictures[0].get_attribute("aria-pressed") == "true"
    pictures[1].click()
    assert all_of(browser, "#gallery button")[1].get_attribute("aria-pressed") == "true"
    wait(browser, lambda b: any("synthetic-7" in each.get_attribute("title") for each in all_of(b, "#cases button")))
    assert errors(browser) == []


@browsed
def test_cards_say_how_good_a_generator_is_and_one_condition_is_varied_in_a_row(browser: Any) -> None:
    from selenium.webdriver.support.ui import Select

    choose_generator(browser, "image_synthesis/phantom")
    cards = {card.get_attribute("data-row"): card.text for card in all_of(browser, ".card")}
    assert set(cards) == {f"{row.task}/{row.generator}" for row in CATALOGUE.rows}
    assert "ready" in cards["image_synthesis/phantom"]
    assert "experimental" in cards["image_synthesis/diffusion"]
    assert browser.execute_script("return [...document.querySelectorAll('.card img')].every(i => i.naturalWidth > 40)")
    assert "drawn by rules" in all_of(browser, "#row-origin")[0].text
    shown = [field for field in all_of(browser, "#conditions > label") if field.is_displayed()]
    assert len(shown) <= 8, "the few that matter, the rest folded"
    button = all_of(browser, "#conditions button.main")[0]
    box = browser.execute_script("return arguments[0].getBoundingClientRect().bottom", button)
    assert box <= browser.execute_script("return innerHeight"), "always in sight"
    fill(browser, "seed", "4")
    Select(all_of(browser, "#conditions [name=pathology]")[0]).select_by_value("pneumonia")
    button.click()
    wait(browser, lambda b: all_of(b, "#vary"))
    Select(all_of(browser, "#vary-what")[0]).select_by_value("severity")
    all_of(browser, "#vary")[0].click()
    wait(browser, lambda b: len(all_of(b, ".row-of figure")) == 5 and all_of(b, "#vary")[0].is_enabled())
    said = [figure.text for figure in all_of(browser, ".row-of figure")]
    assert said == [f"Severity, 0 to 1 {value}" for value in ("0", "0.25", "0.5", "0.75", "1")]
    sources = {each.get_attribute("src") for each in all_of(browser, ".row-of img")}
    assert len(sources) == 5
    keep(browser, "page_row_of_five")
    all_of(browser, "#same-seed")[0].click()
    assert all_of(browser, "#conditions [name=seed]")[0].get_attribute("value") == "4"
    all_of(browser, "#keep")[0].click()
    wait(browser, lambda b: "synthetic-4" in all_of(b, "#next-steps")[0].text)
    assert errors(browser) == []


@browsed
def test_the_course_of_a_skin_lesion_has_a_slider(browser: Any, served_sample: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    lesion = served_sample.request(
        "POST", "/infer/skin_lesion_synthesis", params={"image": "_", "output": "image"},
        data={"params": '{"seed": 7, "lesion_class": "nevus"}'},
    )  # fmt: skip
    assert lesion.status_code == 200, lesion.text[:300]
    (tmp_path / "lesion.png").write_bytes(lesion.content)
    choose_generator(browser, "skin_lesion_progression/stylegan2")
    fill(browser, "steps", "5")
    all_of(browser, "#conditions [name=file]")[0].send_keys(str(tmp_path / "lesion.png"))
    all_of(browser, "#conditions button")[0].click()
    slider = wait(browser, lambda b: all_of(b, "#course-slider"))[0]
    seen = []
    for _ in range(5):
        source = all_of(browser, "#course-picture")[0].get_attribute("src")
        seen.append((all_of(browser, "#course-said")[0].text, source))
        slider.send_keys(Keys.ARROW_RIGHT)
    keep(browser, "page_skin_course")
    assert seen[0][0].startswith("Alpha 0.00 · Probability of melanoma")
    assert seen[-1][0].startswith("Alpha 3.00")
    assert len({source for _, source in seen}) == 5
    assert len(all_of(browser, "#facts tbody tr")) > 10
    assert errors(browser) == []


@browsed
def test_the_page_works_by_keyboard_alone(browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    def focused() -> Any:
        return browser.switch_to.active_element

    wait(browser, lambda b: all_of(b, "#cases button"))
    focused().send_keys(Keys.TAB)
    assert focused().get_attribute("class") == "skip", "the first stop skips to the content"
    reached = []
    for _ in range(30):
        focused().send_keys(Keys.TAB)
        reached.append(focused().get_attribute("title") or focused().get_attribute("id") or focused().text)
        if reached[-1].startswith(SAMPLE):
            break
    assert reached[-1] == SAMPLE, reached
    focused().send_keys(Keys.ENTER)
    wait(browser, lambda b: all_of(b, "#case-name")[0].text == SAMPLE)
    wait(browser, lambda b: not all_of(b, "#progress")[0].is_displayed())
    unnamed = browser.execute_script(UNNAMED)
    assert unnamed == [], "every control has a name for a screen reader"


@pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", [(1280, 860), (820, 1180)], ids=["desktop", "tablet"])
def test_nothing_is_cut_off_at_this_width(served_sample: Any, size: tuple[int, int]) -> None:
    with chromium(f"{served_sample.url}/medsynth/", size) as driver:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False},
        )
        wait(driver, lambda b: all_of(b, "#cases button"))[0].click()
        wait(driver, lambda b: not all_of(b, "#progress")[0].is_displayed())
        wait(driver, lambda b: drawn_pixels(b)[0] > 2000)
        for tab in ("cases", "generators"):
            wait(driver, lambda b, tab=tab: all_of(b, f"[data-tab={tab}]")[0].is_displayed())
            all_of(driver, f"[data-tab={tab}]")[0].click()
            width, scrolled = driver.execute_script(
                "return [innerWidth, document.documentElement.scrollWidth]"
            )
            assert scrolled <= width, tab
            keep(driver, f"page_{tab}_{size[0]}")


def fill(browser: Any, name: str, value: str) -> None:
    """Set a field of the form as a user does, folded or not; sliders cannot be typed into."""
    browser.execute_script(
        "const input = document.querySelector(`#conditions [name=${arguments[0]}]`);"
        "input.closest('details')?.setAttribute('open', ''); input.value = arguments[1];"
        "input.dispatchEvent(new Event('input', {bubbles: true}));", name, value,
    )  # fmt: skip


def choose_generator(browser: Any, row: str) -> None:
    tab = wait(browser, lambda b: [t for t in all_of(b, "[data-tab=generators]") if t.is_displayed()])[0]
    tab.click()
    all_of(browser, f".card[data-row='{row}']")[0].click()


def corrected_mask(served: Any, folder: Path) -> Path:
    """The mask that the model makes, with one more voxel of oedema."""
    answer = served.infer(SAMPLE, {"result_extension": ".nii.gz"}, output="image")
    (folder / "mask.nii.gz").write_bytes(answer.content)
    mask: Any = nib.load(folder / "mask.nii.gz")
    labels = np.asarray(mask.dataobj).copy()
    labels[tuple(np.argwhere(labels == 2)[0])] = 3
    nib.save(nib.Nifti1Image(labels, mask.affine), folder / "corrected.nii.gz")
    return folder / "corrected.nii.gz"


def drawn_pixels(browser: Any) -> tuple[int, int]:
    """Pixels of the viewer that are not black, and those that are coloured."""
    array = pixels(all_of(browser, "#canvas")[0].screenshot_as_png)
    spread = array.max(axis=-1) - array.min(axis=-1)
    red_lines = (array[..., 0] > 200) & (array[..., 1] < 60)
    return int((array.max(axis=-1) > 40).sum()), int(((spread > 25) & ~red_lines).sum())
