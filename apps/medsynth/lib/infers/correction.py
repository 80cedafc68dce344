"""``brain_tumor_scribbles`` and ``brain_tumor_edit``: an annotator's strokes or points correct the label map."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from lib.infers.segmentation import VIEWER_OPTIONS, temporary_file
from medsynth_app.errors import InvalidValueError, MalformedRequestError
from medsynth_app.imaging.label_writing import write_result
from medsynth_app.imaging.labels import canonical_labels, read_on_grid
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.options import parse_options, shown_options
from medsynth_app.segmentation.correction.points import POINT_RADIUS_VOXELS, balls
from medsynth_app.segmentation.correction.reading import FOREGROUND_STROKES, Scribbles, read_scribbles
from medsynth_app.segmentation.correction.session import OpenCase, OpenCases, open_case
from medsynth_app.segmentation.correction.strokes import (
    LABEL_VALUES,
    Strokes,
    strokes_from_points,
)
from medsynth_app.segmentation.current_network import CurrentNetwork
from medsynth_app.segmentation.inference import label_volumes_ml
from medsynth_app.segmentation.options import CORRECTION_OPTIONS, cut_configuration
from medsynth_app.vocabulary import LABEL_NAMES, RESEARCH_NOTICE

NOT_OPTIONS = ("label_info", "selected_label_name", "roi", "label", "foreground", *LABEL_VALUES)


class CorrectionInferTask(InferTask):
    """What scribbles and points have in common; a subclass reads what was marked.

    Args:
        current: the network that is served.
        open_cases: cases that were corrected last; shared by both tasks.
        kind: MONAI Label's type, by which viewers choose the panel.
        description: shown to users.
    """

    requires_image = True

    def __init__(self, current: CurrentNetwork, open_cases: OpenCases, kind: str, description: str) -> None:
        super().__init__(
            type=kind,
            labels=dict(LABEL_NAMES),
            dimension=3,
            description=f"{description} {RESEARCH_NOTICE}",
            config=shown_options(CORRECTION_OPTIONS),
        )
        self._current = current
        self._open_cases = open_cases

    def is_valid(self) -> bool:
        """Whether there are weights to ask."""
        return self._current.path() is not None

    def scribbles(self, request: Mapping[str, Any], case: OpenCase) -> Scribbles:
        """Labels and strokes of a request, on the image's grid."""
        raise NotImplementedError

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Correct the label map of ``request["case"]``; returns a temporary file and the facts about it.

        Raises:
            InvalidValueError: strokes outside of the image, of unknown labels, or contradicting ones.
            UnsupportedKindError: a file cannot be read.
        """
        begin = time.perf_counter()
        options, warnings = parse_options(
            (*CORRECTION_OPTIONS, *VIEWER_OPTIONS), request["params"],
            ignored=(*request.get("ignored", ()), *NOT_OPTIONS),
        )  # fmt: skip
        case = self._open(request)
        opened = time.perf_counter()
        given = self.scribbles(request, case)
        before = given.labels if given.labels is not None else case.answer()
        after = case.corrected(before, _inside(given.strokes, request["params"].get("roi")), cut_configuration(options))
        corrected = time.perf_counter()
        selected = _selected(request["params"]) if options["result"] != "label_map" else None
        shown = after if selected is None else np.where(after == selected, after, 0).astype(np.uint8)
        path = temporary_file(str(options["result_extension"]))
        write_result(shown, case.source.affine, path, compress=bool(options["result_compress"]))
        done = time.perf_counter()
        return str(path), {
            "label_names": dict(LABEL_NAMES),
            "volumes_ml": label_volumes_ml(after, case.source),
            "voxels_marked": int((given.strokes.values >= 0).sum()),
            "voxels_changed": int((after != before).sum()),
            "warnings": warnings,
            "latencies": {
                "open": round(opened - begin, 3),
                "correct": round(corrected - opened, 3),
                "write": round(done - corrected, 3),
                "total": round(done - begin, 3),
            },
            "notice": RESEARCH_NOTICE,
        }

    def _open(self, request: Mapping[str, Any]) -> OpenCase:
        network, configuration, _ = self._current.get()
        files: CaseFiles = request["case"]

        def opened() -> OpenCase:
            volume = files.read(configuration.modalities, blanks=len(configuration.modalities) - 1)
            return open_case(volume, network)

        return self._open_cases.get((_signature(files), self._current.loaded), opened)


class BrainTumorScribblesInferTask(CorrectionInferTask):
    """Strokes in a label map, as 3D Slicer's Scribbles panel and the page send them."""

    def __init__(self, current: CurrentNetwork, open_cases: OpenCases) -> None:
        super().__init__(
            current, open_cases, InferType.SCRIBBLES, "Strokes correct the tumour's labels by a graph cut around them."
        )

    def scribbles(self, request: Mapping[str, Any], case: OpenCase) -> Scribbles:
        """Labels and strokes of the uploaded file."""
        if not request.get("label"):
            raise MalformedRequestError("label: upload a label map with the strokes")
        params = request["params"]
        values = read_on_grid(Path(request["label"]), case.source)
        return read_scribbles(values, params.get("label_info"), params.get("selected_label_name"))


class BrainTumorEditInferTask(CorrectionInferTask):
    """Points per label in ``params``, as 3D Slicer's SmartEdit and OHIF send them."""

    def __init__(self, current: CurrentNetwork, open_cases: OpenCases) -> None:
        super().__init__(
            current, open_cases, InferType.DEEPEDIT, "Points correct the tumour's labels by a graph cut around them."
        )

    def scribbles(self, request: Mapping[str, Any], case: OpenCase) -> Scribbles:
        """The points, and the labels of the uploaded file where there is one."""
        params = request["params"]
        points = {name: params[name] for name in LABEL_VALUES if params.get(name)}
        if isinstance(params.get("foreground"), list) and params["foreground"]:
            name = str(params.get("label", "")).strip().lower().replace(" ", "_")
            points[name] = [*points.get(name, ()), *params["foreground"]]
        labels = None
        if request.get("label"):
            labels = canonical_labels(read_on_grid(Path(request["label"]), case.source))
        strokes = strokes_from_points(points, case.source.spatial_shape)
        return Scribbles(labels, balls(strokes, POINT_RADIUS_VOXELS))


def _selected(params: Mapping[str, Any]) -> int | None:
    """Value of the one label that 3D Slicer's Scribbles panel replaces; None where all labels are wanted."""
    names = [str(row.get("name")) for row in params.get("label_info") or () if isinstance(row, Mapping)]
    if FOREGROUND_STROKES not in names or params.get("selected_label_name") not in LABEL_NAMES:
        return None
    return LABEL_NAMES[params["selected_label_name"]]


def _inside(strokes: Strokes, roi: object) -> Strokes:
    """Strokes inside of the viewer's box [i0, i1, j0, j1, k0, k1]; all of them without one."""
    if not roi:
        return strokes
    if not isinstance(roi, list) or len(roi) != 6 or not all(isinstance(v, (int, float)) for v in roi):
        raise InvalidValueError("roi: must be six voxel indices [i0, i1, j0, j1, k0, k1]")
    kept = np.full_like(strokes.values, -1)
    box = tuple(slice(max(0, int(min(a, b))), max(0, int(max(a, b)))) for a, b in zip(roi[::2], roi[1::2]))
    kept[box] = strokes.values[box]
    if not (kept >= 0).any():
        raise InvalidValueError("roi: holds no stroke", code="no_strokes")
    return Strokes(kept)


def _signature(files: CaseFiles) -> Hashable:
    """Which files: names, sizes and times."""
    paths = [files.combined] if files.combined else sorted(files.sequences.values())
    return tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths if path is not None)
