"""One segmentation after the other, each with its files: what ``medsynth segment`` and a batch worker do."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from medsynth_app.errors import UnsupportedKindError
from medsynth_app.files import whole_file
from medsynth_app.imaging.dicom.segmentation_object import EmptySegmentationError, write_segmentation
from medsynth_app.imaging.dicom.structure_set import write_structure_set
from medsynth_app.imaging.labels import write_label
from medsynth_app.imaging.mask_preview import write_mask_preview
from medsynth_app.preparation.pipeline import PreparationOptions, Stages
from medsynth_app.preparation.study_input import SeriesInput, StudyInput
from medsynth_app.segmentation.current_network import CurrentNetwork
from medsynth_app.segmentation.inference import InferenceConfiguration
from medsynth_app.segmentation.whole_study.run_manifest import run_manifest
from medsynth_app.segmentation.whole_study.study_segmentation import StudySegmentation, segment_study

UNFORESEEN = (OSError, RuntimeError, ValueError, MemoryError, KeyError, IndexError, TypeError, AttributeError)
"""What a broken file may still raise deep inside a library: it fails its own study, never the others."""


@dataclass
class Outcome:
    """What came of all inputs.

    Attributes:
        done: name -> figures.
        failed: name -> why not.
        manifests: name -> run manifest.
    """

    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class SegmentationJob:
    """One segmentation after the other, with the same settings."""

    network: CurrentNetwork
    configuration: InferenceConfiguration
    options: PreparationOptions
    blank: bool
    reference: str | None
    out: Path
    extras: dict[str, bool]

    def run(self, study: StudyInput, stages: Stages, outcome: Outcome) -> None:
        network, shape, notes = self.network.get()
        answer = segment_study(
            study, network, shape.modalities, self.configuration, self.options,
            blanks=len(shape.modalities) - 1 if self.blank else 0, reference=self.reference,
            doubt=self.extras["uncertainty"], stages=stages,
        )  # fmt: skip
        with stages.stage("write"):
            files, warnings = self._write(study, answer)
        figures = answer.as_dict()
        figures["seconds"] = {stage: round(value, 3) for stage, value in stages.seconds.items()}
        figures["warnings"] += warnings
        outcome.done[study.name] = {"files": files, **figures}
        manifest = run_manifest(
            study, answer, self.network.path(), notes, self.network.device, self.configuration
        )
        outcome.manifests[study.name] = {**manifest, **figures}

    def _write(self, study: StudyInput, answer: StudySegmentation) -> tuple[list[str], list[str]]:
        source = study.series[answer.reference]
        stem = self.out / study.name
        write_label(answer.labels, answer.affine, stem.with_name(f"{stem.name}_seg.nii.gz"))
        files, warnings = [f"{stem.name}_seg.nii.gz"], []
        for kind, write in (("dicom_seg", _write_dicom_seg), ("rtstruct", _write_rtstruct)):
            if not self.extras[kind]:
                continue
            target = stem.with_name(f"{stem.name}_{kind.removeprefix('dicom_')}.dcm")
            try:
                write(answer, source, target)
                files.append(target.name)
            except (EmptySegmentationError, UnsupportedKindError) as error:
                warnings.append(f"no {target.name}: {error.message}")
        if answer.doubt is not None:
            files.append(f"{stem.name}_uncertainty.nii.gz")
            _write_map(answer.doubt, answer.affine, stem.with_name(files[-1]))
        if self.extras["preview"]:
            files.append(f"{stem.name}_preview.png")
            write_mask_preview(source.read(), answer.labels, stem.with_name(files[-1]))
        return files, warnings


def _write_dicom_seg(answer: StudySegmentation, source: SeriesInput, target: Path) -> None:
    _check_dicom(source, "dicom-seg")
    with tempfile.TemporaryDirectory(prefix="medsynth-") as folder:
        # The converter takes a folder with the images of that series and nothing else.
        for index, path in enumerate(source.files):
            (Path(folder) / f"{index:05d}.dcm").symlink_to(path.resolve())
        write_segmentation(
            answer.labels, answer.affine, Path(folder), target, "MedSynth prediction", automatic=True
        )


def _write_rtstruct(answer: StudySegmentation, source: SeriesInput, target: Path) -> None:
    _check_dicom(source, "rtstruct")
    write_structure_set(answer.labels, answer.affine, source.files, target, "MedSynth prediction")


def _check_dicom(source: SeriesInput, option: str) -> None:
    if not source.is_dicom:
        raise UnsupportedKindError(f"--{option} needs DICOM input to refer to, {source.title!r} is an image file")


def _write_map(array: np.ndarray, affine: np.ndarray, path: Path) -> None:
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code=1)
    with whole_file(path) as beside:
        nib.save(image, beside)
