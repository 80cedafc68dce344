"""``brain_tumor_segmentation`` as a MONAI Label inference task."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from lib.datastore import OWN_FOLDER, CaseDatastore
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.label_writing import RESULT_ENDINGS, write_result
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.options import Option, parse_options, shown_options
from medsynth_app.preparation.cache import PreparedCache
from medsynth_app.preparation.pipeline import PreparationOptions, Stages
from medsynth_app.segmentation.current_network import CurrentNetwork
from medsynth_app.segmentation.missing_sequences import missing_warnings
from medsynth_app.segmentation.options import INFERENCE_OPTIONS, inference_configuration
from medsynth_app.segmentation.whole_study.study_segmentation import segment_case
from medsynth_app.vocabulary import LABEL_NAMES, RESEARCH_NOTICE

# What Slicer and OHIF add to every request; the values are theirs, not options to show.
VIEWER_OPTIONS = (
    Option("result_extension", ".nii.gz", "Kind of file answered.", RESULT_ENDINGS),
    Option("result_compress", True, "Compress an .nrrd answer; OHIF cannot read a compressed one."),
)


class BrainTumorSegmentationInferTask(InferTask):
    """Four sequences in, label map with necrotic core 1, oedema 2, enhancing tumour 3 out.

    Args:
        current: the network that is served.
    """

    requires_image = True

    def __init__(self, current: CurrentNetwork) -> None:
        super().__init__(
            type=InferType.SEGMENTATION,
            labels=dict(LABEL_NAMES),
            dimension=3,
            description="Brain tumour (glioma) on FLAIR, T1, T1ce and T2 by a 3-D U-Net. " + RESEARCH_NOTICE,
            config=shown_options(INFERENCE_OPTIONS),
        )
        self.current = current

    def is_valid(self) -> bool:
        """Whether there are weights to serve."""
        return self.current.path() is not None

    def get_path(self, validate: bool = True) -> str | None:
        """The weights file, for MONAI Label's model routes."""
        path = self.current.path()
        return str(path) if path else None

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Segment ``request["case"]``; returns a temporary file and the facts about it.

        Raises:
            InvalidValueError, UnsupportedKindError: an option or a file is unfit.
        """
        begin = time.perf_counter()
        options, warnings = parse_options(
            (*INFERENCE_OPTIONS, *VIEWER_OPTIONS), request["params"], ignored=request.get("ignored", ())
        )
        _check_result(options)
        network, configuration, notes = self.current.get()
        case: CaseFiles = request["case"]
        blanks = len(configuration.modalities) - 1 if options["missing_sequence"] == "blank" else 0
        stages = Stages()
        answer = segment_case(
            case, network, configuration.modalities, inference_configuration(options),
            PreparationOptions(str(options["preparation"]), cache=_cache_of(request.get("datastore"))),
            blanks=blanks, doubt=options["result"] == "uncertainty", stages=stages,
        )  # fmt: skip
        result = answer.result
        voxels = result.labels if answer.doubt is None else answer.doubt
        warnings += missing_warnings(case.missing(configuration.modalities), configuration.modalities, notes)
        path = temporary_file(str(options["result_extension"]))
        try:
            with stages.stage("write"):
                write_result(voxels, answer.affine, path, compress=bool(options["result_compress"]))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return str(path), {
            "label_names": dict(LABEL_NAMES),
            "volumes_ml": result.volumes_ml,
            "centroid_ras_mm": result.centroid_ras_mm,
            "bounding_box_voxels": result.bounding_box_voxels,
            "mean_entropy": round(result.mean_entropy, 5),
            **(result.doubt.as_dict() if result.doubt is not None else {}),
            "warnings": list(dict.fromkeys([*warnings, *answer.warnings])),
            "kind": answer.kind,
            "kind_reason": answer.reason,
            "series": answer.series,
            "series_used": case.series_used(configuration.modalities),
            "preparation": answer.preparation,
            "model_step": notes.get("step"),
            "latencies": {
                **{stage: round(seconds, 3) for stage, seconds in stages.seconds.items()},
                "total": round(time.perf_counter() - begin, 3),
            },
            "notice": RESEARCH_NOTICE,
        }


def _check_result(options: dict[str, Any]) -> None:
    if options["result"] == "uncertainty" and options["result_extension"] == ".seg.nrrd":
        raise InvalidValueError(
            "result_extension: '.seg.nrrd' holds labels; with result=uncertainty allowed are .nii.gz, .nii, .nrrd"
        )


def _cache_of(datastore: object) -> PreparedCache | None:
    """Prepared studies are kept beside the studies."""
    return PreparedCache(datastore.root / OWN_FOLDER / "prepared") if isinstance(datastore, CaseDatastore) else None


def temporary_file(ending: str) -> Path:
    """An empty file of our own, with that ending."""
    handle, name = tempfile.mkstemp(suffix=ending, prefix="medsynth-")
    os.close(handle)
    return Path(name)
