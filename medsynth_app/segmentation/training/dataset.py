"""Labelled cases for training: found in folders, prepared once, kept in memory in half precision."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.imaging.labels import read_submitted_label
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.segmentation.training.augmentation import AugmentationConfiguration, augment
from medsynth_app.segmentation.training.labelled_case import LabelledCase
from medsynth_app.segmentation.training.transplant import with_foreign_tumor
from medsynth_app.segmentation.transforms import prepare, prepared_label

logger = logging.getLogger(__name__)


def load_case(files: CaseFiles, modalities: Sequence[str], blanks: int = 0) -> LabelledCase:
    """Read and prepare one labelled case.

    Args:
        files: with a label.
        modalities: the sequences to read, in channel order.
        blanks: how many of them may be missing; those are 0 everywhere.

    Raises:
        InvalidValueError: a sequence or the label is missing or unfit; the message names the case.
    """
    if files.label is None:
        raise InvalidValueError(f"{files.name}: has no label file (_seg or -seg)")
    volume = files.read(modalities, blanks=blanks)
    prepared = prepare(volume)
    label = read_submitted_label(files.label, volume, name=f"{files.name} label")
    return LabelledCase(
        files.name,
        torch.from_numpy(prepared.image).half(),
        torch.from_numpy(prepared_label(label, prepared, volume)),
    )


def load_cases(
    cases: Sequence[CaseFiles],
    modalities: Sequence[str],
    blanks: int = 0,
    on_left_out: Callable[[str, str], object] = lambda name, reason: logger.warning("case skipped: %s", reason),
) -> list[LabelledCase]:
    """Read and prepare many cases; one that is unfit is left out.

    Args:
        cases: with labels.
        modalities: the sequences to read, in channel order.
        blanks: how many of them may be missing.
        on_left_out: called with the name of each case that is left out, and why.

    Raises:
        InvalidValueError: none of them could be used.
    """
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda case: _load_or_reason(case, modalities, blanks), cases))
    loaded = []
    for files, result in zip(cases, results):
        if isinstance(result, str):
            on_left_out(files.name, result)
        else:
            loaded.append(result)
    if not loaded:
        raise InvalidValueError(
            f"none of the {len(cases)} cases can be used for training; see the log for each reason"
        )
    return loaded


def _load_or_reason(case: CaseFiles, modalities: Sequence[str], blanks: int) -> LabelledCase | str:
    try:
        return load_case(case, modalities, blanks)
    except MedSynthError as error:
        return error.message
    except OSError as error:
        return f"{case.name}: cannot be read: {error.strerror}"


def training_batch(
    cases: Sequence[LabelledCase],
    step: int,
    batch_size: int,
    patch_size: tuple[int, int, int],
    configuration: AugmentationConfiguration,
    seed: int,
    t1_and_t1ce: tuple[int, int] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch of one step: a pure function of (cases, step, seed), so a resumed run sees the same data.

    Returns:
        images (N, C, *patch_size) float32, labels (N, *patch_size) int64.
    """
    images, labels = [], []
    for slot in range(batch_size):
        index = step * batch_size + slot
        case = cases[case_order(len(cases), index // len(cases), seed)[index % len(cases)]]
        generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
        share = configuration.foreign_tumor_probability
        if share and float(torch.rand((), generator=generator)) < share:
            case = with_foreign_tumor(case, cases, generator)
        image, label = augment(case.image, case.label, patch_size, configuration, generator, t1_and_t1ce)
        images.append(image)
        labels.append(label)
    return torch.stack(images), torch.stack(labels)


def case_order(count: int, epoch: int, seed: int) -> list[int]:
    """The order in which an epoch visits the cases."""
    generator = torch.Generator().manual_seed(seed * 7_919 + epoch)
    return torch.randperm(count, generator=generator).tolist()
