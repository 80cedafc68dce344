"""The training learns, goes on where it was, and refuses what cannot work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.precision import has_native_bf16
from medsynth_app.synthesis.stylegan2.adversary import Adversary
from medsynth_app.synthesis.stylegan2.configuration import GuideConfiguration, TrainingConfiguration
from medsynth_app.synthesis.stylegan2.network import StyleGAN2Configuration
from medsynth_app.synthesis.stylegan2.principal_latents import PrincipalLatents
from medsynth_app.synthesis.stylegan2.training import Trainer, _guide_loss

NETWORK = StyleGAN2Configuration(
    resolution=32, classes=2, latent_size=8, style_size=16, channel_base=256, channel_max=16, channel_min=8,
    mapping_rate=1.0,
)  # fmt: skip
PUBLISHED = TrainingConfiguration(
    network=replace(NETWORK, resolution=16), discriminator="stylegan2", guide=None, images=24, batch_size=4,
    path_length=2.0, store_every=8,
)  # fmt: skip
GUIDED = TrainingConfiguration(
    network=NETWORK, guide=GuideConfiguration(images=320, region=2.0, edge=1.0), images=320,
    growth=((16, 0), (32, 160)), batch_size=8,
)  # fmt: skip


def _discs(side: int, count: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Dark discs on a bright ground; class 1 is the larger one."""
    chance = np.random.default_rng(0)
    labels = np.arange(count) % 2
    grid = np.hypot(*np.mgrid[-side // 2 : side // 2, -side // 2 : side // 2])
    discs = np.stack([grid < side * (0.2 + 0.15 * label + 0.05 * chance.random()) for label in labels])
    return np.where(discs[:, None], 60, 200).repeat(3, axis=1).astype(np.uint8), labels


def test_guided_training_learns_to_reproduce(tmp_path: Path) -> None:
    trainer = Trainer(GUIDED, *_discs(32), tmp_path)
    errors: list[float] = []
    trainer.run(lambda progress: errors.append(progress.figures["squared_error"]))
    assert errors[-1] < 0.5 * errors[0]
    assert trainer.history[-1]["edge"] > 0


def test_published_losses_run_and_a_stopped_run_goes_on(tmp_path: Path) -> None:
    whole = Trainer(PUBLISHED, *_discs(16), tmp_path / "whole")
    whole.augmentation.probability = 0.5
    whole.run()
    half = Trainer(PUBLISHED, *_discs(16), tmp_path / "half")
    half.augmentation.probability = 0.5
    half.run(should_stop=lambda: half.seen >= 12)
    assert half.seen == 12
    resumed = Trainer(PUBLISHED, *_discs(16), tmp_path / "half")
    assert resumed.seen == 12
    resumed.run()
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, resumed.average.state_dict()[name]), name
    assert {"r1", "generator", "discriminator"} <= set(whole.history[0])


def test_projected_discriminator_joins_after_the_guide(tmp_path: Path) -> None:
    configuration = replace(GUIDED, guide=GuideConfiguration(images=8), images=24, growth=(), store_every=8)
    trainer = Trainer(configuration, *_discs(32), tmp_path)
    trainer.run()
    assert "discriminator" not in trainer.history[0]
    assert {"discriminator", "perceptual", "squared_error"} <= set(trainer.history[1])


def test_mixed_precision_learns_nearly_the_same(tmp_path: Path) -> None:
    whole, mixed = (
        Trainer(replace(GUIDED, mixed_precision=half), *_discs(32), tmp_path / str(half)) for half in (False, True)
    )
    first, second = (trainer.update(0, torch.Generator().manual_seed(0)) for trainer in (whole, mixed))
    assert second["squared_error"] == pytest.approx(first["squared_error"], rel=0.02)
    assert (second["squared_error"] != first["squared_error"]) is has_native_bf16(torch.device("cpu"))
    assert all(parameter.dtype == torch.float32 for parameter in mixed.average.parameters())


def test_another_configuration_does_not_take_over_a_folder(tmp_path: Path) -> None:
    Trainer(PUBLISHED, *_discs(16), tmp_path).run(should_stop=lambda: False)
    with pytest.raises(InvalidValueError, match="holds a run of another configuration"):
        Trainer(replace(PUBLISHED, seed=1), *_discs(16), tmp_path)
    Trainer(replace(PUBLISHED, images=100), *_discs(16), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discriminator": "other"}, "discriminator: 'other' must be one of projected, stylegan2"),
        ({"batch_size": 3}, "batch_size: 3 must be even"),
        ({"balance": 2.0}, "balance: 2.0 must be between 0 and 1"),
        ({"generator_rate": 0.0}, "generator_rate: 0.0"),
        ({"growth": ((16, 0),)}, "growth: the last resolution 16 must be the network's, 32"),
        ({"growth": ((32, 8),)}, "ascending from image 0"),
        ({"network": replace(NETWORK, resolution=16)}, "resolution: 16 is too small"),
    ],
)
def test_impossible_settings_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        TrainingConfiguration(**{"network": NETWORK, **change})


def test_the_rates_fall_at_the_end_only(tmp_path: Path) -> None:
    configuration = replace(GUIDED, images=1000, cooled_share=0.2)
    factors = [configuration.rate_factor_at(images) for images in (0, 800, 900, 1000, 1200)]
    assert factors == pytest.approx([1.0, 1.0, 0.55, 0.1, 0.1])
    assert replace(configuration, cooled_share=0.0).rate_factor_at(1000) == 1.0
    trainer = Trainer(configuration, *_discs(32), tmp_path)
    trainer.seen = 900
    trainer.update(0, torch.Generator().manual_seed(0))
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in trainer.optimizers.items()}
    assert rates["generator"] == pytest.approx(0.55 * configuration.generator_rate)
    assert rates["discriminator"] == pytest.approx(0.55 * configuration.discriminator_rate)


def test_wrong_images_are_named(tmp_path: Path) -> None:
    images, labels = _discs(16)
    with pytest.raises(InvalidValueError, match=r"must be uint8 \(N, 3, 32, 32\)"):
        Trainer(GUIDED, images, labels, tmp_path)
    with pytest.raises(InvalidValueError, match="labels: a class-conditional training needs one"):
        Trainer(PUBLISHED, images, None, tmp_path)


def test_principal_latents_look_like_drawn_ones() -> None:
    images = torch.rand(400, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.1
    shapes = torch.randn(400, 6, generator=torch.Generator().manual_seed(1))
    patterns = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    images = images + torch.einsum("nk,kcxy->ncxy", shapes, patterns)
    principal = PrincipalLatents(7, 3)
    label = torch.zeros(len(images), dtype=torch.long)
    principal.fit(images, label, torch.ones(len(images)), seed=0)
    latent = principal(images, label)
    assert latent.shape == (400, 7)
    torch.testing.assert_close(latent.mean(dim=0), torch.zeros(7), atol=0.2, rtol=0)
    torch.testing.assert_close(latent.std(dim=0), torch.ones(7), atol=0.2, rtol=0)


def test_principal_latents_tell_nothing_of_the_class() -> None:
    chance = torch.Generator().manual_seed(0)
    label = torch.arange(300) % 3
    level = torch.tensor([-0.8, 0.0, 0.8])[label][:, None, None, None]
    images = level + 0.1 * torch.randn(300, 3, 32, 32, generator=chance) * (1 + label[:, None, None, None])
    principal = PrincipalLatents(9, 3, classes=3)
    principal.fit(images, label, torch.ones(300), seed=0)
    latent = principal(images, label)
    for number in range(3):
        of_class = latent[label == number]
        assert float(of_class.mean(dim=0).norm()) < 0.2
        assert 0.8 < float(of_class[:, -1].std()) < 1.2, "the length is ranked within its class"
    together = PrincipalLatents(9, 3)
    together.fit(images, label, torch.ones(300), seed=0)
    assert float(together(images, label)[label == 0].mean(dim=0).norm()) > 1


def test_spreads_are_those_of_the_latents_whatever_the_contrast_of_an_image() -> None:
    """A tenth of the images have ten times the contrast, along an axis of their own: they count as one tenth."""
    chance = torch.Generator().manual_seed(0)
    axes, amounts = torch.randn(7, 3, 32, 32, generator=chance), 0.02 * torch.randn(300, 7, generator=chance)
    amounts[:, 0] = 0.0
    amounts[::10] = 0.0
    amounts[::10, 0] = 0.2 * torch.randn(30, generator=chance)
    images, label = torch.einsum("nk,kcxy->ncxy", amounts, axes), torch.arange(300) % 2
    principal = PrincipalLatents(8, 3, classes=2)
    spreads = principal.fit(images, label, torch.ones(300), seed=0)
    latents = principal(images, label)[:, :-1]
    for number in (0, 1):
        of_class = latents[label == number]
        covariance = of_class.T @ of_class / len(of_class)
        torch.testing.assert_close(spreads[number] @ spreads[number], covariance, atol=1e-3, rtol=1e-3)


def test_lesions_are_turned_and_shrunk_with_their_images(tmp_path: Path) -> None:
    images, labels = np.zeros((16, 3, 32, 32), np.uint8), np.arange(16) % 2
    images[:, :, 4:12, 20:30] = 255
    trainer = Trainer(GUIDED, images, labels, tmp_path, lesions=images[:, 0] > 0)
    corners = set()
    for seed in range(8):
        real, lesion, _ = trainer._batch(torch.Generator().manual_seed(seed), 16)
        torch.testing.assert_close(lesion, (real[:, :1] + 1) / 2)
        corners.add(int(lesion[0].flatten().argmax()))
    assert len(corners) > 2, "turned in several ways"


def test_a_missed_lesion_costs_the_guide_more() -> None:
    guide, real = GuideConfiguration(lesion=8.0), torch.zeros(2, 3, 16, 16)
    fake, lesion = real.clone(), torch.zeros(2, 1, 16, 16)
    fake[..., :4, :4] = 0.5
    elsewhere = float(_guide_loss(guide, real, fake, lesion, {}))
    lesion[..., :4, :4] = 1.0
    assert float(_guide_loss(guide, real, fake, lesion, {})) > 4 * elsewhere


def test_drawn_latents_have_the_covariance_of_their_class(tmp_path: Path) -> None:
    """Images of the first class differ along four axes, of the second along others: so do the latents of drawn ones."""
    label = torch.arange(400) % 2
    chance = torch.Generator().manual_seed(0)
    axes = 0.05 * torch.randn(7, 3, 32, 32, generator=chance)
    # Some images have much more contrast than others; their latents are brought to one length.
    amounts = torch.randn(400, 7, generator=chance) * torch.exp(0.7 * torch.randn(400, 1, generator=chance))
    amounts[label == 0, 4:] = 0.0
    amounts[label == 1, :3] = 0.0
    images = torch.einsum("nk,kcxy->ncxy", amounts, axes)
    network = replace(GUIDED.network, class_spreads=True)
    pictures = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
    trainer = Trainer(replace(GUIDED, network=network, turn_images=False), pictures, label.numpy(), tmp_path)
    assert trainer.principal is not None
    drawn = torch.randn(400, network.latent_size, generator=chance)
    spread = trainer.generator.mapping.spread(drawn, label)
    own = trainer.principal(torch.from_numpy(pictures).float() / 127.5 - 1, label)
    for number in (0, 1):
        of_drawn, of_images = (values[label == number, :-1].square().mean(dim=0) for values in (spread, own))
        torch.testing.assert_close(of_drawn, of_images, atol=0.5, rtol=0.2)
    other = spread[label == 0, :-1].square().mean(dim=0) - spread[label == 1, :-1].square().mean(dim=0)
    assert float(other.abs().max()) > 1.5, "classes differ in their axes"
    with pytest.raises(InvalidValueError, match="class_spreads: needs a guide"):
        replace(PUBLISHED, network=replace(PUBLISHED.network, class_spreads=True))
    torch.testing.assert_close(trainer.average.mapping.spreads, trainer.generator.mapping.spreads)


def test_a_wrong_class_is_of_the_same_group() -> None:
    network = replace(GUIDED.network, classes=4)
    adversary = Adversary(replace(GUIDED, mismatched=0.5, network=network, groups=(0, 1, 1, 0)))
    chance = torch.Generator().manual_seed(0)
    assert adversary._wrong(torch.tensor([0, 0, 1, 2]), chance).tolist() == [3, 3, 2, 1]
    alone = Adversary(replace(GUIDED, mismatched=0.5, network=network, groups=(0, 1, 1, 1)))
    wrong = alone._wrong(torch.zeros(40, dtype=torch.long), chance)
    assert set(wrong.tolist()) == {1, 2, 3}, "alone in its group: any other class"
    with pytest.raises(InvalidValueError, match="groups: 3 numbers for 4 classes"):
        replace(GUIDED, network=network, groups=(0, 1, 1))


def test_a_wrong_class_counts_as_false() -> None:
    adversary = Adversary(replace(GUIDED, mismatched=0.5, network=replace(GUIDED.network, classes=4)))
    label = torch.tensor([0, 0, 1, 1, 3, 3])
    chance = torch.Generator().manual_seed(0)
    assert not (adversary._wrong(label, chance) == label).any()
    images = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    view = adversary.view(images)
    for head in adversary.judge_network.heads:
        torch.nn.init.normal_(head.projection, generator=torch.Generator().manual_seed(1))
    careful = adversary.loss(view, view, label, chance, {})[0]
    adversary.mismatched = 0.0
    assert float(careful) != pytest.approx(float(adversary.loss(view, view, label, chance, {})[0]), abs=1e-3)


@pytest.mark.parametrize("configuration", [PUBLISHED, replace(GUIDED, guide=GuideConfiguration(images=8), images=24)])
def test_same_seed_same_weights_on_this_machine(configuration: TrainingConfiguration, tmp_path: Path) -> None:
    mixed = replace(configuration, growth=(), mixed_precision=True)
    once, twice = (Trainer(mixed, *_discs(mixed.network.resolution), tmp_path / name) for name in ("once", "twice"))
    for trainer in (once, twice):
        trainer.run()
        assert trainer.updates.left_out == 0
    for name, value in once.average.state_dict().items():
        assert torch.equal(value, twice.average.state_dict()[name]), name


def test_a_step_without_a_finite_gradient_is_counted_and_left_out(tmp_path: Path) -> None:
    trainer = Trainer(PUBLISHED, *_discs(16), tmp_path)
    before = [parameter.clone() for parameter in trainer.generator.parameters()]
    loss = sum(parameter.sum() for parameter in trainer.generator.parameters()) * torch.tensor(float("nan"))
    trainer.descend(loss, trainer.optimizers["generator"])
    assert trainer.updates.left_out == 1
    assert all(torch.equal(one, other) for one, other in zip(before, trainer.generator.parameters()))
