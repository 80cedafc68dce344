"""Gains worked out by hand, and a tiny experiment that is stopped and goes on."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from medsynth_app.benchmarks.coarse_training import CoarseSetting
from medsynth_app.benchmarks.synthesis_utility import (
    Arm,
    MeasuredArm,
    UtilityConfiguration,
    UtilityExperiment,
    mixed,
)
from medsynth_app.commands.benchmarks.synthesis_utility import draw_curves, summary
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.provenance.marking import SyntheticMark, mark_synthetic
from medsynth_app.imaging.studies.cases import find_cases
from medsynth_app.segmentation.training.labelled_case import LabelledCase
from medsynth_app.segmentation.training.loop import Trainer

TINY = UtilityConfiguration(
    test_cases=("case_0",), seeds=(0,), few=1, synthetic_cases=1, synthetic_spacing_mm=3.0, steps=12, curve_points=2,
    setting=CoarseSetting(coarseness=4, width=1, patch_side=32),
)  # fmt: skip


def measured(arm: Arm, seed: int, dice: float) -> MeasuredArm:
    regions = {"WT": dice, "TC": dice, "ET": dice}
    return MeasuredArm(arm.value, seed, (), 0, dice, regions, {"case": regions}, [[1, dice]])


def test_gain_is_paired_by_seed_and_unfinished_seeds_are_left_out() -> None:
    found = [
        measured(Arm.FEW_REAL, 0, 0.5), measured(Arm.FEW_REAL_AND_SYNTHETIC, 0, 0.6), measured(Arm.SYNTHETIC, 0, 0.3),
        measured(Arm.ALL_REAL, 0, 0.6), measured(Arm.FEW_REAL, 1, 0.3), measured(Arm.FEW_REAL_AND_SYNTHETIC, 1, 0.6),
        measured(Arm.SYNTHETIC, 1, 0.5), measured(Arm.ALL_REAL, 1, 0.6), measured(Arm.FEW_REAL, 2, 0.9),
    ]  # fmt: skip
    result = summary(found)
    assert result["seeds"] == [0, 1]
    assert result["gain"]["dice"] == pytest.approx(0.2)
    low, high = result["gain"]["interval"]
    assert high - low == pytest.approx(2 * 12.706 * 0.1, abs=1e-3), "t with one degree of freedom"
    assert result["synthetic_share"] == pytest.approx(0.4 / 0.6, abs=1e-3)
    assert result["dice"]["few_real"]["ET"]["dice"] == pytest.approx(0.4)


def test_no_finished_seed_is_no_figure() -> None:
    assert summary([measured(Arm.FEW_REAL, 0, 0.5), measured(Arm.ALL_REAL, 1, 0.5)]) == {"seeds": [], "dice": {}}


def test_curves_are_drawn(tmp_path: Path) -> None:
    draw_curves([measured(arm, seed, 0.5) for arm in Arm for seed in (0, 1)], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("real", "synthetic", "share", "wanted"), [(2, 8, 0.5, (8, 8)), (6, 3, 0.5, (6, 6)), (3, 0, 0.5, (3, 0))]
)
def test_patches_are_mixed_as_asked(real: int, synthetic: int, share: float, wanted: tuple[int, int]) -> None:
    def cases(kind: str, count: int) -> list[LabelledCase]:
        return [LabelledCase(kind, torch.zeros(1), torch.zeros(1)) for _ in range(count)]

    names = [case.name for case in mixed(cases("real", real), cases("synthetic", synthetic), share)]
    assert (names.count("real"), names.count("synthetic")) == wanted


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, build: Any) -> Path:
    root = tmp_path_factory.mktemp("cases")
    for number in range(3):
        build.write_case(root, f"case_{number}")
    return root


def test_killed_experiment_goes_on_to_the_same_end(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = replace(TINY, arms=(Arm.FEW_REAL_AND_SYNTHETIC, Arm.ALL_REAL))
    whole = list(UtilityExperiment(find_cases(folder), tmp_path / "whole", arms).run())
    update = Trainer._update
    with monkeypatch.context() as patch:

        def killed(trainer: Trainer) -> float:
            if trainer.step == 11:
                raise KeyboardInterrupt
            return update(trainer)

        patch.setattr(Trainer, "_update", killed)
        with pytest.raises(KeyboardInterrupt):
            list(UtilityExperiment(find_cases(folder), tmp_path / "parts", arms).run())
    rest = list(UtilityExperiment(find_cases(folder), tmp_path / "parts", arms).run())
    assert [asdict(each) for each in rest] == [asdict(each) for each in whole]
    assert [step for step, _ in whole[0].curve] == [10, 12]
    assert whole[0].synthetic == 1
    assert whole[1].real == ("case_1", "case_2"), "the case that measures is never trained on"
    monkeypatch.setattr(Trainer, "_update", killed)
    assert list(UtilityExperiment(find_cases(folder), tmp_path / "parts", arms).run()) == rest, "nothing is trained"


def test_a_synthetic_case_neither_measures_nor_counts_as_real(tmp_path: Path, build: Any) -> None:
    for number in range(2):
        build.write_case(tmp_path, f"case_{number}")
    for path in (tmp_path / "case_0").glob("*.nii.gz"):
        image: Any = nib.load(path)
        marked = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
        mark_synthetic(marked, SyntheticMark("tumor_case_synthesis", "0", 1))
        nib.save(marked, path)
    with pytest.raises(InvalidValueError, match="test_cases: 'case_0' is no real labelled case, there are case_1"):
        UtilityExperiment(find_cases(tmp_path), tmp_path / "out", TINY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"real_share": 1.0}, "real_share: 1.0 must lie between 0 and 1"),
        ({"steps": 0}, "steps: 0 must be at least 1"),
        ({"test_cases": ()}, "test_cases: at least one"),
        ({"seeds": ()}, "seeds, arms: at least one"),
    ],
)
def test_impossible_configurations_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        replace(TINY, **change)


def test_too_few_real_cases_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="few: 6 real cases to train on are asked for, 2 are left"):
        UtilityExperiment(find_cases(folder), tmp_path, replace(TINY, few=6))
