"""A case in, a label map on its own grid out.

A pass at half the resolution finds the part of the brain that holds the tumour; that part goes through the
network in one pass where memory allows, in bf16 where the processor has it, otherwise by a sliding window. Labels
are the argmax of the logits: no softmax over the full volume.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import psutil
import torch
from monai.inferers import sliding_window_inference
from torch import nn
from torch.nn import functional

from medsynth_app.cancellation import stop_if_cancelled
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.geometry import Box
from medsynth_app.imaging.volume import Volume
from medsynth_app.precision import PRECISIONS, computing
from medsynth_app.segmentation.doubt import Doubt, doubt_about, doubt_percent, volume_intervals_ml
from medsynth_app.segmentation.enhancement import without_unproven_enhancement
from medsynth_app.segmentation.fitted import fitted_of
from medsynth_app.segmentation.localization import inside_brain, tumor_box
from medsynth_app.segmentation.network import SIDE_MULTIPLE
from medsynth_app.segmentation.plausibility import doubt_at_the_image_edge, doubts_about
from medsynth_app.segmentation.transforms import (
    GRID_STEP,
    CleaningConfiguration,
    PreparedCase,
    clean_labels,
    prepare,
    restore_labels,
)
from medsynth_app.vocabulary import Modality, TumorLabel, t1_and_t1ce

BYTES_PER_VOXEL_AND_CHANNEL_WIDTH = 24
"""Peak working memory of one pass, per voxel and channel of the first level (measured, see docs)."""
WINDOW = (128, 128, 128)
FOUR_SEQUENCES = tuple(modality.value for modality in Modality)


@dataclass(frozen=True)
class InferenceConfiguration:
    """How a case is segmented.

    Attributes:
        precision: ``auto`` takes bf16 where the processor computes it natively.
        test_time_augmentation: average the logits of the image and its left-right mirror; twice the time.
        whole_brain: look at all of it in full resolution, not only where a pass at 2 mm suspects tumour.
        memory_limit_gb: a pass that would need more is cut into windows; 0 = half of what is free.
        window_overlap: share by which neighbouring windows overlap.
        cleaning: what is removed from the answer.
    """

    precision: str = "auto"
    test_time_augmentation: bool = False
    whole_brain: bool = False
    memory_limit_gb: float = 0.0
    window_overlap: float = 0.25
    cleaning: CleaningConfiguration = field(default_factory=CleaningConfiguration)

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InvalidValueError(f"precision: {self.precision!r} must be one of {', '.join(PRECISIONS)}")
        if not 0.0 <= self.window_overlap < 0.9:
            raise InvalidValueError(f"window_overlap: {self.window_overlap} must be in [0, 0.9)")
        if not self.memory_limit_gb >= 0:
            raise InvalidValueError(f"memory_limit_gb: {self.memory_limit_gb} must not be negative")


@dataclass(frozen=True)
class Segmentation:
    """The answer for one case.

    Attributes:
        labels: (X, Y, Z) uint8 on the grid of the image that came in, values 0..3.
        volumes_ml: label name -> volume in ml.
        centroid_ras_mm: centre of the whole tumour in RAS mm, or None where there is none.
        bounding_box_voxels: [[start], [stop]) of the whole tumour in voxels of the image, or None.
        mean_entropy: mean predictive entropy over the part of the brain that was looked at in full resolution, 0
            (sure) to 1 (all classes equally likely).
        warnings: what is doubtful about the image or the mask, as sentences.
        doubt: what the network is unsure of, where it was asked for.
    """

    labels: np.ndarray
    volumes_ml: dict[str, float]
    centroid_ras_mm: list[float] | None
    bounding_box_voxels: list[list[int]] | None
    mean_entropy: float
    warnings: tuple[str, ...] = ()
    doubt: Doubt | None = None


@dataclass(frozen=True)
class Prediction:
    """What the network says of a case, before any rule.

    Attributes:
        prepared: the case as the network saw it.
        box: the part of it that was looked at in full resolution.
        logits: (4, x, y, z) there.
        temperature: what the logits are divided by before they are called probabilities.
    """

    prepared: PreparedCase
    box: Box
    logits: torch.Tensor
    temperature: float

    def probabilities(self) -> np.ndarray:
        """(4, x, y, z) float32 of the box; sums over the first axis are 1."""
        return torch.softmax(self.logits.float() / self.temperature, dim=0).cpu().numpy()


def predict(
    volume: Volume, network: nn.Module, configuration: InferenceConfiguration, modalities: Sequence[str]
) -> Prediction:
    """Bring a case to the network and let it look; raises as ``segment``."""
    if volume.array.shape[0] != len(modalities):
        raise InvalidValueError(f"volume: has {volume.array.shape[0]} channels for {', '.join(modalities)}")
    prepared = prepare(volume)
    with torch.inference_mode():
        box, logits = predict_closely(torch.from_numpy(prepared.image), network, configuration)
    return Prediction(prepared, box, logits, fitted_of(network).temperature)


def segment(
    volume: Volume,
    network: nn.Module,
    configuration: InferenceConfiguration = InferenceConfiguration(),
    modalities: Sequence[str] = FOUR_SEQUENCES,
    *,
    doubt: bool = False,
) -> Segmentation:
    """Segment one case.

    Args:
        volume: (C, X, Y, Z), the sequences the network was trained on in their order; any orientation.
        network: in evaluation mode.
        configuration: how.
        modalities: names of the channels.
        doubt: whether to answer what the network is unsure of too; no further pass.

    Raises:
        InvalidValueError: the image is empty or too small, shows a skull, or has another number of channels (422).
        WorkCancelledError: inside of ``cancelled_by``, once its signal is set.
    """
    predicted = predict(volume, network, configuration, modalities)
    return answer_of(predicted, volume, configuration, modalities, doubt=doubt)


@torch.inference_mode()
def answer_of(
    predicted: Prediction, volume: Volume, configuration: InferenceConfiguration, modalities: Sequence[str],
    *, doubt: bool = False,
) -> Segmentation:  # fmt: skip
    """What is answered to a prediction: every rule, and back to the image's own grid."""
    prepared = predicted.prepared
    found, entropy = labels_of(torch.from_numpy(prepared.image), predicted.box, predicted.logits)
    cleaned = cleaned_answer(found, prepared, configuration.cleaning, modalities)
    labels = restore_labels(cleaned, prepared)
    doubts = doubts_about(cleaned, (prepared.image != 0).any(axis=0))
    volumes_ml = label_volumes_ml(labels, volume)
    return Segmentation(
        labels,
        volumes_ml,
        *place_of(labels, volume.affine),
        mean_entropy=entropy,
        warnings=(*prepared.doubts, *doubts, *doubt_at_the_image_edge(labels)),
        doubt=_doubt(predicted, volumes_ml) if doubt else None,
    )


def _doubt(predicted: Prediction, volumes_ml: dict[str, float]) -> Doubt:
    prepared, probabilities = predicted.prepared, predicted.probabilities()
    percent = np.zeros(prepared.image.shape[1:], np.uint8)
    percent[predicted.box.slices] = doubt_percent(probabilities)
    return doubt_about(
        restore_labels(percent, prepared),
        prepared.source_affine,
        volume_intervals_ml(probabilities, prepared.working_voxel_ml),
        volumes_ml,
    )


def cleaned_answer(
    found: np.ndarray, prepared: PreparedCase, cleaning: CleaningConfiguration, modalities: Sequence[str]
) -> np.ndarray:
    """The network's labels after every rule: unproven enhancement and vessels, then specks.

    Args:
        found: (X, Y, Z) uint8, values 0..3, on the grid of ``prepared.image``.
        prepared: the case.
        cleaning: what is removed.
        modalities: names of its channels; without T1 and T1ce enhancement is not tested.
    """
    contrast = t1_and_t1ce(modalities)
    if contrast is not None:
        t1, t1ce = (prepared.image[channel] for channel in contrast)
        found = without_unproven_enhancement(found, t1, t1ce, cleaning.minimum_uptake, cleaning.vessel_uptake)
    return clean_labels(found, prepared.working_voxel_ml, cleaning)


def predict_closely(
    image: torch.Tensor, network: nn.Module, configuration: InferenceConfiguration = InferenceConfiguration()
) -> tuple[Box, torch.Tensor]:
    """Where a pass at half the resolution suspects tumour, and the logits (4, x, y, z) there in full resolution.

    Args:
        image: (C, X, Y, Z) float32 on the CPU, z-scored, 0 outside the brain.
    """
    if configuration.whole_brain:
        box = Box((0, 0, 0), tuple(image.shape[1:]))  # type: ignore[arg-type]
    else:
        box = tumor_box(image, lambda coarse: predict_logits(coarse, network, configuration))
    x, y, z = box.slices
    logits = predict_logits(image[:, x, y, z], network, configuration)
    return box, fitted_of(network).less_core(logits, image)


@torch.inference_mode()
def predict_labels(
    image: torch.Tensor, network: nn.Module, configuration: InferenceConfiguration = InferenceConfiguration()
) -> tuple[np.ndarray, float]:
    """Labels of a prepared image, found coarsely first and then in full resolution; not cleaned.

    Args:
        image: (C, X, Y, Z) float32 on the CPU, z-scored, 0 outside the brain.

    Returns:
        labels (X, Y, Z) uint8, values 0..3, and the mean entropy as in ``Segmentation``.
    """
    return labels_of(image, *predict_closely(image, network, configuration))


def labels_of(image: torch.Tensor, box: Box, logits: torch.Tensor) -> tuple[np.ndarray, float]:
    """Logits of a part of the image -> labels (X, Y, Z) uint8 of all of it, and the mean entropy of the part."""
    x, y, z = box.slices
    labels = np.zeros(image.shape[1:], dtype=np.uint8)
    labels[x, y, z] = logits.argmax(dim=0).to(torch.uint8).cpu().numpy()
    return labels, mean_entropy(logits, inside_brain(image[:, x, y, z]))


@torch.inference_mode()
def predict_probabilities(
    image: torch.Tensor, network: nn.Module, configuration: InferenceConfiguration = InferenceConfiguration()
) -> np.ndarray:
    """Class probabilities of a prepared image, found as in ``predict_labels``.

    Args:
        image: (C, X, Y, Z) float32 on the CPU, z-scored, 0 outside the brain.

    Returns:
        (4, X, Y, Z) float16; what was not looked at in full resolution is background for certain.
    """
    box, logits = predict_closely(image, network, configuration)
    x, y, z = box.slices
    probabilities = np.zeros((logits.shape[0], *image.shape[1:]), dtype=np.float16)
    probabilities[0] = 1
    probabilities[:, x, y, z] = torch.softmax(logits.float(), dim=0).half().cpu().numpy()
    return probabilities


@torch.inference_mode()
def predict_logits(
    image: torch.Tensor, network: nn.Module, configuration: InferenceConfiguration = InferenceConfiguration()
) -> torch.Tensor:
    """Logits (4, X, Y, Z) of a prepared image (C, X, Y, Z), on the network's device."""
    device = next(network.parameters()).device
    shape = image.shape[1:]
    padded = (
        functional.pad(image[None], _padding(shape))
        .to(device)
        .contiguous(memory_format=torch.channels_last_3d)
    )
    forward = _forward_function(network, device, configuration)
    logits = forward(padded)
    if configuration.test_time_augmentation:
        logits = (logits + forward(padded.flip(2)).flip(2)) / 2
    return logits[0, :, : shape[0], : shape[1], : shape[2]]


def _padding(shape: tuple[int, ...]) -> list[int]:
    """Zeros to append, in the order ``torch.nn.functional.pad`` wants (last axis first)."""
    wanted = [max(side + -side % GRID_STEP, SIDE_MULTIPLE) for side in shape]
    if max(wanted) < 2 * SIDE_MULTIPLE:
        # A single voxel at the deepest level has no mean and spread to normalise by.
        wanted[-1] = 2 * SIDE_MULTIPLE
    padding: list[int] = []
    for side, target in zip(reversed(shape), reversed(wanted)):
        padding += [0, target - side]
    return padding


def _forward_function(
    network: nn.Module, device: torch.device, configuration: InferenceConfiguration
) -> Callable[[torch.Tensor], torch.Tensor]:
    def whole(image: torch.Tensor) -> torch.Tensor:
        stop_if_cancelled()  # between the coarse and the fine pass, and between two windows
        with computing(device, configuration.precision):
            return network(image)

    def windowed(image: torch.Tensor) -> torch.Tensor:
        logits = sliding_window_inference(
            image, WINDOW, 1, whole, overlap=configuration.window_overlap, mode="gaussian"
        )
        assert isinstance(logits, torch.Tensor)  # noqa: S101 - one output, one tensor
        return logits

    def forward(image: torch.Tensor) -> torch.Tensor:
        return whole(image) if _fits(image, network, device, configuration) else windowed(image)

    return forward


def _fits(
    image: torch.Tensor, network: nn.Module, device: torch.device, configuration: InferenceConfiguration
) -> bool:
    """Whether a whole pass stays within the memory limit. All three spatial axes count."""
    voxels = int(np.prod(image.shape[2:]))
    width = max(int(next(network.parameters()).shape[0]), 16)
    needed = voxels * width * BYTES_PER_VOXEL_AND_CHANNEL_WIDTH
    if configuration.memory_limit_gb:
        limit = configuration.memory_limit_gb * 1e9
    elif device.type == "cuda":
        limit = torch.cuda.mem_get_info(device)[0] / 2
    else:
        limit = psutil.virtual_memory().available / 2
    return needed <= limit


def mean_entropy(logits: torch.Tensor, brain: torch.Tensor) -> float:
    """Mean entropy of the class probabilities over the brain, as a share of the largest possible.

    Args:
        logits: (4, X, Y, Z).
        brain: (X, Y, Z) bool.
    """
    # Every second voxel along each axis: an eighth of the work for a mean over a million voxels.
    thin = logits[:, ::2, ::2, ::2].float()
    log_probability = torch.log_softmax(thin, dim=0)
    entropy = -(log_probability.exp() * log_probability).sum(dim=0) / np.log(len(logits))
    inside = brain[::2, ::2, ::2].to(entropy.device)
    return float(entropy[inside].mean()) if bool(inside.any()) else 0.0


def label_volumes_ml(labels: np.ndarray, volume: Volume) -> dict[str, float]:
    """Volume of every label in ml, from the voxel size in the header."""
    counts = np.bincount(labels.ravel(), minlength=len(TumorLabel) + 1)
    return {label.label_name: round(float(counts[label] * volume.voxel_volume_ml), 3) for label in TumorLabel}


def place_of(labels: np.ndarray, affine: np.ndarray) -> tuple[list[float] | None, list[list[int]] | None]:
    """Centre in RAS mm and box [[start], [stop]) in voxels of all that is labelled; None where nothing is."""
    voxels = np.argwhere(labels > 0)
    if len(voxels) == 0:
        return None, None
    centroid = affine[:3, :3] @ voxels.mean(axis=0) + affine[:3, 3]
    box = [voxels.min(axis=0).tolist(), (voxels.max(axis=0) + 1).tolist()]
    return [round(float(c), 2) for c in centroid], box
