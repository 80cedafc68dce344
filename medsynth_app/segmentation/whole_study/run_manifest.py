"""What a reader needs to trust a mask: which program, weights and images made it, how, and what was doubtful."""

from __future__ import annotations

import datetime
import platform
from pathlib import Path
from typing import Any

import torch

from medsynth_app import __version__
from medsynth_app.files import file_digest
from medsynth_app.precision import takes_bf16
from medsynth_app.preparation.study_input import StudyInput
from medsynth_app.segmentation.inference import InferenceConfiguration
from medsynth_app.segmentation.whole_study.study_segmentation import StudySegmentation
from medsynth_app.vocabulary import RESEARCH_NOTICE


def run_manifest(
    study: StudyInput, answer: StudySegmentation, weights: Path | None, notes: dict[str, object],
    device: torch.device, configuration: InferenceConfiguration,
) -> dict[str, Any]:  # fmt: skip
    """The manifest of one answer, as JSON values; no path.

    Args:
        study: what came in.
        answer: what was answered.
        weights: the file of the network's weights.
        notes: of those weights.
        device: that the network ran on.
        configuration: how the network was run.
    """
    half = takes_bf16(device, configuration.precision)
    return {
        "medsynth": __version__, "python": platform.python_version(), "torch": torch.__version__,
        "made": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "weights": {
            "name": weights.name if weights else None, "sha256": file_digest(weights, "sha256") if weights else None,
            "step": notes.get("step"),
        },
        "device": device.type, "precision": "bf16" if half else "fp32",
        "options": {k: v for k, v in vars(configuration).items() if k != "cleaning"},
        "cleaning": dict(vars(configuration.cleaning)),
        "inputs": {
            modality: {**series.as_dict(), "sha256": series.digest()} for modality, series in study.series.items()
        },
        **answer.as_dict(), "notice": RESEARCH_NOTICE,
    }  # fmt: skip
