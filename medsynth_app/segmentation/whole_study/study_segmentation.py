"""A study in, raw or prepared; a label map on the series that the user looks at out.

A prepared study goes the way of ``inference.segment``. A raw one is prepared first; the class probabilities, not the
labels, are brought to the voxels of the reference series, and the most probable class is taken there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.imaging.volume import Volume
from medsynth_app.preparation.interpolation import Grid, labels_on_series
from medsynth_app.preparation.pipeline import (
    PreparationOptions,
    SeenStudy,
    Stages,
    look_at,
    prepare_study,
)
from medsynth_app.preparation.prepared import PreparedStudy
from medsynth_app.preparation.study_input import StudyInput, stacked, study_of_case
from medsynth_app.segmentation.doubt import Doubt, doubt_about, relative_entropy, volume_intervals_ml
from medsynth_app.segmentation.fitted import fitted_of
from medsynth_app.segmentation.inference import (
    FOUR_SEQUENCES,
    InferenceConfiguration,
    Segmentation,
    cleaned_answer,
    label_volumes_ml,
    labels_of,
    place_of,
    predict_closely,
    segment,
)
from medsynth_app.segmentation.missing_sequences import blank_warnings
from medsynth_app.segmentation.plausibility import doubts_about
from medsynth_app.segmentation.transforms import prepare
from medsynth_app.vocabulary import Modality

DEFAULT_REFERENCE = {"raw": Modality.T1CE.value, "prepared": Modality.FLAIR.value}


@dataclass(frozen=True)
class StudySegmentation:
    """The answer for one study.

    Attributes:
        name: of the study.
        result: labels on the grid of the reference series, volumes, place.
        affine: (4, 4) voxel -> RAS mm of that grid.
        reference: the sequence whose grid it is.
        kind: ``raw`` or ``prepared``.
        reason: why it was taken for that.
        series: modality -> title and what was done to it.
        passed_over: other series of the study and why.
        preparation: how a raw study was prepared, None for a prepared one.
        warnings: what the reader should know.
        seconds: stage -> wall time.
        brain: (X, Y, Z) bool on the same grid, for a raw study.
    """

    name: str
    result: Segmentation
    affine: np.ndarray
    reference: str
    kind: str
    reason: str
    series: dict[str, dict[str, Any]] = field(default_factory=dict)
    passed_over: tuple[dict[str, str], ...] = ()
    preparation: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    brain: np.ndarray | None = None

    @property
    def doubt(self) -> np.ndarray | None:
        """(X, Y, Z) uint8, entropy in per cent on the same grid, where it was asked for."""
        return self.result.doubt.percent if self.result.doubt is not None else None

    @property
    def labels(self) -> np.ndarray:
        """(X, Y, Z) uint8, values 0..3."""
        return self.result.labels

    @property
    def volumes_ml(self) -> dict[str, float]:
        """Label name -> ml."""
        return self.result.volumes_ml

    def as_dict(self) -> dict[str, Any]:
        """Figures for scripts; JSON values, no path."""
        return {
            "kind": self.kind, "reason": self.reason, "reference": self.reference, "volumes_ml": self.volumes_ml,
            "mean_entropy": round(self.result.mean_entropy, 5), "centroid_ras_mm": self.result.centroid_ras_mm,
            "series": self.series, "passed_over": list(self.passed_over), "preparation": self.preparation,
            "gates": self.preparation["gates"] if self.preparation else [], "warnings": list(self.warnings),
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
            **(self.result.doubt.as_dict() if self.result.doubt is not None else {}),
        }  # fmt: skip


def segment_study(
    study: StudyInput,
    network: nn.Module,
    modalities: Sequence[str] = FOUR_SEQUENCES,
    configuration: InferenceConfiguration = InferenceConfiguration(),
    options: PreparationOptions = PreparationOptions(),
    *,
    blanks: int = 0,
    reference: str | None = None,
    doubt: bool = False,
    stages: Stages | None = None,
) -> StudySegmentation:
    """Segment one study.

    Args:
        study: its series.
        network: in evaluation mode.
        modalities: the sequences that the network takes, in its order.
        configuration: how the network is run.
        options: how the study is prepared.
        blanks: how many sequences may be missing.
        reference: whose grid the answer is on; T1ce of a raw study, FLAIR of a prepared one by default (else the
            first there is).
        doubt: whether to answer the entropy map too.
        stages: told of each stage.

    Raises:
        InvalidValueError: a sequence is missing or was refused, there is no brain, an unknown reference (422).
        NoBrainExtractionError: it shows the skull and the extra is not installed (503).
    """
    stages = stages or Stages()
    study.check_complete(modalities, blanks)
    if reference is not None and reference not in study.series:
        raise InvalidValueError(f"reference: {reference!r} must be one of {', '.join(study.series)}")
    with stages.stage("read"):
        seen = look_at(study)
    if options.mode == "none" or seen.is_prepared:
        return _segment_prepared(study, seen, network, modalities, configuration, reference, doubt, stages)
    prepared = prepare_study(study, options, stages, seen)
    _check_refused(study, prepared, modalities, blanks)
    return _segment_raw(study, seen, prepared, network, modalities, configuration, reference, doubt, stages)


def segment_case(
    case: CaseFiles,
    network: nn.Module,
    modalities: Sequence[str] = FOUR_SEQUENCES,
    configuration: InferenceConfiguration = InferenceConfiguration(),
    options: PreparationOptions = PreparationOptions(),
    *,
    blanks: int = 0,
    doubt: bool = False,
    stages: Stages | None = None,
) -> StudySegmentation:
    """Segment one case of a server: the answer is on the grid of the image that the viewer holds.

    Args:
        case: files of a folder, or of a DICOM archive; those also know their ``native`` series and the ``opened`` one.
        doubt: whether to answer what the network is unsure of too.

    Raises:
        As ``segment_study``; what a prepared case lacks is told as ``CaseFiles.read`` tells it.
    """
    stages = stages or Stages()
    native: StudyInput | None = getattr(case, "native", None)
    study = native or study_of_case(case)
    opened: Path | None = getattr(case, "opened", None)
    shown = next((m for m, s in study.series.items() if s.files == (opened,)), None)
    if options.mode != "none" and len(study.missing(modalities)) <= min(blanks, len(modalities) - 1):
        with stages.stage("read"):
            seen = look_at(study)
        if not seen.is_prepared:
            prepared = prepare_study(study, options, stages, seen)
            _check_refused(study, prepared, modalities, blanks)
            name = shown or _default(study, "prepared" if native is None else "raw")
            grid = None
            if native is not None and shown is None and opened is not None:
                grid = _grid_of_file(opened)
            return _segment_raw(
                study, seen, prepared, network, modalities, configuration, name, doubt, stages, grid
            )
        if native is None:
            return _segment_prepared(study, seen, network, modalities, configuration, None, doubt, stages)
    return _segment_as_it_is(case, study, network, modalities, configuration, blanks, doubt, stages)


def _segment_as_it_is(
    case: CaseFiles, study: StudyInput, network: nn.Module, modalities: Sequence[str],
    configuration: InferenceConfiguration, blanks: int, doubt: bool, stages: Stages,
) -> StudySegmentation:  # fmt: skip
    with stages.stage("read"):
        volume = case.read(modalities, blanks=blanks)
    with stages.stage("segment"):
        result = segment(volume, network, configuration, modalities, doubt=doubt)
    warnings = [*blank_warnings(case.missing(modalities)), *case.notes, *result.warnings]
    return StudySegmentation(
        name=case.name, result=result, affine=volume.affine, reference=_default(study, "prepared"), kind="prepared",
        reason="taken as it is", series={m: s.as_dict() for m, s in study.series.items()}, warnings=tuple(warnings),
        seconds=dict(stages.seconds),
    )  # fmt: skip


def _grid_of_file(path: Path) -> Grid:
    volume = read_volume(path)
    return volume.affine, volume.spatial_shape


def _check_refused(study: StudyInput, prepared: PreparedStudy, modalities: Sequence[str], blanks: int) -> None:
    left = StudyInput(
        study.name, {m: s for m, s in study.series.items() if m in prepared.modalities},
        problems={**study.problems, **prepared.refused},
    )  # fmt: skip
    left.check_complete(modalities, blanks)


def _segment_prepared(
    study: StudyInput, seen: SeenStudy, network: nn.Module, modalities: Sequence[str],
    configuration: InferenceConfiguration, reference: str | None, doubt: bool, stages: Stages,
) -> StudySegmentation:  # fmt: skip
    volume = stacked(seen.volumes, modalities, study.name)
    with stages.stage("segment"):
        result = segment(volume, network, configuration, modalities, doubt=doubt)
    raw = [f"{m} shows a whole head ({k.reason})" for m, k in seen.kinds.items() if not k.stripped]
    warnings = [*study.notes, *blank_warnings(study.missing(modalities)), *result.warnings]
    warnings += [f"preparation=none: {text}; the network knows stripped brains only" for text in raw]
    return StudySegmentation(
        name=study.name, result=result, affine=volume.affine, reference=reference or _default(study, "prepared"),
        kind="prepared", reason=seen.reason if not raw else "preparation=none was asked for",
        series={m: s.as_dict() for m, s in study.series.items()}, passed_over=study.passed_over,
        warnings=tuple(warnings), seconds=dict(stages.seconds),
    )  # fmt: skip


def _segment_raw(
    study: StudyInput, seen: SeenStudy, prepared: PreparedStudy, network: nn.Module, modalities: Sequence[str],
    configuration: InferenceConfiguration, reference: str | None, doubt: bool, stages: Stages, grid: Grid | None = None,
) -> StudySegmentation:  # fmt: skip
    """``grid``: where the answer is wanted in the space of the reference series, if not on its own voxels."""
    volume = prepared.volume(tuple(modalities))
    with stages.stage("segment"):
        found = class_probabilities(volume, network, configuration, modalities, doubt=doubt)
    name = reference or _default(study, "raw")
    grid = grid or prepared.grids[name]
    # A refused series can still be looked at: it lies where its header says.
    way = prepared.transforms.get(name, np.eye(4))
    with stages.stage("way back"):
        labels = labels_on_series(found.probabilities, found.affine, way, grid)
        layers = np.stack([prepared.brain == 0, prepared.brain]).astype(np.float32)
        brain = labels_on_series(layers, prepared.affine, way, grid) > 0
    volumes_ml = label_volumes_ml(labels, Volume(np.broadcast_to(np.uint8(0), (1, *grid[1])), grid[0]))
    result = Segmentation(
        labels, volumes_ml, *place_of(labels, grid[0]), mean_entropy=found.mean_entropy,
        doubt=_doubt(found, way, grid, volumes_ml),
    )  # fmt: skip
    blank = [m for m in modalities if m not in prepared.modalities]
    warnings = [*prepared.warnings, *blank_warnings(blank), *found.doubts]
    if name not in prepared.transforms:
        warnings.append(f"the answer is on {name}, which was refused: it may lie beside what that series shows")
    return StudySegmentation(
        name=study.name, result=result, affine=grid[0], reference=name, kind="raw", reason=seen.reason,
        series=prepared.series, passed_over=study.passed_over, preparation=prepared.record(),
        warnings=tuple(warnings), seconds=dict(stages.seconds), brain=brain,
    )  # fmt: skip


def _default(study: StudyInput, kind: str) -> str:
    wanted = DEFAULT_REFERENCE[kind]
    return wanted if wanted in study.series else next(iter(study.series))


@dataclass(frozen=True)
class ClassProbabilities:
    """What the network says of a case at 1 mm.

    Attributes:
        probabilities: (4, x, y, z) float32 of the part that holds the tumour, with the cleaning's decisions in it.
        affine: (4, 4), its voxels -> RAS mm.
        mean_entropy: as in ``Segmentation``.
        doubts: what is odd about the mask, as sentences.
        entropy: (x, y, z) float32 of the network's own probabilities after their temperature, 0 to 1; None where doubt
            was not asked for.
        intervals_ml: label name -> smallest and largest volume, of the same probabilities.
    """

    probabilities: np.ndarray
    affine: np.ndarray
    mean_entropy: float
    doubts: tuple[str, ...]
    entropy: np.ndarray | None = None
    intervals_ml: dict[str, tuple[float, float]] = field(default_factory=dict)


@torch.inference_mode()
def class_probabilities(
    volume: Volume, network: nn.Module, configuration: InferenceConfiguration, modalities: Sequence[str],
    *, doubt: bool = False,
) -> ClassProbabilities:  # fmt: skip
    """As ``inference.segment``, but the classes' probabilities where that answers labels.

    Args:
        volume: (C, X, Y, Z), stripped, 1 mm.
        doubt: whether entropy and intervals are wanted.
    """
    prepared = prepare(volume)
    image = torch.from_numpy(prepared.image)
    box, logits = predict_closely(image, network, configuration)
    part = box.slices
    found, entropy = labels_of(image, box, logits)
    cleaned = cleaned_answer(found, prepared, configuration.cleaning, modalities)
    probabilities = torch.softmax(logits.float(), dim=0).cpu().numpy()
    probabilities = _with_decisions(probabilities, found[part], cleaned[part])
    affine = prepared.working[0].copy()
    affine[:3, 3] += affine[:3, :3] @ (np.array(prepared.box.start) + np.array(box.start))
    doubts = (*prepared.doubts, *doubts_about(cleaned, (prepared.image != 0).any(axis=0)))
    if not doubt:
        return ClassProbabilities(probabilities, affine, entropy, doubts)
    told = torch.softmax(logits.float() / fitted_of(network).temperature, dim=0).cpu().numpy()
    intervals_ml = volume_intervals_ml(told, prepared.working_voxel_ml)
    return ClassProbabilities(probabilities, affine, entropy, doubts, relative_entropy(told), intervals_ml)


def _with_decisions(probabilities: np.ndarray, found: np.ndarray, cleaned: np.ndarray) -> np.ndarray:
    """Where the cleaning gave a voxel another label, that label is certain.

    A removed focus takes its rim of half-probabilities with it: between two voxels it must not come back.
    """
    changed = found != cleaned
    if not changed.any():
        return probabilities
    removed = ndimage.binary_dilation(changed & (cleaned == 0)) & (cleaned == 0)
    result = probabilities.copy()
    for index in range(len(result)):
        result[index][changed | removed] = 0.0
        result[index][changed & (cleaned == index)] = 1.0
    result[0][removed] = 1.0
    return result


def _doubt(found: ClassProbabilities, way: np.ndarray, grid: Grid, volumes_ml: dict[str, float]) -> Doubt | None:
    """What the network is unsure of, on a series' grid; None where that was not asked for."""
    if found.entropy is None:
        return None
    voxels = np.linalg.inv(found.affine) @ np.linalg.inv(way) @ grid[0]
    moved = ndimage.affine_transform(found.entropy, voxels[:3, :3], voxels[:3, 3], output_shape=grid[1], order=1)
    percent = np.round(100 * np.clip(moved, 0, 1)).astype(np.uint8)
    return doubt_about(percent, grid[0], found.intervals_ml, volumes_ml)
