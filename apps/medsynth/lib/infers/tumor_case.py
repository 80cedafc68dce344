"""``tumor_case_synthesis`` as a MONAI Label inference task: needs no image, takes conditions or a drawn mask."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from lib.datastore import CaseDatastore
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.labels import write_label
from medsynth_app.imaging.marking import synthetic_nifti
from medsynth_app.imaging.reading import read_volume
from medsynth_app.options import Option, parse_options
from medsynth_app.synthesis.tumor.generator import GENERATOR_NAME, TumorCase, generate_tumor_case
from medsynth_app.synthesis.tumor.request import TumorCaseRequest
from medsynth_app.vocabulary import LABEL_NAMES, RESEARCH_NOTICE, Modality

ANSWER_OPTIONS = (
    Option("save", False, "Store the result as a new labelled case and answer its id."),
    Option(
        "result",
        "images",
        "Which file is answered: the four sequences as 4-D, or the label map.",
        ("images", "label"),
    ),
    Option("result_extension", ".nii.gz", "Kind of file answered.", (".nii.gz", ".nii")),
)
LARGEST_SEED = 2**31 - 1


class TumorCaseSynthesisInferTask(InferTask):
    """Conditions (or a mask) in, a labelled four-sequence case out."""

    requires_image = False

    def __init__(self) -> None:
        defaults = TumorCaseRequest().as_conditions()
        shown = {k: v for k, v in defaults.items() if isinstance(v, (int, float, bool)) and k != "seed"}
        super().__init__(
            type=InferType.OTHERS,
            labels=[],
            dimension=3,
            description=f"A labelled brain-tumour case that does not exist. {RESEARCH_NOTICE}",
            config={"seed": 0, **shown, "save": False},
        )

    def is_valid(self) -> bool:
        """Needs no weights."""
        return True

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make one case; returns a temporary file and the facts about it.

        Raises:
            InvalidValueError: an unknown or impossible condition, named.
        """
        begin = time.perf_counter()
        given = {k: v for k, v in request["params"].items() if k not in request.get("ignored", ())}
        names = [option.name for option in ANSWER_OPTIONS]
        options, _ = parse_options(ANSWER_OPTIONS, {k: given.pop(k) for k in names if k in given})
        # Chance leaves with the result: without a seed one is drawn and answered.
        given.setdefault("seed", secrets.randbelow(LARGEST_SEED))
        mask = read_volume(request["label"], "label") if request.get("label") else None
        case = generate_tumor_case(TumorCaseRequest.from_parameters(given), mask)
        facts = {
            "generator": GENERATOR_NAME,
            "seed": case.seed,
            "conditions": case.conditions,
            "volumes_ml": case.volumes_ml,
            "seed_point_mm": list(case.seed_point_mm),
            "label_names": dict(LABEL_NAMES),
            "synthetic": case.mark.as_dict(),
            "notice": RESEARCH_NOTICE,
        }
        if options["save"]:
            facts["image"] = _save(case, request["datastore"])
        path = _write(case, str(options["result"]), str(options["result_extension"]))
        facts["latencies"] = {"total": round(time.perf_counter() - begin, 3)}
        return str(path), facts


def _write(case: TumorCase, result: str, ending: str) -> Path:
    handle, name = tempfile.mkstemp(suffix=ending, prefix="medsynth-")
    os.close(handle)
    path = Path(name)
    array = case.label if result == "label" else np.moveaxis(case.images.array, 0, 3)
    nib.save(synthetic_nifti(array, case.images.affine, case.mark), path)
    return path


def _save(case: TumorCase, datastore: Datastore) -> str:
    """Store the case with its label, so that it trains at once."""
    if not isinstance(datastore, CaseDatastore):
        raise InvalidValueError("save: a DICOMweb server as studies takes no generated cases")
    name = f"synthetic-{case.seed}-{secrets.token_hex(4)}"
    folder = Path(tempfile.mkdtemp(prefix="medsynth-"))
    try:
        sequences = {}
        for modality, channel in zip(Modality, case.images.array):
            sequences[modality.value] = folder / f"{modality.value}.nii.gz"
            nib.save(synthetic_nifti(channel, case.images.affine, case.mark), sequences[modality.value])
        write_label(case.label, case.images.affine, folder / "seg.nii.gz")
        return datastore.add_case(name, sequences, folder / "seg.nii.gz", {"synthetic": case.mark.as_dict()})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
