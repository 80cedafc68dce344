"""Dice and HD95 of each label between the model's answer and the submitted label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lib.datastore import CaseDatastore
from lib.scoring.agreement import label_agreement, score_submission

SPACING = np.array([1.0, 1.0, 2.0])


def boxes(**corners: int) -> np.ndarray:
    labels = np.zeros((20, 12, 12), dtype=np.uint8)
    labels[corners["x1"] : corners["x1"] + 4, 2:6, 2:6] = 1
    labels[corners["x3"] : corners["x3"] + 4, 2:6, 2:6] = 3
    return labels


def test_equal_labels_score_one_whatever_their_value() -> None:
    labels = boxes(x1=1, x3=10)
    assert label_agreement(labels, labels, SPACING) == {
        name: {"dice": 1.0, "hd95_mm": 0.0} for name in ("necrotic_core", "edema", "enhancing_tumor")
    }


def test_each_label_is_scored_by_itself() -> None:
    found = label_agreement(boxes(x1=1, x3=10), boxes(x1=1, x3=12), SPACING)
    assert found["necrotic_core"] == {"dice": 1.0, "hd95_mm": 0.0}
    assert found["enhancing_tumor"]["dice"] == pytest.approx(0.5)
    assert found["enhancing_tumor"]["hd95_mm"] == pytest.approx(2.0)


def test_label_that_only_one_of_them_has_scores_nothing() -> None:
    labels = boxes(x1=1, x3=10)
    without = np.where(labels == 3, 0, labels)
    found = label_agreement(labels, without, SPACING)["enhancing_tumor"]
    assert found["dice"] == 0.0
    assert found["hd95_mm"] > 20


def test_a_submission_is_scored_with_the_answer_it_corrects(tmp_path: Path, build: Any) -> None:
    head = build.head(seed=1)
    build.case(tmp_path / "studies", "a", head)
    store = CaseDatastore(tmp_path / "studies")
    final = build.nifti(tmp_path / "final.nii.gz", head.labels, head.affine)
    store.save_label("a", str(final), "final", {})
    assert score_submission(store, "a", 1) is None, "no model answered before"
    store.save_label("a", str(final), "original", {})
    assert score_submission(store, "a", 1)["edema"]["dice"] == 1.0  # type: ignore[index]
    shifted = build.nifti(tmp_path / "shifted.nii.gz", np.roll(head.labels, 3, axis=0), head.affine)
    store.versions.keep_proposal("a", shifted, 1)
    assert 0.2 < score_submission(store, "a", 1)["edema"]["dice"] < 0.95  # type: ignore[index]
