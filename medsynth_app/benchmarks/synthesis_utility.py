"""Are synthetic tumour cases useful? The same segmentation network, trained with and without them.

Train on synthetic, test on real (Esteban 2017, "TSTR"), beside training on real cases. Every arm gets as many
updates as the others and is measured on the same real cases after the last one; nothing is chosen by them. A folder
holds everything that was computed, one small file for each finished arm: the same call goes on after a kill.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medsynth_app.benchmarks.coarse_training import (
    CoarseCases,
    CoarseSetting,
    mean_regions,
    predict_together,
    region_dice,
)
from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.imaging.provenance.marking import is_marked_synthetic
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder
from medsynth_app.segmentation.training.labelled_case import LabelledCase
from medsynth_app.segmentation.training.loop import Progress, Trainer
from medsynth_app.segmentation.transforms import CleaningConfiguration, clean_labels
from medsynth_app.synthesis.tumor.cohort import drawn_request
from medsynth_app.synthesis.tumor.generator import generate_tumor_case
from medsynth_app.synthesis.tumor.saving import save_tumor_case

logger = logging.getLogger(__name__)

STEPS_BETWEEN_REPORTS = 10
"""A trainer tells its progress at multiples of this."""


class Arm(str, Enum):
    """What a network is trained on."""

    FEW_REAL = "few_real"
    FEW_REAL_AND_SYNTHETIC = "few_real_and_synthetic"
    SYNTHETIC = "synthetic"
    ALL_REAL = "all_real"


@dataclass(frozen=True)
class UtilityConfiguration:
    """What is compared.

    Attributes:
        test_cases: names of the real cases that measure; never trained on.
        arms: which ones.
        seeds: each draws its own few real cases and weights.
        few: real cases of the small arms.
        synthetic_cases: made once; every seed trains on the same ones.
        real_share: share of real patches where both kinds are mixed.
        synthetic_spacing_mm: voxel size at which synthetic cases are made, before they are prepared like real ones.
        setting: how coarse and how small.
        steps: updates of every arm.
        curve_points: how often an arm is measured on its way; the last one counts.

    Raises:
        InvalidValueError: a value out of range.
    """

    test_cases: tuple[str, ...]
    arms: tuple[Arm, ...] = tuple(Arm)
    seeds: tuple[int, ...] = (0, 1, 2)
    few: int = 6
    synthetic_cases: int = 40
    real_share: float = 0.5
    synthetic_spacing_mm: float = 1.0
    setting: CoarseSetting = field(default_factory=CoarseSetting)
    steps: int = 600
    curve_points: int = 5

    def __post_init__(self) -> None:
        for name in ("few", "synthetic_cases", "steps", "curve_points"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name}: {getattr(self, name)} must be at least 1")
        if not 0.0 < self.real_share < 1.0:
            raise InvalidValueError(f"real_share: {self.real_share} must lie between 0 and 1")
        if not self.seeds or not self.arms:
            raise InvalidValueError("seeds, arms: at least one of each is needed")
        if not self.test_cases:
            raise InvalidValueError("test_cases: at least one real case must measure")


@dataclass(frozen=True)
class MeasuredArm:
    """One trained and measured network.

    Attributes:
        arm / seed: which.
        real: names of its real training cases.
        synthetic: number of its synthetic training cases.
        dice: mean over regions and test cases after the last update.
        regions: mean Dice per region.
        cases: test case -> Dice per region.
        curve: ``[updates, mean Dice]`` on the way.
    """

    arm: str
    seed: int
    real: tuple[str, ...]
    synthetic: int
    dice: float
    regions: dict[str, float]
    cases: dict[str, dict[str, float]]
    curve: list[list[float]]


class UtilityExperiment:
    """All arms and seeds on one set of labelled cases.

    Args:
        cases: labelled cases; those marked as synthetic are left out.
        folder: where everything is kept.
        configuration: what is compared.

    Raises:
        InvalidValueError: a test case is not there or is synthetic, or too few real cases are left to train on.
    """

    def __init__(self, cases: Sequence[CaseFiles], folder: Path, configuration: UtilityConfiguration) -> None:
        self.configuration = configuration
        real = [case for case in cases if not _is_synthetic(case)]
        names = [case.name for case in real]
        for name in configuration.test_cases:
            if name not in names:
                raise InvalidValueError(f"test_cases: {name!r} is no real labelled case, there are {', '.join(names)}")
        self.training_names = sorted(set(names) - set(configuration.test_cases))
        if len(self.training_names) < configuration.few:
            raise InvalidValueError(
                f"few: {configuration.few} real cases to train on are asked for, {len(self.training_names)} are left"
            )
        # Another setting gets a folder of its own; arms and seeds may be added to this one.
        setting = {k: v for k, v in asdict(configuration).items() if k not in ("arms", "seeds")}
        digest = hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()[:12]
        coarseness = configuration.setting.coarseness
        self.folder = folder / digest
        self._synthetic_folder = folder / f"synthetic-{configuration.synthetic_spacing_mm:g}mm"
        self._real = CoarseCases(real, folder / f"prepared-{coarseness}", coarseness)
        self._cases = folder / f"prepared-synthetic-{configuration.synthetic_spacing_mm:g}mm-{coarseness}"

    def run(self, on_case: Callable[[], None] = lambda: None) -> Iterator[MeasuredArm]:
        """Every arm of a seed, then the next seed; finished ones come from the folder.

        Args:
            on_case: called for each synthetic case that is ready.
        """
        for seed in self.configuration.seeds:
            for arm in self.configuration.arms:
                yield self._finished(arm, seed) or self._measure(arm, seed, on_case)

    # ---- one arm -------------------------------------------------------------------------------------

    def _measure(self, arm: Arm, seed: int, on_case: Callable[[], None]) -> MeasuredArm:
        given = self.configuration
        real = self._real_of(arm, seed)
        synthetic = self._synthetic(on_case) if "synthetic" in arm.value else []
        cases = mixed([self._real.case(name) for name in real], synthetic, given.real_share)
        every = max(STEPS_BETWEEN_REPORTS, given.steps // given.curve_points)
        every -= every % STEPS_BETWEEN_REPORTS
        run = self.folder / "runs" / f"{arm.value}-{seed}"
        trainer = Trainer(given.setting.training(given.steps, seed, every), cases, [], run, None, "cpu")
        curve = _Curve(run / "curve.json", lambda: self._test(trainer.average), every)
        curve.measure(trainer.step)
        trainer.run(curve.on_progress)
        scores = curve.measure(given.steps)
        regions = mean_regions(list(scores.values()))
        found = MeasuredArm(
            arm.value, seed, tuple(real), len(synthetic), float(np.mean(list(regions.values()))), regions, scores,
            curve.points,
        )  # fmt: skip
        with whole_file(self._record(arm, seed)) as beside:
            beside.write_text(json.dumps(asdict(found)))
        return found

    def _real_of(self, arm: Arm, seed: int) -> list[str]:
        if arm is Arm.ALL_REAL:
            return self.training_names
        if arm is Arm.SYNTHETIC:
            return []
        drawn = np.random.default_rng(2_000 + seed).permutation(len(self.training_names))[: self.configuration.few]
        return [self.training_names[index] for index in sorted(drawn)]

    def _test(self, network: torch.nn.Module) -> dict[str, dict[str, float]]:
        """Test case -> Dice per region, cleaned as at inference."""
        voxel_ml = self.configuration.setting.coarseness**3 / 1000
        cases = [self._real.case(name) for name in self.configuration.test_cases]
        scores = {}
        for case, labels in zip(cases, predict_together(network, cases)):
            cleaned = clean_labels(labels, voxel_ml, CleaningConfiguration())
            scores[case.name] = region_dice(cleaned, case.label.numpy())
        return scores

    # ---- cases and files -----------------------------------------------------------------------------

    def _synthetic(self, on_case: Callable[[], None]) -> list[LabelledCase]:
        """The synthetic patients, made once and prepared by the same code as real ones."""
        cases: list[LabelledCase] = []
        numbers = itertools.count()
        while len(cases) < self.configuration.synthetic_cases:
            files = self._synthetic_files(next(numbers))
            if files is not None:
                store = CoarseCases([files], self._cases, self.configuration.setting.coarseness)
                cases.append(store.case(files.name))
                on_case()
        return cases

    def _synthetic_files(self, number: int) -> CaseFiles | None:
        """One synthetic patient's files, made if they are not there; None where the tumour drawn finds no room."""
        target = self._synthetic_folder / f"synthetic-{number}"
        if not target.is_dir():
            try:
                made = generate_tumor_case(drawn_request(number, self.configuration.synthetic_spacing_mm))
            except InvalidValueError as error:
                logger.info("synthetic patient %d: %s", number, error)
                return None
            save_tumor_case(made, self._synthetic_folder, target.name)
        return case_in_folder(target)

    def _finished(self, arm: Arm, seed: int) -> MeasuredArm | None:
        try:
            record = json.loads(self._record(arm, seed).read_text())
        except FileNotFoundError:
            return None
        return MeasuredArm(**{**record, "real": tuple(record["real"])})

    def _record(self, arm: Arm, seed: int) -> Path:
        return self.folder / "arms" / f"{arm.value}-{seed}.json"


class _Curve:
    """Dice on the way, kept in a file so that a killed run keeps its beginning."""

    def __init__(self, path: Path, test: Callable[[], dict[str, dict[str, float]]], every: int) -> None:
        self._path, self._test, self._every = path, test, every
        self._scores: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}

    @property
    def points(self) -> list[list[float]]:
        return [[int(step), _mean_dice(scores)] for step, scores in self._scores.items()]

    def on_progress(self, progress: Progress) -> None:
        if progress.step % self._every == 0:
            self.measure(progress.step)

    def measure(self, step: int) -> dict[str, dict[str, float]]:
        """Scores of the network after ``step`` updates; nothing is known before the first one."""
        if step and str(step) not in self._scores:
            self._scores[str(step)] = self._test()
            with whole_file(self._path) as beside:
                beside.write_text(json.dumps(self._scores))
        return self._scores.get(str(step), {})


def mixed(
    real: Sequence[LabelledCase], synthetic: Sequence[LabelledCase], real_share: float
) -> list[LabelledCase]:
    """Training cases such that about ``real_share`` of the patches are real; a trainer visits each entry alike.

    The smaller kind is repeated; where one kind is empty, the other one as it is.
    """
    if not real or not synthetic:
        return [*real, *synthetic]
    wanted = real_share / (1 - real_share)
    ratio = wanted * len(synthetic) / len(real)
    if ratio >= 1:
        return [*list(real) * round(ratio), *synthetic]
    return [*real, *list(synthetic) * round(1 / ratio)]


def _mean_dice(scores: dict[str, dict[str, float]]) -> float:
    return round(float(np.mean([value for each in scores.values() for value in each.values()])), 4)


def _is_synthetic(case: CaseFiles) -> bool:
    paths = [*case.sequences.values(), case.combined]
    return any(is_marked_synthetic(path) for path in paths if path is not None)
