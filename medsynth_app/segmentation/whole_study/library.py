"""``ms.segment`` and ``ms.prepare``: one call from a study on disk to a mask, or to a prepared case."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medsynth_app.errors import InvalidValueError
from medsynth_app.preparation.cache import PreparedCache, user_cache
from medsynth_app.preparation.finding import find_studies, study_of_files
from medsynth_app.preparation.pipeline import PreparationOptions, look_at, prepare_study
from medsynth_app.preparation.study_input import StudyInput
from medsynth_app.preparation.writing import write_prepared, write_unchanged
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork
from medsynth_app.segmentation.inference import InferenceConfiguration
from medsynth_app.segmentation.whole_study.study_segmentation import StudySegmentation, segment_study

StudySource = str | Path | Mapping[str, "str | Path"]
MISSING = ("refuse", "blank")


def segment_input(
    input: StudySource, preparation: str = "auto", *, reference: str | None = None, missing_sequence: str = "refuse",
    brain_mask: str | Path | None = None, weights: str | Path | None = None, device: str | None = None,
    uncertainty: bool = False, cache: bool = True, configuration: InferenceConfiguration = InferenceConfiguration(),
) -> StudySegmentation:  # fmt: skip
    """Segment one study, raw or prepared.

    Args:
        input: case folder, DICOM folder with one study, 4-D file; or modality -> file.
        preparation: ``auto`` finds out whether the study is raw; ``none`` takes it as it is.
        reference: the sequence on whose grid the answer is; T1ce of a raw study, FLAIR of a prepared one by default.
        missing_sequence: ``refuse``, or ``blank`` for any number of sequences but all.
        brain_mask: file with the brain, in the reference's space, instead of brain extraction.
        weights: the shipped ones by default.
        device: ``cpu`` or ``cuda``; the best there is by default.
        uncertainty: whether to answer the entropy map (``doubt``) too.
        cache: whether a prepared study is kept for the next call.
        configuration: how the network is run.

    Returns:
        ``labels`` (X, Y, Z) uint8 0..3, ``affine`` voxel -> RAS mm, ``volumes_ml``, ``warnings`` and how it was made.

    Raises:
        MedSynthError: of the kinds that ``segment_study`` names.
    """
    if missing_sequence not in MISSING:
        raise InvalidValueError(f"missing_sequence: {missing_sequence!r} must be one of {', '.join(MISSING)}")
    network, shape, _ = CurrentNetwork([Path(weights) if weights else SHIPPED_WEIGHTS], device).get()
    return segment_study(
        _one_study(input), network, shape.modalities, configuration, _options(preparation, brain_mask, cache),
        blanks=len(shape.modalities) - 1 if missing_sequence == "blank" else 0, reference=reference, doubt=uncertainty,
    )  # fmt: skip


def prepare_input(
    input: StudySource, out: str | Path, *, brain_mask: str | Path | None = None, cache: bool = True
) -> Path:
    """Prepare one study and write it as a BraTS-style case.

    Args:
        input: as in ``segment_input``.
        out: folder in which the case folder is made.
        brain_mask: file with the brain, in the reference's space, instead of brain extraction.
        cache: whether a prepared study is kept for the next call.

    Returns:
        The case folder.
    """
    study = _one_study(input)
    seen = look_at(study)
    if seen.is_prepared:
        return write_unchanged(study, seen.volumes, seen.reason, Path(out))
    return write_prepared(prepare_study(study, _options("auto", brain_mask, cache), seen=seen), Path(out))


def _one_study(source: StudySource) -> StudyInput:
    if isinstance(source, Mapping):
        return study_of_files({modality: Path(path) for modality, path in source.items()})
    found = find_studies(Path(source))
    if len(found.studies) != 1:
        names = [study.name for study in found.studies]
        raise InvalidValueError(
            f"input: holds {len(names)} studies ({', '.join(names[:10])}); give the folder of one"
            if names else "; ".join(found.failures.values())
        )  # fmt: skip
    return found.studies[0]


def _options(mode: str, brain_mask: str | Path | None, cache: bool) -> PreparationOptions:
    return PreparationOptions(
        mode, Path(brain_mask) if brain_mask else None, PreparedCache(user_cache()) if cache else None
    )
