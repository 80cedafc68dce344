"""A toy course: an untrained small generator, an encoder, a judge, directions; nothing is downloaded or trained."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medsynth_app.synthesis.skin.directions import Direction
from medsynth_app.synthesis.skin.judge import LesionJudge
from medsynth_app.synthesis.skin.models import (
    CourseModels,
    save_directions,
    save_encoder,
    save_generator,
    save_judge,
)
from medsynth_app.synthesis.stylegan2.encoder import MeanStart, StyleEncoder
from medsynth_app.synthesis.stylegan2.network import Generator, StyleGAN2Configuration
from medsynth_app.synthesis.weights import WeightsStore

NETWORK = StyleGAN2Configuration(
    resolution=64, classes=2, latent_size=8, style_size=16, channel_base=256, channel_max=16, channel_min=8
)


@pytest.fixture(scope="session")
def toy_generator() -> Generator:
    """Its colour layers are strong, so that styles can be seen."""
    torch.manual_seed(0)
    generator = Generator(NETWORK).eval().requires_grad_(False)
    for block in generator.synthesis.blocks:
        block.color.convolution.weight.mul_(3.0)
    return generator


@pytest.fixture(scope="session")
def toy_judge() -> LesionJudge:
    """Random heads."""
    torch.manual_seed(0)
    judge = LesionJudge().eval().requires_grad_(False)
    judge.melanoma.weight.normal_(0, 0.02)
    return judge


@pytest.fixture(scope="session")
def toy_folder(
    tmp_path_factory: pytest.TempPathFactory, toy_generator: Generator, toy_judge: LesionJudge
) -> Path:
    """All weights of the toy course on disk."""
    folder = tmp_path_factory.mktemp("course")
    digest = save_generator(toy_generator, folder, {"images": 0})
    torch.manual_seed(0)
    encoder = StyleEncoder(3, 10, 16, MeanStart(torch.zeros(16)))
    torch.nn.init.normal_(encoder.first.weight, std=0.1)
    save_encoder(encoder, folder, digest, {})
    save_judge(toy_judge, folder, {})
    vector = np.eye(16)[3]
    named = [("pigment_1", vector), ("border_1", np.eye(16)[5])]
    directions = [Direction(name, v, 1.0, (2, 3, 4), 1.0, 0.5, {"pigment": 1.0}) for name, v in named]
    save_directions(directions, folder, digest)
    return folder


@pytest.fixture(scope="session")
def toy_models(toy_folder: Path) -> CourseModels:
    """The toy course, read back."""
    return CourseModels.load(WeightsStore((toy_folder,)))


def picture_bytes(size: tuple[int, int] = (100, 75), mode: str = "RGB", kind: str = "PNG") -> bytes:
    """A brown disc on pink skin."""
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    disc = np.hypot(rows - height / 2, columns - width / 2) < min(size) / 4
    array = np.where(disc[..., None], (90, 50, 40), (220, 170, 160)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(array).convert(mode).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A coloured picture as a file."""
    path = tmp_path / "photograph.png"
    path.write_bytes(picture_bytes())
    return path
