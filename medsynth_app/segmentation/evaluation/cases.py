"""Segmentation measured against reference labels, per case and in summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import nn

from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.imaging.labels import read_label
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.imaging.volume import Volume
from medsynth_app.segmentation.doubt import doubt_about, volume_intervals_ml
from medsynth_app.segmentation.evaluation.calibration import (
    CaseCalibration,
    calibration_of,
    calibration_summary,
)
from medsynth_app.segmentation.evaluation.lesion_wise import score_lesions
from medsynth_app.segmentation.evaluation.metrics import region_mask, score_labels
from medsynth_app.segmentation.inference import (
    InferenceConfiguration,
    Prediction,
    Segmentation,
    answer_of,
    label_volumes_ml,
    predict,
)
from medsynth_app.segmentation.missing_sequences import without_sequences
from medsynth_app.segmentation.network import NetworkConfiguration
from medsynth_app.segmentation.transforms import prepared_label
from medsynth_app.vocabulary import RESEARCH_NOTICE, TumorRegion


@dataclass(frozen=True)
class EvaluationReport:
    """Figures of an evaluation.

    Attributes:
        cases: case name -> ``{"regions": {"WT": {"dice": ...}, ...}, "seconds": ..., "warnings": [...]}``.
        summary: ``mean`` and ``median`` -> region -> figure.
        seconds_per_case: median of reading, segmenting and bringing the mask back; 0 without a case.
        left_out: name of what could not be evaluated -> why.
        calibration: as ``calibration_summary`` of all cases.
    """

    cases: dict[str, dict[str, Any]]
    summary: dict[str, dict[str, dict[str, float]]]
    seconds_per_case: float
    left_out: dict[str, str] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)

    def with_left_out(self, left_out: Mapping[str, str]) -> EvaluationReport:
        """What could not be used before the evaluation is left out too, unless it was evaluated all the same."""
        unused = {name: why for name, why in left_out.items() if name not in self.cases}
        return replace(self, left_out={**unused, **self.left_out})

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON-able values."""
        return {
            "cases": self.cases,
            **self.summary,
            "seconds_per_case": self.seconds_per_case,
            "left_out": self.left_out,
            "calibration": self.calibration,
            "notice": RESEARCH_NOTICE,
        }


def evaluate_cases(
    cases: Sequence[CaseFiles],
    model: tuple[nn.Module, NetworkConfiguration, dict[str, object]],
    configuration: InferenceConfiguration = InferenceConfiguration(),
    on_case: Callable[[str], object] = lambda name: None,
    blanked: Sequence[str] = (),
    lesion_wise: bool = False,
) -> EvaluationReport:
    """Segment each case and compare with its label; one that cannot be read is left out by name.

    Args:
        cases: with labels; enhancing tumour as 3 or 4.
        model: network, its configuration and notes, as ``CurrentNetwork.get`` gives them.
        configuration: of the inference.
        on_case: called with the name of each finished case.
        blanked: sequences that are taken away first, whether a case has them or not.
        lesion_wise: add ``lesion_wise_dice`` and ``lesion_wise_hd95_mm`` to each region.

    Raises:
        InvalidValueError: there is no case.
    """
    if not cases:
        raise InvalidValueError("cases: none of them has a label (_seg or -seg)")
    rows: dict[str, dict[str, Any]] = {}
    calibrations: dict[str, CaseCalibration] = {}
    left_out: dict[str, str] = {}
    for case in cases:
        try:
            row, calibrations[case.name] = _evaluated(case, model, configuration, blanked, lesion_wise)
            rows[case.name] = {**row, "calibration": calibrations[case.name].as_dict()}
        except MedSynthError as error:
            left_out[case.name] = error.message
        except OSError as error:
            left_out[case.name] = f"cannot be read: {error.strerror}"
        on_case(case.name)
    seconds = [row["seconds"] for row in rows.values()]
    return EvaluationReport(
        rows, summary_of(rows), float(np.median(seconds)) if seconds else 0.0, left_out,
        calibration_summary(calibrations.values()),
    )  # fmt: skip


def _evaluated(
    case: CaseFiles,
    model: tuple[nn.Module, NetworkConfiguration, dict[str, object]],
    configuration: InferenceConfiguration,
    blanked: Sequence[str],
    lesion_wise: bool,
) -> tuple[dict[str, Any], CaseCalibration]:
    network, network_configuration, _ = model
    if case.label is None:
        raise InvalidValueError(f"{case.name}: has no label file (_seg or -seg)")
    begin = time.perf_counter()
    modalities = network_configuration.modalities
    volume = without_sequences(case.read(modalities, blanks=len(blanked)), modalities, blanked)
    predicted = predict(volume, network, configuration, modalities)
    result = answer_of(predicted, volume, configuration, modalities)
    seconds = time.perf_counter() - begin
    reference = read_label(case.label, volume, name=f"{case.name} label")
    regions = score_labels(result.labels, reference.labels, volume.spacing)
    if lesion_wise:
        for region in TumorRegion:
            found, wanted = (region_mask(labels, region) for labels in (result.labels, reference.labels))
            regions[region.value].update(score_lesions(found, wanted, volume.spacing))
    return {
        "regions": regions,
        "seconds": round(seconds, 3),
        "warnings": [*result.warnings, *reference.warnings],
    }, _calibration(predicted, result, reference.labels, volume)


def _calibration(
    predicted: Prediction, result: Segmentation, reference: np.ndarray, volume: Volume
) -> CaseCalibration:
    """On the part that the network looked at in full resolution."""
    probabilities = predicted.probabilities()
    found, wanted = (
        prepared_label(labels, predicted.prepared, volume)[predicted.box.slices]
        for labels in (result.labels, reference)
    )
    brain = (predicted.prepared.image != 0).any(axis=0)[predicted.box.slices]
    intervals = volume_intervals_ml(probabilities, predicted.prepared.working_voxel_ml)
    told = doubt_about(np.zeros((1, 1, 1), np.uint8), np.eye(4), intervals, result.volumes_ml).intervals_ml
    return calibration_of(probabilities, found, wanted, brain, told, label_volumes_ml(reference, volume))


def summary_of(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Cases as in ``EvaluationReport.cases`` -> ``mean`` and ``median`` -> region -> figure."""
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for kind, function in (("mean", np.mean), ("median", np.median)):
        summary[kind] = {}
        if not rows:
            continue
        for region in TumorRegion:
            names = next(iter(rows.values()))["regions"][region.value]
            summary[kind][region.value] = {
                name: float(function([row["regions"][region.value][name] for row in rows.values()]))
                for name in names
            }
    return summary
