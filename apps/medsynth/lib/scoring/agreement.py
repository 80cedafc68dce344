"""``agreement``: Dice and HD95 of every label between the model's answer and the submitted label.

MONAI Label's own Dice multiplies by the label's value, so that equal masks of value 3 score 3.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod

from lib.datastore import FINAL, CaseDatastore
from medsynth_app.imaging.labels import read_submitted_label
from medsynth_app.imaging.reading import read_volume
from medsynth_app.segmentation.evaluation.metrics import score_region
from medsynth_app.vocabulary import LABEL_NAMES

ORIGINAL = "original"


class AgreementScoring(ScoringMethod):
    """What MONAI Label lists as scoring method; the work is done by the server's one background thread.

    Args:
        start: wakes that thread; answers what there is to do.
    """

    def __init__(self, start: Callable[[], dict[str, Any]]) -> None:
        super().__init__("Dice and HD95 in mm of every label between original and final label")
        self._start = start

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Wake the background thread; answers at once."""
        return self._start()


def label_agreement(first: np.ndarray, second: np.ndarray, spacing_mm: np.ndarray) -> dict[str, dict[str, float]]:
    """Label name -> ``dice`` and ``hd95_mm``.

    Args:
        first: (X, Y, Z) label map, values 0..3.
        second: the same.
        spacing_mm: voxel size, shape (3,).
    """
    scores = {name: score_region(first == value, second == value, spacing_mm) for name, value in LABEL_NAMES.items()}
    return {name: {"dice": score.dice, "hd95_mm": score.hd95_mm} for name, score in scores.items()}


def score_submission(datastore: CaseDatastore, case: str, version: int) -> dict[str, dict[str, float]] | None:
    """Agreement of one submitted label with the model's answer it corrects.

    Args:
        datastore: cases and labels.
        case: case name.
        version: of the final label.

    Returns:
        As ``label_agreement``, or None where the annotator had no answer of a model.
    """
    submitted = datastore.label_version_file(case, version) if version else datastore.label_file(case, FINAL)
    proposal = datastore.versions.proposal(case, version) or _original(datastore, case)
    if proposal is None:
        return None
    image = read_volume(datastore.display_file(case), case)
    final = read_submitted_label(submitted, image, name="final label")
    original = read_submitted_label(proposal, image, name="original label")
    return label_agreement(original, final, image.spacing)


def _original(datastore: CaseDatastore, case: str) -> Path | None:
    path = datastore.get_label_uri(case, ORIGINAL)
    return Path(path) if path else None
