"""``ms.evaluate``: how good a model is on your data, or how near two images are to each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.metrics.regression import PSNRMetric, SSIMMetric

from medsynth_app.benchmarks.compared_images import RealPictures, SyntheticSource
from medsynth_app.benchmarks.images import picture_quality
from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.imaging.studies.cases import look_for_cases
from medsynth_app.library.generation import Generated
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork
from medsynth_app.segmentation.evaluation.cases import evaluate_cases
from medsynth_app.segmentation.inference import InferenceConfiguration
from medsynth_app.segmentation.missing_sequences import blanked_sequences
from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.data.images import find_pictures
from medsynth_app.synthesis.data.volumes import find_volumes, read_cubes, split
from medsynth_app.synthesis.measures.volume_quality import anatomical_accuracy, volume_similarity
from medsynth_app.synthesis.vae_gan.generator import load_vae, weights_name
from medsynth_app.synthesis.vae_gan.training import reconstruction_figures
from medsynth_app.synthesis.weights import WeightsStore

Pair = tuple["np.ndarray | Generated", "np.ndarray | Generated"]
TASKS = ("brain_tumor_segmentation", "image_synthesis", "volume_synthesis")
SMALLEST_SIDE = 11
"""SSIM looks through a window of so many voxels."""


def evaluate(model: str, data: str | Path | Pair, **options: Any) -> dict[str, Any]:
    """Measure a model.

    Args:
        model: ``brain_tumor_segmentation`` (Dice, IoU, sensitivity, specificity, HD95 of labelled case folders),
            ``image_synthesis`` (PSNR and SSIM of drawn pictures to their nearest real one, specificity, KID ... of a
            folder of real pictures) or ``volume_synthesis`` (3-D PSNR and SSIM of reconstructed real volumes).
        data: a folder of real data; or, for the synthesis tasks, a pair (made, real) of arrays or of results of
            ``ms.generate``: PSNR and SSIM, and, where both have a label, volume similarity and anatomical accuracy.
        options: ``weights``, and: segmentation ``missing``, ``lesion_wise``, ``device``; pictures ``modality``,
            ``generator``, ``count``, ``seed``, ``validation``; volumes ``volume_type``, ``validation``.

    Returns:
        Figures with JSON values.

    Raises:
        NotFoundError: no such model. InvalidValueError: an unknown option or unusable data.
    """
    if model not in TASKS:
        raise NotFoundError(f"model: {model[:60]!r} cannot be evaluated, known are {', '.join(TASKS)}")
    if isinstance(data, tuple):
        return compare_images(*data, **options)
    measures: dict[str, Callable[..., dict[str, Any]]] = dict(zip(TASKS, (_segmentation, _images, _volumes)))
    try:
        return measures[model](Path(data), **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        wrong = str(error).rsplit(" ", 1)[-1].strip("'")
        message = f"{wrong}: {model} is evaluated without such an option; see help(ms.evaluate)"
        raise InvalidValueError(message) from error


def compare_images(
    made: np.ndarray | Generated, real: np.ndarray | Generated, *, data_range: float | None = None
) -> dict[str, Any]:
    """Likeness of two images of one shape.

    Args:
        made, real: pictures (H, W) or (H, W, 3), volumes (X, Y, Z) or (C, X, Y, Z).
        data_range: largest difference there can be; the range of ``real`` by default.

    Returns:
        ``psnr`` in dB (infinite for equal images), ``ssim``; with labels on both sides ``volume_similarity`` and
        ``anatomical_accuracy`` (Dice) by structure.

    Raises:
        InvalidValueError: two shapes, no image, or sides too small.
    """
    first, second = (_channels(_array(image)) for image in (made, real))
    if first.shape != second.shape:
        raise InvalidValueError(f"data: the two images differ in shape, {first.shape[1:]} and {second.shape[1:]}")
    if min(first.shape[1:]) < SMALLEST_SIDE:
        raise InvalidValueError(f"data: sides {first.shape[1:]} must be at least {SMALLEST_SIDE}")
    width = data_range or float(second.max() - second.min()) or 1.0
    found: dict[str, Any] = dict(zip(("psnr", "ssim"), psnr_and_ssim(first[None], second[None], width)))
    if isinstance(made, Generated) and isinstance(real, Generated):
        if made.label is not None and real.label is not None:
            names = {**real.label_names, **made.label_names}
            found["volume_similarity"] = volume_similarity(made.label, real.label, names)
            found["anatomical_accuracy"] = anatomical_accuracy(made.label, real.label, names)
    return found


def psnr_and_ssim(made: torch.Tensor, real: torch.Tensor, data_range: float) -> tuple[float, float]:
    """Means over a batch.

    Args:
        made, real: (N, C, H, W) or (N, C, X, Y, Z) float32.
        data_range: largest difference there can be.
    """
    psnr = PSNRMetric(max_val=data_range)(made, real)
    ssim = SSIMMetric(spatial_dims=made.ndim - 2, data_range=data_range)(made, real)
    return float(torch.as_tensor(psnr).mean()), float(torch.as_tensor(ssim).mean())


def _segmentation(
    folder: Path, weights: str | Path | None = None, missing: str | Sequence[str] = "", lesion_wise: bool = False,
    device: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    found = look_for_cases(folder).with_labels()
    if not found.cases:
        raise InvalidValueError("data: holds no case with a label")
    network = CurrentNetwork([Path(weights) if weights else SHIPPED_WEIGHTS], device).get()
    blanked = blanked_sequences(missing if isinstance(missing, str) else ",".join(missing))
    report = evaluate_cases(
        found.cases, network, InferenceConfiguration(), lambda name: None, blanked, lesion_wise
    )
    return report.with_left_out(found.left_out).as_dict()


def _images(
    folder: Path, weights: str | Path | None = None, modality: str = "", generator: str = "", count: int = 48,
    seed: int = 0, validation: str = "",
) -> dict[str, Any]:  # fmt: skip
    names = [modality] if modality else sorted({source.modality for source in find_pictures(folder)[0]})
    if not names:
        raise InvalidValueError("data: holds no picture; expected are MODALITY/PATHOLOGY/FILE, or images.csv")
    store = _store(weights)
    results = {}
    for name in names:
        real = RealPictures.read(folder, name, validation)
        source = SyntheticSource(CATALOGUE.row("image_synthesis", generator), store, name, {}, None)
        figures = picture_quality(source, real, count, seed, lambda what, share: None)
        results[name] = {**figures, **_to_nearest(source, real, seed)}
    return {"modalities": results}


def _to_nearest(source: SyntheticSource, real: RealPictures, seed: int, count: int = 8) -> dict[str, float]:
    """Mean PSNR and SSIM of drawn pictures to the real picture that they are nearest to."""
    known = torch.from_numpy(real.training.images).float()
    values = []
    for pathology in real.pathologies:
        drawn = source.draw(pathology, count, seed, lambda what, share: None)
        for picture in torch.from_numpy(drawn).float():
            nearest = known[(known - picture).square().flatten(1).mean(dim=1).argmin()]
            values.append(psnr_and_ssim(picture[None], nearest[None], 255.0))
    psnr, ssim = np.mean(values, axis=0)
    return {"psnr_to_nearest": float(psnr), "ssim_to_nearest": float(ssim)}


def _volumes(
    folder: Path, weights: str | Path | None = None, volume_type: str = "mri_brain", validation: str = ""
) -> dict[str, Any]:
    vae, stored = load_vae(_store(weights).require(weights_name("vae_gan", volume_type), f"vae_gan of {volume_type}"))
    volumes = find_volumes(folder)
    kept = split(volumes, validation, 0)[1] if validation else volumes
    sequences = tuple(str(name) for name in stored.notes.get("sequences", ()))
    wanted = [volume for volume in kept if not sequences or volume.sequence in sequences]
    if not wanted:
        raise InvalidValueError("data: holds no volume that the weights know")
    cubes = read_cubes(wanted, vae.configuration.resolution, volume_type).array
    return {"volumes": len(cubes), **reconstruction_figures(vae, torch.from_numpy(cubes))}


def _store(weights: str | Path | None) -> WeightsStore:
    return WeightsStore.of(weights)


def _array(image: np.ndarray | Generated) -> np.ndarray:
    return np.asarray(image.array if isinstance(image, Generated) else image)


def _channels(array: np.ndarray) -> torch.Tensor:
    """(C, H, W) or (C, X, Y, Z) float32."""
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] != 3):
        array = array[None]
    elif array.ndim == 3:
        array = np.moveaxis(array, 2, 0)
    elif array.ndim != 4:
        raise InvalidValueError(f"data: an image has 2 to 4 axes, got {array.shape}")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))

