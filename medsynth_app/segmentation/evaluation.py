"""Segmentation measured against reference labels, per case and in summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.cases import CaseFiles
from medsynth_app.imaging.labels import read_submitted_label
from medsynth_app.segmentation.inference import InferenceConfiguration, segment
from medsynth_app.segmentation.metrics import score_labels
from medsynth_app.segmentation.network import NetworkConfiguration
from medsynth_app.vocabulary import RESEARCH_NOTICE, TumorRegion


@dataclass(frozen=True)
class EvaluationReport:
    """Figures of an evaluation.

    Attributes:
        cases: case name -> ``{"regions": {"WT": {"dice": ...}, ...}, "seconds": ..., "warnings": [...]}``.
        summary: ``mean`` and ``median`` -> region -> figure.
        seconds_per_case: median of reading, segmenting and bringing the mask back.
    """

    cases: dict[str, dict[str, Any]]
    summary: dict[str, dict[str, dict[str, float]]]
    seconds_per_case: float

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON-able values."""
        return {
            "cases": self.cases,
            **self.summary,
            "seconds_per_case": self.seconds_per_case,
            "notice": RESEARCH_NOTICE,
        }


def evaluate_cases(
    cases: Sequence[CaseFiles],
    model: tuple[nn.Module, NetworkConfiguration, dict[str, object]],
    configuration: InferenceConfiguration = InferenceConfiguration(),
    on_case: Callable[[str], object] = lambda name: None,
) -> EvaluationReport:
    """Segment each case and compare with its label.

    Args:
        cases: with labels; enhancing tumour as 3 or 4.
        model: network, its configuration and notes, as ``CurrentNetwork.get`` gives them.
        configuration: of the inference.
        on_case: called with the name of each finished case.

    Raises:
        InvalidValueError: there is no labelled case, or one of them cannot be read.
    """
    if not cases:
        raise InvalidValueError("cases: none of them has a label (_seg or -seg)")
    rows: dict[str, dict[str, Any]] = {}
    network, network_configuration, _ = model
    for case in cases:
        begin = time.perf_counter()
        volume = case.read(network_configuration.modalities)
        result = segment(volume, network, configuration, network_configuration.modalities)
        seconds = time.perf_counter() - begin
        if case.label is None:
            raise InvalidValueError(f"{case.name}: has no label file (_seg or -seg)")
        reference = read_submitted_label(case.label, volume, name=f"{case.name} label")
        rows[case.name] = {
            "regions": score_labels(result.labels, reference, volume.spacing),
            "seconds": round(seconds, 3),
            "warnings": list(result.warnings),
        }
        on_case(case.name)
    return EvaluationReport(rows, _summary(rows), float(np.median([row["seconds"] for row in rows.values()])))


def _summary(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for kind, function in (("mean", np.mean), ("median", np.median)):
        summary[kind] = {}
        for region in TumorRegion:
            names = next(iter(rows.values()))["regions"][region.value]
            summary[kind][region.value] = {
                name: float(function([row["regions"][region.value][name] for row in rows.values()]))
                for name in names
            }
    return summary
