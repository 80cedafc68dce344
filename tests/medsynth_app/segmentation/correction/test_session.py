"""Strokes on the image's own grid: mapped there and back, whatever its orientation and spacing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from medsynth_app.segmentation.correction.session import OpenCases, labels_under, open_case
from medsynth_app.segmentation.correction.strokes import Strokes, no_strokes
from medsynth_app.segmentation.network import NetworkConfiguration, build_network


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network(NetworkConfiguration(name="subpixel_unet", width=4, dropout=0.0)).eval()


@pytest.mark.parametrize(
    ("axes", "spacing"), [("RAS", (1, 1, 1)), ("LPS", (1, 1, 1)), ("SAL", (1, 1, 1)), ("RAS", (0.9, 0.9, 3.0))]
)
def test_a_stroke_on_any_grid_changes_its_place_and_little_else(axes: str, spacing: Any, head: Any, build: Any) -> None:
    own = build.head(axes=axes, spacing=spacing)
    case = open_case(own.volume, network())
    wrong = np.where(own.labels == 2, 0, own.labels).astype(np.uint8)
    edema = np.argwhere(own.labels == 2)
    values = no_strokes(wrong.shape)
    values[tuple(edema[edema[:, 2] == int(np.median(edema[:, 2]))][::3].T)] = 2
    before, marked = wrong.copy(), values >= 0
    found = case.corrected(wrong, Strokes(values))
    assert np.array_equal(wrong, before)
    assert (found[marked] == 2).all()
    changed = found != wrong
    assert (found[changed] == 2).all()
    assert (own.labels[changed] == 2).mean() > 0.7
    assert changed.sum() > 3 * marked.sum()


def test_the_answer_lies_on_the_images_grid(build: Any) -> None:
    own = build.head(axes="LPS")
    answer = open_case(own.volume, network()).answer()
    assert answer.shape == own.labels.shape
    assert answer.dtype == np.uint8


def test_open_cases_are_opened_once_and_the_oldest_goes() -> None:
    cases, opened = OpenCases(kept=2), []

    def get(key: str) -> Any:
        return cases.get(key, lambda: opened.append(key) or key)  # type: ignore[func-returns-value,return-value]

    assert [get(key) for key in "abacab"] == list("abacab")
    assert "".join(opened) == "abcb"


def test_what_a_stroke_hides_is_what_lies_beside_it() -> None:
    values = np.zeros((9, 9, 3), dtype=np.uint8)
    values[:, :5] = 2
    marked = np.zeros(values.shape, dtype=bool)
    marked[4, 1:7, 1] = True
    hidden = np.where(marked, 0, values).astype(np.uint8)
    assert np.array_equal(labels_under(hidden, marked), values)
    assert labels_under(values, np.zeros_like(marked)) is values
