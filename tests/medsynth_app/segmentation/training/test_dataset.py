"""Labelled cases: found, prepared with their labels in place, unfit ones passed over; batches by seed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.studies.cases import CaseFiles, find_cases
from medsynth_app.segmentation.training.augmentation import AugmentationConfiguration
from medsynth_app.segmentation.training.dataset import (
    LabelledCase,
    case_order,
    load_case,
    load_cases,
    training_batch,
)

ALL = ("flair", "t1", "t1ce", "t2")


@pytest.mark.parametrize(
    "grid", [{"axes": "LPS"}, {"axes": "PIR"}, {"axes": "LPS", "spacing": (1.0, 1.0, 2.0)}]
)
@pytest.mark.parametrize("enhancing_value", [3, 4])
def test_image_and_label_of_a_case_lie_on_each_other(
    tmp_path: Path, build: Any, grid: dict[str, Any], enhancing_value: int
) -> None:
    build.write_case(tmp_path, head=build.head(**grid), enhancing_value=enhancing_value)
    case = load_case(find_cases(tmp_path)[0], ALL)
    assert (case.name, case.image.dtype, case.label.dtype) == ("case_1", torch.float16, torch.uint8)
    assert case.image.shape[1:] == case.label.shape
    assert set(case.label.unique().tolist()) == {0, 1, 2, 3}
    flair, t1ce = case.image[0].float(), case.image[2].float()
    assert flair[case.label == 2].mean() > flair[case.label == 0].mean() + 2
    assert t1ce[case.label == 3].mean() > t1ce[case.label == 2].mean() + 2
    assert t1ce[case.label == 1].mean() < t1ce[case.label == 2].mean()
    # One voxel off, the sharp borders would no longer agree.
    agreement = ((t1ce > 4) == (case.label == 3)).float().mean()
    assert agreement > (0.995 if "spacing" not in grid else 0.98)


def test_a_case_of_three_sequences_has_three_channels(tmp_path: Path, build: Any) -> None:
    build.write_case(tmp_path, leave_out=("t1",))
    assert load_case(find_cases(tmp_path)[0], ("flair", "t1ce", "t2")).image.shape[0] == 3


def test_a_case_without_label_is_refused(tmp_path: Path, build: Any) -> None:
    build.write_case(tmp_path, with_label=False)
    with pytest.raises(InvalidValueError, match=r"case_1: has no label file \(_seg or -seg\)"):
        load_case(find_cases(tmp_path)[0], ALL)


@pytest.mark.parametrize("fault", ["grid", "values", "garbage"])
def test_an_unfit_label_names_its_case(tmp_path: Path, build: Any, head: Any, fault: str) -> None:
    folder = build.write_case(tmp_path, with_label=False)
    path, affine = folder / "case_1_seg.nii.gz", head.volume.affine
    if fault == "grid":
        build.write_nifti(path, head.labels[:-2], affine)
    elif fault == "values":
        build.write_nifti(path, (head.labels * 5).astype(np.uint8), affine)
    else:
        path.write_bytes(b"garbage")
    with pytest.raises(Exception, match="^case_1 label: ") as caught:
        load_case(find_cases(tmp_path)[0], ALL)
    assert caught.value.status in (415, 422)  # type: ignore[attr-defined]


def test_unfit_cases_are_skipped_with_a_warning_each(
    tmp_path: Path, build: Any, caplog: pytest.LogCaptureFixture
) -> None:
    build.write_case(tmp_path, "a_good")
    build.write_case(tmp_path, "b_missing", leave_out=("t2",))
    build.write_case(tmp_path, "c_unlabelled", with_label=False)
    build.write_case(tmp_path, "d_garbage")
    (tmp_path / "d_garbage" / "d_garbage_t1.nii.gz").write_bytes(b"garbage")
    build.write_case(tmp_path, "e_bad_label")
    (tmp_path / "e_bad_label" / "e_bad_label_seg.nii.gz").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        cases = load_cases(find_cases(tmp_path), ALL)
    assert [case.name for case in cases] == ["a_good"]
    warnings = sorted(r.getMessage() for r in caplog.records if r.getMessage().startswith("case skipped: "))
    assert len(warnings) == 4
    for warning, words in zip(
        warnings,
        ("b_missing: missing sequence t2", "c_unlabelled: has no label", "d_garbage t1", "e_bad_label label"),
    ):
        assert words in warning


def test_no_usable_case_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="none of the 2 cases can be used for training"):
        load_cases([CaseFiles("a"), CaseFiles("b")], ALL)


def batch(
    cases: list[LabelledCase], step: int, seed: int = 0, size: int = 2
) -> tuple[torch.Tensor, torch.Tensor]:
    return training_batch(cases, step, size, (32, 32, 32), AugmentationConfiguration(), seed)


def test_a_batch_is_a_function_of_step_and_seed(tiny_cases: list[LabelledCase]) -> None:
    images, labels = batch(tiny_cases, 3)
    assert (images.shape, images.dtype) == ((2, 4, 32, 32, 32), torch.float32)
    assert (labels.shape, labels.dtype) == ((2, 32, 32, 32), torch.int64)
    again = batch(tiny_cases, 3)
    assert torch.equal(images, again[0])
    assert torch.equal(labels, again[1])
    assert not torch.equal(images, batch(tiny_cases, 4)[0])
    assert not torch.equal(images, batch(tiny_cases, 3, seed=1)[0])


def test_samples_do_not_depend_on_the_batch_size(tiny_cases: list[LabelledCase]) -> None:
    pair = batch(tiny_cases, 1, size=2)[0]
    singles = torch.cat([batch(tiny_cases, step, size=1)[0] for step in (2, 3)])
    assert torch.equal(pair, singles)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_an_epoch_visits_every_case_once_in_an_order_of_its_own(count: int) -> None:
    orders = [case_order(count, epoch, seed=5) for epoch in range(20)]
    assert all(sorted(order) == list(range(count)) for order in orders)
    assert orders == [case_order(count, epoch, seed=5) for epoch in range(20)]
    if count > 1:
        assert len({tuple(order) for order in orders}) > 1
