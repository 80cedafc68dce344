"""How much an annotator's strokes bring: a simulated one corrects the network's answer of each case."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from medsynth_app.benchmarks.simulated_annotator import next_strokes
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.labels import read_submitted_label
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.segmentation.correction.session import open_case
from medsynth_app.segmentation.evaluation.metrics import region_mask
from medsynth_app.segmentation.inference import segment
from medsynth_app.segmentation.network import NetworkConfiguration
from medsynth_app.vocabulary import TumorRegion

LARGEST_LOSS = 0.005
"""Of the whole tumour's Dice: a stroke that costs more has made it worse."""


@dataclass(frozen=True)
class CorrectedCase:
    """One case, stroke by stroke.

    Attributes:
        name: of the case.
        dice: region -> Dice before any stroke, after one, two ...
        seconds: of each stroke, from strokes to labels.
        changed: voxels that each stroke changed.
    """

    name: str
    dice: dict[str, list[float]]
    seconds: list[float] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)


def correct_case(
    case: CaseFiles,
    model: tuple[nn.Module, NetworkConfiguration, dict[str, object]],
    strokes: int,
    seed: int,
    region: TumorRegion | None,
) -> CorrectedCase:
    """Segment a case, then correct its largest error ``strokes`` times.

    Args:
        case: with a label.
        model: network, its configuration and notes.
        strokes: how many.
        seed: of the hand's jitter.
        region: the annotator looks at errors of this region only; None = at all.

    Raises:
        InvalidValueError: the case has no label, or cannot be read.
    """
    network, configuration, _ = model
    if case.label is None:
        raise InvalidValueError(f"{case.name}: has no label file (_seg or -seg)")
    volume = case.read(configuration.modalities)
    truth = read_submitted_label(case.label, volume, name=f"{case.name} label")
    labels = segment(volume, network, modalities=configuration.modalities).labels
    opened, rng = open_case(volume, network), np.random.default_rng(seed)
    result = CorrectedCase(case.name, {each.value: [_dice(labels, truth, each)] for each in TumorRegion})
    for _ in range(strokes):
        drawn = next_strokes(labels, truth, rng, region)
        if drawn is not None:
            begin = time.perf_counter()
            after = opened.corrected(labels, drawn)
            result.seconds.append(round(time.perf_counter() - begin, 3))
            result.changed.append(int((after != labels).sum()))
            labels = after
        for each in TumorRegion:
            result.dice[each.value].append(_dice(labels, truth, each))
    return result


def correct_cases(
    cases: Sequence[CaseFiles],
    model: tuple[nn.Module, NetworkConfiguration, dict[str, object]],
    strokes: int = 3,
    seed: int = 0,
    region: TumorRegion | None = TumorRegion.TUMOR_CORE,
    on_case: Callable[[CorrectedCase], object] = lambda case: None,
) -> dict[str, Any]:
    """Every case, and their means.

    Returns:
        ``cases`` (as ``CorrectedCase``), ``mean`` (region -> Dice after 0, 1, ... strokes), ``gain`` (region -> mean
        Dice gained after 1, 2, ... strokes), ``whole_tumor_kept`` (fraction of strokes that cost it at most .005),
        ``seconds_p95``.
    """
    found = []
    for case in cases:
        found.append(correct_case(case, model, strokes, seed, region))
        on_case(found[-1])
    if not found:
        raise InvalidValueError("cases: none of them has a label (_seg or -seg)")
    means = {
        each.value: np.mean([case.dice[each.value] for case in found], axis=0).round(4).tolist() for each in TumorRegion
    }
    steps = np.concatenate([np.diff(case.dice[TumorRegion.WHOLE_TUMOR.value]) for case in found])
    seconds = [each for case in found for each in case.seconds]
    return {
        "cases": {case.name: vars(case) for case in found},
        "mean": means,
        "gain": {name: [round(value - values[0], 4) for value in values[1:]] for name, values in means.items()},
        "whole_tumor_kept": round(float((steps >= -LARGEST_LOSS).mean()), 4) if len(steps) else 1.0,
        "seconds_p95": round(float(np.percentile(seconds, 95)), 3) if seconds else 0.0,
    }


def _dice(found: np.ndarray, truth: np.ndarray, region: TumorRegion) -> float:
    first, second = region_mask(found, region), region_mask(truth, region)
    total = int(first.sum()) + int(second.sum())
    return round(2 * int((first & second).sum()) / total, 4) if total else 1.0
