"""StyleGAN2's generator and discriminator in plain PyTorch: no custom kernels, CPU and GPU alike.

Written from the papers: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020) for
weight demodulation, skip generator and residual discriminator; Karras et al., "Training Generative Adversarial
Networks with Limited Data" (NeurIPS 2020) for the class-conditional mapping and minibatch statistics.

Images are (N, C, R, R) with values about -1..1; latents z (N, Z); styles w (N, W); extended styles w+ (N, L, W)
with one w for each of the L = 2 log2(R) - 2 modulated layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from medsynth_app.errors import InvalidValueError

SMALLEST_RESOLUTION = 4
LEAKY_SLOPE = 0.2
LEAKY_GAIN = math.sqrt(2.0)
"""Keeps the variance after a leaky ReLU."""
FIRST_COLOR_GAIN = 0.1
BLUR_TAPS = (1.0, 3.0, 3.0, 1.0)
Noise = torch.Generator | torch.Tensor | None
"""Of one layer: a source that draws it, the noise itself (N or 1, 1, R, R), or the fixed noise of the network."""


@dataclass(frozen=True)
class StyleGAN2Configuration:
    """Shape of the two networks.

    Attributes:
        resolution: side of the image in pixels, a power of two, 8 to 512.
        image_channels: 1 (grey) or 3 (colour).
        classes: number of classes of a class-conditional generator; 0 = unconditional.
        latent_size: length of z.
        style_size: length of w.
        mapping_layers: fully connected layers from z to w.
        mapping_rate: learning rate of those layers relative to the others; 0.01 as published, more where the
            generator is guided by reconstruction.
        class_spreads: the network holds a covariance of the latents of each class, see ``MappingNetwork``.
        channel_base: channels at a resolution are ``channel_base / resolution`` ...
        channel_max: ... and at most this many.
        channel_min: ... and at least this many.

    Raises:
        InvalidValueError: a value outside its range, named.
    """

    resolution: int = 128
    image_channels: int = 3
    classes: int = 0
    latent_size: int = 256
    style_size: int = 256
    mapping_layers: int = 2
    mapping_rate: float = 0.1
    class_spreads: bool = False
    channel_base: int = 2048
    channel_max: int = 256
    channel_min: int = 16

    def __post_init__(self) -> None:
        if self.resolution not in (8, 16, 32, 64, 128, 256, 512):
            raise InvalidValueError(
                f"resolution: {self.resolution!r} must be one of 8, 16, 32, 64, 128, 256, 512"
            )
        if self.image_channels not in (1, 3):
            raise InvalidValueError(f"image_channels: {self.image_channels!r} must be 1 or 3")
        if not 0.0 < self.mapping_rate <= 1.0:
            raise InvalidValueError(f"mapping_rate: {self.mapping_rate!r} must be above 0 and at most 1")
        if self.classes < 0:
            raise InvalidValueError(f"classes: {self.classes!r} must not be negative")
        for name in (
            "latent_size", "style_size", "mapping_layers", "channel_base", "channel_max", "channel_min"
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name}: {getattr(self, name)!r} must be at least 1")

    def channels(self, resolution: int) -> int:
        """Feature channels at one resolution."""
        return max(self.channel_min, min(self.channel_max, self.channel_base // resolution))

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, ... up to the image's."""
        levels = int(math.log2(self.resolution))
        return tuple(2**level for level in range(2, levels + 1))

    @property
    def style_count(self) -> int:
        """L: number of styles of w+ (12 at 128 pixels)."""
        return 2 * int(math.log2(self.resolution)) - 2


def leaky(values: torch.Tensor) -> torch.Tensor:
    """Leaky ReLU with the gain that keeps the variance."""
    return functional.leaky_relu(values, LEAKY_SLOPE) * LEAKY_GAIN


class EqualizedLinear(nn.Module):
    """Fully connected layer with equalised learning rate: weights ~ N(0, 1), scaled at run time (ProGAN, 4.1).

    Args:
        size_in, size_out: features.
        bias: initial bias.
        learning_rate_factor: scales the effective learning rate (0.01 in the mapping network).
    """

    def __init__(
        self, size_in: int, size_out: int, bias: float = 0.0, learning_rate_factor: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size_out, size_in) / learning_rate_factor)
        self.bias = nn.Parameter(torch.full((size_out,), bias / learning_rate_factor))
        self.weight_gain = learning_rate_factor / math.sqrt(size_in)
        self.bias_gain = learning_rate_factor

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, size_in) -> (N, size_out)."""
        return functional.linear(values, self.scaled_weight(), self.bias * self.bias_gain)

    def scaled_weight(self) -> torch.Tensor:
        """(size_out, size_in), the matrix that is applied."""
        return self.weight * self.weight_gain


class EqualizedConvolution(nn.Module):
    """Convolution with equalised learning rate and 'same' padding; ``down`` halves the side, blurred before."""

    def __init__(
        self, size_in: int, size_out: int, kernel: int, bias: bool = True, down: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size_out, size_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(size_out)) if bias else None
        self.gain = 1.0 / math.sqrt(size_in * kernel * kernel)
        self.kernel = kernel
        self.down = down

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, size_in, R, R) -> (N, size_out, R, R) or half that side."""
        weight = self.weight * self.gain
        if not self.down:
            return functional.conv2d(features, weight, self.bias, padding=self.kernel // 2)
        # The four-tap blur shifts by half a pixel, which the strided convolution takes back.
        blurred = blur(features, pad=(self.kernel // 2 + 1, self.kernel // 2 + 1))
        return functional.conv2d(blurred, weight, self.bias, stride=2)


def blur(features: torch.Tensor, pad: tuple[int, int], gain: float = 1.0) -> torch.Tensor:
    """Low-pass by [1, 3, 3, 1] along both axes, each channel by itself.

    Args:
        features: (N, C, R, R).
        pad: zeros before and after each axis; the side becomes R + sum(pad) - 3.
        gain: factor on the result.
    """
    channels = features.shape[1]
    taps = torch.tensor(BLUR_TAPS, dtype=features.dtype, device=features.device)
    taps = taps / taps.sum() * math.sqrt(gain)
    padded = functional.pad(features, (*pad, *pad))
    rows = functional.conv2d(padded, taps.view(1, 1, 1, 4).expand(channels, 1, 1, 4), groups=channels)
    return functional.conv2d(rows, taps.view(1, 1, 4, 1).expand(channels, 1, 4, 1), groups=channels)


class MappingNetwork(nn.Module):
    """z (and a class) -> w.

    z is brought to unit length per feature; the class enters as a learned embedding of the same size. With
    ``class_spreads`` all numbers of z but the last are first given the covariance that the principal latents of the
    class's images have, so that what is drawn is like what guided the training.
    """

    spreads: torch.Tensor

    def __init__(self, configuration: StyleGAN2Configuration) -> None:
        super().__init__()
        self.classes = configuration.classes
        size = configuration.latent_size
        if self.classes:
            self.embedding = nn.Parameter(torch.randn(self.classes, size))
            size *= 2
        self.spread_out = configuration.class_spreads
        if self.spread_out:
            axes = torch.eye(configuration.latent_size - 1)
            self.register_buffer("spreads", axes.repeat(max(1, self.classes), 1, 1))
        layers, rate = [], configuration.mapping_rate
        for _ in range(configuration.mapping_layers):
            layers.append(EqualizedLinear(size, configuration.style_size, learning_rate_factor=rate))
            size = configuration.style_size
        self.layers = nn.ModuleList(layers)

    def forward(self, latent: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        """w of latents.

        Args:
            latent: (N, Z).
            label: (N,) class numbers; None for an unconditional network.

        Returns:
            (N, W).
        """
        return self.styles_of(self.spread(latent, label), label)

    def spread(self, latent: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        """Latents (N, Z) with the covariance of their class; the same ones without ``class_spreads``."""
        if not self.spread_out:
            return latent
        nobody = torch.zeros(len(latent), dtype=torch.long, device=latent.device)
        rows = label if self.classes and label is not None else nobody
        turned = (latent[:, None, :-1] @ self.spreads[rows])[:, 0]
        return torch.cat([_unit(turned), latent[:, -1:]], dim=1)

    def styles_of(self, spread: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        """w (N, W) of latents (N, Z) that are spread already, as principal latents are."""
        values = _unit(spread)
        if self.classes:
            if label is None:
                raise InvalidValueError(f"label: this generator needs a class, 0 to {self.classes - 1}")
            values = torch.cat([values, _unit(self.embedding[label])], dim=1)
        for layer in self.layers:
            values = leaky(layer(values))
        return values


def _unit(values: torch.Tensor) -> torch.Tensor:
    return values * (values.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class ModulatedConvolution(nn.Module):
    """Convolution whose input channels are scaled by a style (equations 1 to 3 of the StyleGAN2 paper).

    The scales are applied to the features instead of the weights, which is the same sum: input times style,
    one shared convolution, output times 1 / sqrt(sum (weight * style)^2).
    """

    def __init__(
        self,
        size_in: int,
        size_out: int,
        kernel: int,
        style_size: int,
        demodulate: bool = True,
        up: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size_out, size_in, kernel, kernel))
        self.gain = 1.0 / math.sqrt(size_in * kernel * kernel)
        self.style = EqualizedLinear(style_size, size_in, bias=1.0)
        self.demodulate = demodulate
        self.up = up
        self.kernel = kernel

    def forward(self, features: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """(N, size_in, R, R) and (N, W) -> (N, size_out, R, R), or twice that side."""
        style = self.style(w)
        weight = self.weight * self.gain
        features = features * style[:, :, None, None]
        if self.up:
            features = functional.conv_transpose2d(features, weight.transpose(0, 1), stride=2)
            features = blur(features, pad=(1, 1), gain=4.0)
        else:
            features = functional.conv2d(features, weight, padding=self.kernel // 2)
        if self.demodulate:
            power = style.square() @ weight.square().sum(dim=(2, 3)).T
            features = features * (power + 1e-8).rsqrt()[:, :, None, None]
        return features


class StyledLayer(nn.Module):
    """Modulated convolution, noise, bias, leaky ReLU."""

    fixed_noise: torch.Tensor

    def __init__(
        self, size_in: int, size_out: int, style_size: int, resolution: int, up: bool = False
    ) -> None:
        super().__init__()
        self.convolution = ModulatedConvolution(size_in, size_out, 3, style_size, up=up)
        self.bias = nn.Parameter(torch.zeros(size_out))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.resolution = resolution
        fixed = torch.randn(resolution, resolution, generator=torch.Generator().manual_seed(resolution + up))
        self.register_buffer("fixed_noise", fixed, persistent=False)

    def forward(self, features: torch.Tensor, w: torch.Tensor, noise: Noise = None) -> torch.Tensor:
        """Features (N, C, R, R) and w (N, W), see ``Noise``."""
        features = self.convolution(features, w)
        if noise is None:
            added = self.fixed_noise
        elif isinstance(noise, torch.Tensor):
            added = noise
        else:
            shape = (features.shape[0], 1, self.resolution, self.resolution)
            added = torch.randn(shape, generator=noise, device=noise.device).to(features.device)
        return leaky(features + added * self.noise_strength + self.bias[:, None, None])


class ColorLayer(nn.Module):
    """Features -> image channels by a modulated 1 x 1 convolution without demodulation."""

    def __init__(self, size_in: int, image_channels: int, style_size: int) -> None:
        super().__init__()
        self.convolution = ModulatedConvolution(size_in, image_channels, 1, style_size, demodulate=False)
        # The first pictures are nearly plain: without this, hundreds of steps only calm them down.
        with torch.no_grad():
            self.convolution.weight.mul_(FIRST_COLOR_GAIN)
        self.bias = nn.Parameter(torch.zeros(image_channels))

    def forward(self, features: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """(N, C, R, R) and (N, W) -> (N, image_channels, R, R)."""
        return self.convolution(features, w) + self.bias[:, None, None]


class SynthesisBlock(nn.Module):
    """One resolution: an upsampling and a plain styled layer, and the skip to the image.

    The block at 4 x 4 starts from a learned constant and has the plain layer only.
    """

    def __init__(self, resolution: int, configuration: StyleGAN2Configuration) -> None:
        super().__init__()
        size_out, style_size = configuration.channels(resolution), configuration.style_size
        self.first = resolution == SMALLEST_RESOLUTION
        if self.first:
            self.constant = nn.Parameter(torch.randn(size_out, resolution, resolution))
        else:
            size_in = configuration.channels(resolution // 2)
            self.up = StyledLayer(size_in, size_out, style_size, resolution, up=True)
        self.plain = StyledLayer(size_out, size_out, style_size, resolution)
        self.color = ColorLayer(size_out, configuration.image_channels, style_size)

    def forward(
        self,
        features: torch.Tensor | None,
        image: torch.Tensor | None,
        styles: Sequence[torch.Tensor],
        noise: Sequence[Noise],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and image of the resolution below (None at 4 x 4), styles of this block and the next one's
        first (for the image), noise of its styled layers; returns features and image of this resolution."""
        if self.first or features is None:
            features = self.constant.expand(styles[0].shape[0], -1, -1, -1)
            features = self.plain(features, styles[0], noise[0])
        else:
            features = self.plain(self.up(features, styles[0], noise[0]), styles[1], noise[1])
        added = self.color(features, styles[-1])
        return features, added if image is None else upsample(image) + added

    def convolutions(self) -> list[ModulatedConvolution]:
        """In the order of the styles that they read."""
        layers: list[StyledLayer | ColorLayer] = [self.plain, self.color]
        if not self.first:
            layers.insert(0, self.up)
        return [layer.convolution for layer in layers]


def upsample(image: torch.Tensor) -> torch.Tensor:
    """Twice the side; bilinear is the [1, 3, 3, 1] filter."""
    return functional.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)


class SynthesisNetwork(nn.Module):
    """w+ -> image."""

    def __init__(self, configuration: StyleGAN2Configuration) -> None:
        super().__init__()
        self.configuration = configuration
        self.blocks = nn.ModuleList(SynthesisBlock(side, configuration) for side in configuration.resolutions)

    def forward(
        self,
        styles: torch.Tensor,
        noise: torch.Generator | Sequence[torch.Tensor] | None = None,
        resolution: int | None = None,
    ) -> torch.Tensor:
        """The image of extended styles.

        Args:
            styles: w+ (N, L, W).
            noise: source of fresh noise, or maps like those of ``noise_maps``; None = the fixed noise that belongs to
                the network.
            resolution: stop at this side (progressive growing); None = the whole network.

        Returns:
            (N, C, R, R).
        """
        features: torch.Tensor | None = None
        image: torch.Tensor | None = None
        for block, side in zip(self.blocks, self.configuration.resolutions):
            first = _first_style(side)
            of_block = noise[first : first + 2] if isinstance(noise, Sequence) else (noise, noise)
            features, image = block(features, image, _styles_of(styles, side), of_block)
            if side == resolution:
                break
        assert image is not None
        return image

    def noise_maps(self) -> tuple[torch.Tensor, ...]:
        """The fixed noise of each styled layer, (1, 1, r, r), one at 4 x 4, then two a resolution."""
        layers = (layer for layer in self.modules() if isinstance(layer, StyledLayer))
        return tuple(layer.fixed_noise[None, None] for layer in layers)

    def style_affines(self) -> list[torch.Tensor]:
        """The matrices A_l (C_l, W) from w to the style of each modulated convolution of layer l of w+.

        Entry l holds those of every convolution that reads w+[:, l] (its feature layer and, where it has one,
        the layer that writes the image), stacked by rows.
        """
        affines: list[list[torch.Tensor]] = [[] for _ in range(self.configuration.style_count)]
        for block, side in zip(self.blocks, self.configuration.resolutions):
            assert isinstance(block, SynthesisBlock)
            for offset, convolution in enumerate(block.convolutions()):
                affines[_first_style(side) + offset].append(convolution.style.scaled_weight().detach())
        return [torch.cat(parts) for parts in affines]


def _first_style(side: int) -> int:
    """Index in w+ of the first style of the block at this side; a styled layer's noise map has the same index."""
    return 0 if side == SMALLEST_RESOLUTION else 2 * int(math.log2(side)) - 5


def _styles_of(styles: torch.Tensor, side: int) -> list[torch.Tensor]:
    first = _first_style(side)
    count = 2 if side == SMALLEST_RESOLUTION else 3
    return [styles[:, first + offset] for offset in range(count)]


class Generator(nn.Module):
    """Mapping and synthesis together, with the running mean of w for truncation.

    Args:
        configuration: shape of the network.
    """

    w_mean: torch.Tensor

    def __init__(self, configuration: StyleGAN2Configuration) -> None:
        super().__init__()
        self.configuration = configuration
        self.mapping = MappingNetwork(configuration)
        self.synthesis = SynthesisNetwork(configuration)
        self.register_buffer("w_mean", torch.zeros(max(1, configuration.classes), configuration.style_size))

    def styles(
        self, latent: torch.Tensor, label: torch.Tensor | None = None, truncation: float = 1.0
    ) -> torch.Tensor:
        """w+ of latents, all layers alike.

        Args:
            latent: (N, Z).
            label: (N,) class numbers or None.
            truncation: psi; 1 = none, 0 = the mean picture (of the class).

        Returns:
            (N, L, W).
        """
        w = self.mapping(latent, label)
        if truncation != 1.0:
            mean = self.w_mean[label] if label is not None and self.configuration.classes else self.w_mean[:1]
            w = mean + truncation * (w - mean)
        return self.repeat(w)

    def repeat(self, w: torch.Tensor) -> torch.Tensor:
        """(N, W) -> (N, L, W)."""
        return w.unsqueeze(1).expand(-1, self.configuration.style_count, -1)

    def forward(
        self,
        latent: torch.Tensor,
        label: torch.Tensor | None = None,
        truncation: float = 1.0,
        noise: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Images (N, C, R, R) of latents (N, Z)."""
        return self.synthesis(self.styles(latent, label, truncation), noise)


class Discriminator(nn.Module):
    """StyleGAN2's residual discriminator with minibatch standard deviation and class projection.

    Args:
        configuration: shape, as the generator's.
    """

    def __init__(self, configuration: StyleGAN2Configuration) -> None:
        super().__init__()
        self.configuration = configuration
        sides = tuple(reversed(configuration.resolutions))
        self.from_color = nn.ModuleDict(
            {
                str(side): EqualizedConvolution(configuration.image_channels, configuration.channels(side), 1)
                for side in sides
            }
        )
        self.blocks = nn.ModuleDict(
            {
                str(side): ResidualBlock(configuration.channels(side), configuration.channels(side // 2))
                for side in sides[:-1]
            }
        )
        size = configuration.channels(SMALLEST_RESOLUTION)
        self.last = EqualizedConvolution(size + 1, size, 3)
        self.dense = EqualizedLinear(size * SMALLEST_RESOLUTION**2, size)
        self.out = EqualizedLinear(size, 1)
        self.projection = nn.Parameter(torch.zeros(max(1, configuration.classes), size))

    def forward(self, image: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (N, 1) of images (N, C, r, r); r may be any resolution of the network (progressive growing)."""
        side = image.shape[-1]
        features = leaky(self.from_color[str(side)](image))
        while side > SMALLEST_RESOLUTION:
            features = self.blocks[str(side)](features)
            side //= 2
        features = leaky(self.last(minibatch_deviation(features)))
        hidden = leaky(self.dense(features.flatten(1)))
        logits = self.out(hidden)
        if label is not None and self.configuration.classes:
            projected = (hidden * self.projection[label]).sum(dim=1, keepdim=True)
            logits = logits + projected / math.sqrt(hidden.shape[1])
        return logits


class ResidualBlock(nn.Module):
    """Two convolutions, the second halving the side, with a 1 x 1 shortcut; variance kept by 1 / sqrt(2)."""

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.first = EqualizedConvolution(size_in, size_in, 3)
        self.second = EqualizedConvolution(size_in, size_out, 3, down=True)
        self.shortcut = EqualizedConvolution(size_in, size_out, 1, bias=False, down=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, size_in, R, R) -> (N, size_out, R / 2, R / 2)."""
        through = leaky(self.second(leaky(self.first(features))))
        return (through + self.shortcut(features)) * math.sqrt(0.5)


def minibatch_deviation(features: torch.Tensor, group: int = 4) -> torch.Tensor:
    """Append the mean standard deviation inside groups of the batch as a channel (ProGAN, section 3).

    (N, C, R, R) -> (N, C + 1, R, R).
    """
    count = features.shape[0]
    group = math.gcd(group, count)
    grouped = features.reshape(group, count // group, *features.shape[1:])
    deviation = (grouped.var(dim=0, correction=0) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    channel = deviation.repeat(group).view(count, 1, 1, 1).expand(-1, 1, *features.shape[2:])
    return torch.cat([features, channel], dim=1)
