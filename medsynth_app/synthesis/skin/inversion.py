"""From a dermatoscopic picture to the generator's styles and back."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch.nn import functional

from medsynth_app.errors import InvalidValueError, TooLargeError, UnsupportedKindError
from medsynth_app.imaging.upright_picture import FLATTENED_NOTE, flattened, is_transparent, upright
from medsynth_app.synthesis.data.arrays import square_picture, to_network
from medsynth_app.synthesis.generator import ReportProgress, unheard
from medsynth_app.synthesis.measures.features import PhotographFeatures, perceptual_distance
from medsynth_app.synthesis.stylegan2.encoder import StyleEncoder
from medsynth_app.synthesis.stylegan2.network import Generator

SMALLEST_SIDE = 32
LARGEST_PIXELS = 50_000_000
GREY_TOLERANCE = 1.0
"""Mean difference of colour channels, 0..255, up to which a picture counts as grey."""
REFINEMENT_RATE, NOISE_RATE = 0.1, 0.05
PERCEPTUAL_WEIGHT = 0.002
OFFSET_WEIGHT = 1e-5


@dataclass(frozen=True)
class Inversion:
    """What an encoder made of a picture.

    Attributes:
        styles: w+ (1, L, W).
        noise: maps of the lesion's noise; None = the generator's own.
        target: (1, 3, R, R) the picture as the network sees it, -1..1.
        reconstruction: (1, 3, R, R), clipped to -1..1.
        squared_error: mean over pixels and channels, images in -1..1.
        perceptual: distance in EfficientNet-Lite0's features; not LPIPS.
        notes: what was done to the file that the user should know.
    """

    styles: torch.Tensor
    noise: tuple[torch.Tensor, ...] | None
    target: torch.Tensor
    reconstruction: torch.Tensor
    squared_error: float
    perceptual: float
    notes: tuple[str, ...] = ()


def read_lesion_picture(source: Path | bytes) -> Image.Image:
    """The colour picture of a file or of its bytes, upright as its EXIF orientation says.

    Transparent places become white; ``info`` of the result then holds ``FLATTENED_NOTE`` under ``note``.

    Raises:
        UnsupportedKindError: not a readable PNG or JPEG (415).
        TooLargeError: more pixels than are decoded (413).
        InvalidValueError: too small, or without colour (422).
    """
    try:
        opened = Image.open(
            source if isinstance(source, Path) else io.BytesIO(source), formats=("PNG", "JPEG")
        )
        if opened.width * opened.height > LARGEST_PIXELS:
            raise TooLargeError(
                f"image: {opened.width} x {opened.height} pixels are more than {LARGEST_PIXELS:,}"
            )
        seen = upright(opened)
        picture = flattened(seen, "RGB")
        picture.info = {"note": FLATTENED_NOTE} if is_transparent(seen) else {}
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UnsupportedKindError("image: must be a PNG or JPEG picture") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise UnsupportedKindError("image: is damaged and cannot be decoded") from error
    if min(picture.size) < SMALLEST_SIDE:
        raise InvalidValueError(
            f"image: {picture.width} x {picture.height} pixels are too few, "
            f"each side needs at least {SMALLEST_SIDE}"
        )
    array = np.asarray(picture, dtype=np.float32)
    if float((array.max(axis=2) - array.min(axis=2)).mean()) <= GREY_TOLERANCE:
        raise InvalidValueError("image: is greyscale, a colour photograph through a dermatoscope is needed")
    return picture


def network_input(picture: Image.Image, resolution: int, framing: str = "crop") -> torch.Tensor:
    """(1, 3, R, R), -1..1."""
    return to_network(np.asarray(square_picture(picture, resolution, framing))[None])


@torch.no_grad()
def invert(
    target: torch.Tensor,
    generator: Generator,
    encoder: StyleEncoder,
    features: PhotographFeatures,
    refinement_steps: int = 0,
    progress: ReportProgress = unheard,
) -> Inversion:
    """Styles of a picture by the encoder, and better ones by some steps of descent from there.

    Args:
        target: (1, 3, R, R), -1..1.
        generator, encoder, features: networks in evaluation mode.
        refinement_steps: 0 = the encoder alone.
        progress: told the share of the steps done; may raise to end them.
    """
    styles, _ = encoder(target)
    noise = None
    if refinement_steps:
        styles, noise = refined(target, styles, generator, features, refinement_steps, progress)
    image = generator.synthesis(styles, noise).clamp(-1, 1)
    view = features(torch.cat([target, image]))
    distance = perceptual_distance([v[:1] for v in view], [v[1:] for v in view])
    return Inversion(styles, noise, target, image, float(functional.mse_loss(image, target)), float(distance))


def refined(
    target: torch.Tensor,
    styles: torch.Tensor,
    generator: Generator,
    features: PhotographFeatures,
    steps: int,
    progress: ReportProgress = unheard,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Styles and noise moved by Adam against squared error, perceptual distance and the length of the styles' way.

    The styles say what kind of lesion it is, the noise where its hairs and lines are, which no style can say. After the
    projection of Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020), appendix D; but in
    W+, and without its penalty on patterns in the noise, which may so carry some of the lesion's shape as well.

    Args:
        target: (N, 3, R, R), -1..1.
        styles: w+ (N, L, W) to start from.
        generator, features: as in ``invert``.
        steps: of descent; the rate falls to 0 by half a cosine.
        progress: told the share done.

    Returns:
        w+ (N, L, W) and noise maps (N, 1, r, r) as in ``SynthesisNetwork.noise_maps``; each picture's are optimised by
        themselves, whatever else is in the batch.
    """
    with torch.enable_grad():
        offset = torch.zeros_like(styles, requires_grad=True)
        wanted = [values.detach() for values in features(target)]
        maps = [part.repeat(len(target), 1, 1, 1) for part in generator.synthesis.noise_maps()]
        noise = [part.requires_grad_() for part in maps]
        moved: list[dict[str, Any]] = [{"params": [offset]}, {"params": noise, "lr": NOISE_RATE}]
        optimizer = torch.optim.Adam(moved, REFINEMENT_RATE, (0.9, 0.99))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for number in range(steps):
            image = generator.synthesis(styles + offset, noise)
            squared = (image - target).square().mean(dim=(1, 2, 3))
            perceptual = perceptual_distance(wanted, features(image))
            length = offset.square().sum(dim=(1, 2))
            loss = (squared + PERCEPTUAL_WEIGHT * perceptual + OFFSET_WEIGHT * length).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            progress((number + 1) / steps)
    return (styles + offset).detach(), tuple(part.detach() for part in noise)
