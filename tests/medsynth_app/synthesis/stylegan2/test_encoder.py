"""The encoder into w+: shapes, release of the offsets, training with the generator frozen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.data.arrays import to_pictures
from medsynth_app.synthesis.stylegan2.encoder import MeanStart, PrincipalStart, StyleEncoder
from medsynth_app.synthesis.stylegan2.encoder_training import EncoderConfiguration, EncoderTrainer
from medsynth_app.synthesis.stylegan2.generator import sample_picture
from medsynth_app.synthesis.stylegan2.network import Generator, StyleGAN2Configuration
from medsynth_app.synthesis.stylegan2.principal_latents import PrincipalLatents

NETWORK = StyleGAN2Configuration(
    resolution=64, classes=2, latent_size=8, style_size=16, channel_base=256, channel_max=16, channel_min=8
)


def _generator() -> Generator:
    torch.manual_seed(0)
    return Generator(NETWORK).eval()


@pytest.mark.parametrize(("channels", "side"), [(1, 64), (3, 64), (3, 128)])
def test_shapes(channels: int, side: int) -> None:
    encoder = StyleEncoder(channels, 10, 16, MeanStart(torch.zeros(16)))
    styles, offsets = encoder(torch.randn(2, channels, side, side))
    assert styles.shape == (2, 10, 16)
    assert offsets.shape == (2, 9, 16)


def test_a_guided_generator_starts_from_the_principal_latents() -> None:
    generator = _generator()
    images = torch.rand(40, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    principal = PrincipalLatents(8, 3)
    principal.fit(images, torch.zeros(len(images), dtype=torch.long), torch.ones(len(images)), seed=0)
    encoder = StyleEncoder(3, 10, 16, PrincipalStart(principal, generator.mapping))
    styles, _ = encoder(images[:2])
    latent = principal(images[:2], torch.zeros(2, dtype=torch.long))
    wanted = (
        generator.mapping(latent, torch.tensor([0, 0])) + generator.mapping(latent, torch.tensor([1, 1]))
    ) / 2
    torch.testing.assert_close(styles[:, 0], wanted)
    assert not any(name.startswith("start.") for name in encoder.learned_state())
    other = StyleEncoder(3, 10, 16, PrincipalStart(principal, generator.mapping))
    other.load_learned(encoder.learned_state())
    assert torch.equal(other(images[:1])[0], encoder(images[:1])[0])


def test_offsets_are_released_one_by_one() -> None:
    torch.manual_seed(0)
    encoder = StyleEncoder(3, 10, 16, MeanStart(torch.zeros(16)))
    for head in encoder.offsets:
        torch.nn.init.normal_(head[2].weight)
    image = torch.randn(1, 3, 64, 64)
    for released in (0, 1, 4, 9):
        styles, offsets = encoder(image, released)
        assert offsets.shape[1] == released
        moved = (styles - styles[:, :1]).abs().amax(dim=2).squeeze(0) > 0
        assert moved.tolist() == [0 < layer <= released for layer in range(10)]


def test_release_schedule() -> None:
    configuration = EncoderConfiguration(first_release=100, release_every=50)
    assert [configuration.released_at(n, 10) for n in (0, 99, 100, 149, 150, 10_000)] == [0, 0, 1, 1, 2, 9]


def test_training_reduces_the_error_leaves_the_generator_alone_and_resumes(tmp_path: Path) -> None:
    generator = _generator()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    images = np.stack([sample_picture(generator, seed).transpose(2, 0, 1) for seed in range(8)])
    configuration = EncoderConfiguration(
        images=80, batch_size=4, first_release=40, release_every=8, store_every=40, learning_rate=3e-3,
        turn_images=False,
    )  # fmt: skip
    first = EncoderTrainer(configuration, generator, images, tmp_path)
    errors: list[float] = []
    first.run(
        lambda progress: errors.append(progress.figures["squared_error"]),
        should_stop=lambda: first.seen >= 40,
    )
    second = EncoderTrainer(configuration, generator, images, tmp_path)
    assert second.seen == 40
    second.run(lambda progress: errors.append(progress.figures["squared_error"]))
    assert errors[-1] < errors[0]
    assert second.history[-1]["released"] == 3, "the mean of 1 to 5"
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="images: uint8 "):
        EncoderTrainer(EncoderConfiguration(), _generator(), np.zeros((8, 3, 32, 32), np.uint8), tmp_path)


def test_same_seed_same_bytes() -> None:
    generator = _generator()
    first, again, other = (sample_picture(generator, seed, 1) for seed in (5, 5, 6))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    assert first.shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed: -1 must be a whole number"),
        ({"seed": True}, "seed: True"),
        ({"seed": 0, "truncation": 1.5}, "truncation: 1.5 must be between 0 and 1"),
        ({"seed": 0, "label": 2}, "label: 2 must be between 0 and 1"),
    ],
)
def test_impossible_samples_are_named(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        sample_picture(_generator(), **arguments)


def test_pictures_are_clipped_and_rounded() -> None:
    values = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0]).view(1, 1, 1, 5)
    assert to_pictures(values).ravel().tolist() == [0, 0, 128, 255, 255]


def test_same_seed_same_encoder_on_this_machine(tmp_path: Path) -> None:
    generator = _generator()
    images = np.stack([sample_picture(generator, seed).transpose(2, 0, 1) for seed in range(4)])
    configuration = EncoderConfiguration(images=16, batch_size=4, mixed_precision=True)
    once, twice = (EncoderTrainer(configuration, generator, images, tmp_path / name) for name in ("once", "twice"))
    for trainer in (once, twice):
        trainer.run()
        assert trainer.updates.left_out == 0
    for name, value in once.encoder.learned_state().items():
        assert torch.equal(value, twice.encoder.learned_state()[name]), name
