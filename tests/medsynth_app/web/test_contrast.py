"""Colours of the page against WCAG 2.2 level AA: text 4.5 to 1 (1.4.3), edges of controls and marks 3 to 1 (1.4.11)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STYLE = (Path(__file__).resolve().parents[3] / "medsynth_app" / "web" / "page.css").read_text(encoding="utf-8")
THEMES = {
    theme: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    for theme, block in re.findall(r":root(?:\[data-theme=)?(light)?\]? {(.*?)}", STYLE, flags=re.DOTALL)
}
THEMES["dark"] = THEMES.pop("")
both = pytest.mark.parametrize("colours", THEMES.values(), ids=THEMES)
GROUNDS = ("ground", "panel", "raised", "chosen")
TEXTS = [
    *((text, ground) for text in ("text", "quiet") for ground in GROUNDS),
    *((text, ground) for text in ("accent", "good", "warn", "bad", "on-notice") for ground in ("ground", "panel")),
    ("on-accent", "accent"), ("on-notice", "notice"), ("on-flag", "flag"),
]  # fmt: skip
EDGES = [(edge, ground) for edge in ("edge", "accent") for ground in ("ground", "panel", "raised")]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it, 0 to 1."""
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_formula_is_wcags() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_both_themes_name_the_same_colours() -> None:
    assert sorted(THEMES) == ["dark", "light"]
    assert set(THEMES["dark"]) == set(THEMES["light"])
    assert THEMES["dark"]["ground"] != THEMES["light"]["ground"]


@both
@pytest.mark.parametrize(("text", "ground"), TEXTS)
def test_text_is_readable(text: str, ground: str, colours: dict[str, str]) -> None:
    assert contrast(colours[text], colours[ground]) >= 4.5


@both
@pytest.mark.parametrize(("edge", "ground"), EDGES)
def test_controls_can_be_told_from_the_ground(edge: str, ground: str, colours: dict[str, str]) -> None:
    assert contrast(colours[edge], colours[ground]) >= 3


@pytest.mark.parametrize("name", ["necrotic_core", "edema", "enhancing_tumor"])
def test_swatches_of_the_legend_can_be_told_from_the_dark_ground(name: str) -> None:
    colour = re.search(rf"\.swatch-{name} {{ --swatch: (#[0-9a-f]{{6}})", STYLE)
    assert colour
    assert contrast(colour[1], THEMES["dark"]["ground"]) >= 3


def test_swatches_have_an_edge_where_the_ground_is_light() -> None:
    """Labels keep their colours, yellow above all; the edge is held to 3:1 above."""
    assert re.search(r"\.legend dt::before {[^}]*box-shadow: 0 0 0 1px var\(--edge\)", STYLE)


def test_text_has_no_colour_that_is_not_in_the_table() -> None:
    rules = re.sub(r":root(\[data-theme=light\])? {.*?}", "", STYLE, flags=re.DOTALL)
    assert re.findall(r"(?<![-\w])color: (#\w+)", rules) == []


def test_examples_in_empty_fields_are_readable() -> None:
    assert "::placeholder { color: var(--quiet); opacity: 1;" in STYLE


def test_the_focus_is_seen() -> None:
    assert re.search(r":focus-visible { outline: 2px solid var\(--accent\)", STYLE)
    assert not re.search(r"outline: (none|0)", STYLE)
