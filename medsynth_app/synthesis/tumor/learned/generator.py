"""``tumor_case_synthesis generator=learned``: the grown or drawn tumour with images as real cases taught them.

tissue shares of every voxel (growth model, template brain) -> a person's contrast, drawn -> mean image -> texture by
rectified flow, slice by slice at 2 mm -> grain at the case's own voxel size -> gain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from medsynth_app import __version__
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.labels import read_label_volume
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.options import Option
from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.conditions import described_option
from medsynth_app.synthesis.flow.samplers import flow
from medsynth_app.synthesis.generator import GenerationRequest, ReportProgress, Synthetic, unheard
from medsynth_app.synthesis.tumor.catalogue import TASK, TumorConditions, synthetic_case
from medsynth_app.synthesis.tumor.composition import Composition
from medsynth_app.synthesis.tumor.generator import generate_tumor_case
from medsynth_app.synthesis.tumor.images import LARGEST_VALUE, RESLICING_BLUR_VOXELS
from medsynth_app.synthesis.tumor.learned.contrast import Contrast, ContrastModel
from medsynth_app.synthesis.tumor.learned.network import SEQUENCES, TextureConfiguration, TextureNetwork
from medsynth_app.synthesis.tumor.learned.training import KIND, WEIGHTS_NAME, conditions_of
from medsynth_app.synthesis.tumor.learned.transforms import SPACING_MM, mean_image_of
from medsynth_app.synthesis.tumor.request import TumorCaseRequest
from medsynth_app.synthesis.tumor.signal import Tissue
from medsynth_app.synthesis.weights import WeightsStore, load_weights

GENERATOR = "learned"
HEALTHY_LEVEL = 400.0
"""Stored value of the healthy brain's median, as the other generator stores white matter."""
SLICES_AT_ONCE = 8
SLICE_CORRELATION = 0.7
"""Of the noise of neighbouring slices: the flow is deterministic, so their textures follow each other."""
EDGE_BLUR_MM = 0.5
STEPS = Option("steps", 6, "Steps of the flow; more is slower and finer.", minimum=1, maximum=50)
OF_THE_PHYSICS = (
    "host", "contrast_agent", "contrast_uptake", "edema_density", "tissue_variation", "field_strength_t", "sequences",
    "bias_field", "noise", "slice_thickness_mm", "in_plane_resolution_mm",
)  # fmt: skip
CLASS_TISSUES: tuple[tuple[Tissue, ...], ...] = (
    (Tissue.WHITE_MATTER,),
    (Tissue.GREY_MATTER,),
    (Tissue.CEREBROSPINAL_FLUID, Tissue.VESSEL),
    (Tissue.EDEMA,),
    (Tissue.SOLID_TUMOR, Tissue.NECROSIS),
    (Tissue.ENHANCING_TUMOR,),
)
"""Tissues of the composition that make up each of ``transforms.CLASSES``."""


class LearnedConditions(TumorConditions):
    """Place, size and make-up of the tumour; how it looks follows the training cases."""

    def parse(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All conditions with their values.

        Raises:
            InvalidValueError: unknown, impossible, or of the sequence physics only.
        """
        for name in OF_THE_PHYSICS:
            if name in given:
                raise InvalidValueError(
                    f"{name}: learned images follow their training cases; choose generator=growth_model to set it"
                )
        steps = int(STEPS.parse(given.get(STEPS.name)))
        values = super().parse({name: value for name, value in given.items() if name != STEPS.name})
        return {**_without_physics(values), STEPS.name: steps}

    def shown(self) -> dict[str, Any]:
        """What viewers can show."""
        return {**_without_physics(super().shown()), STEPS.name: STEPS.default}

    def described(self) -> list[dict[str, Any]]:
        """One record a condition."""
        rows = [row for row in super().described() if row["name"] not in OF_THE_PHYSICS]
        return [*rows, described_option(STEPS)]


@dataclass(frozen=True)
class LearnedAppearance:
    """What was learned, ready to use.

    Attributes:
        contrast: of persons and scanners.
        texture: the flow's network, in evaluation mode.
        scale: (4,) standard deviation of the residuals.
        side_multiple: sides of a slice must be multiples of this.
        sha256: of the weights.
    """

    contrast: ContrastModel
    texture: TextureNetwork
    scale: np.ndarray
    side_multiple: int
    sha256: str

    def render(
        self, request: TumorCaseRequest, composition: Composition, steps: int, progress: ReportProgress = unheard
    ) -> np.ndarray:
        """The four sequences (4, X, Y, Z) int16 on the brain box, 0 outside the brain, at least 1 inside.

        Args:
            request: seed and voxel size.
            composition: tissue of every voxel.
            steps: of the flow.
            progress: told the share that is done.
        """
        chance = stream(request.seed, "learned")
        contrast = self.contrast.draw(chance)
        shares = class_shares(composition)
        mean_image = mean_image_of(shares, contrast.means)
        sigma = EDGE_BLUR_MM / request.spacing_mm
        mean_image = np.stack([gaussian_filter(channel, sigma) for channel in mean_image])
        coarse = tuple(max(2, round(n * request.spacing_mm / SPACING_MM)) for n in composition.brain.shape)
        residual = self._residual(_resized(mean_image, coarse), _resized(shares, coarse), steps, chance, progress)
        values = mean_image + _resized(residual, composition.brain.shape)
        return _stored(values, contrast, composition.brain, request.spacing_mm, chance)

    @torch.inference_mode()
    def _residual(
        self, mean_image: np.ndarray, shares: np.ndarray, steps: int, chance: np.random.Generator,
        progress: ReportProgress,
    ) -> np.ndarray:  # fmt: skip
        """(4, x, y, z) at 2 mm in the unit of the values; axes as they came, the network's own are R, A, S."""
        flipped = [torch.from_numpy(np.ascontiguousarray(a[:, ::-1, ::-1])) for a in (mean_image, shares)]
        told = conditions_of(*flipped)
        depth, _, width, height = told.shape
        told = functional.pad(told, (0, -height % self.side_multiple, 0, -width % self.side_multiple))
        noise = _noise((depth, SEQUENCES, *told.shape[2:]), chance)
        # channels last, like the network: a third less time on processors
        told, noise = (each.contiguous(memory_format=torch.channels_last) for each in (told, noise))
        parts = []
        for start in range(0, depth, SLICES_AT_ONCE):
            some = slice(start, start + SLICES_AT_ONCE)
            velocity = partial(self.texture, conditions=told[some])
            parts.append(flow(velocity, noise[some], steps, torch.Generator(), unheard))
            progress(min(1.0, (start + SLICES_AT_ONCE) / depth))
        residual = torch.cat(parts)[:, :, :width, :height].permute(1, 2, 3, 0).numpy()
        return residual[:, ::-1, ::-1] * self.scale.reshape(-1, 1, 1, 1).astype(np.float32)


class LearnedTumorCaseGenerator:
    """A labelled four-sequence case whose images were learned.

    Args:
        store: where the weights are.
    """

    def __init__(self, store: WeightsStore) -> None:
        self.store = store

    def generate(self, request: GenerationRequest, progress: ReportProgress = unheard) -> Synthetic:
        """Make one case.

        Raises:
            InvalidValueError: no weights, impossible conditions, or a mask on a foreign grid.
        """
        appearance = load_appearance(self.store.require(WEIGHTS_NAME, f"{GENERATOR} of {TASK}", "growth_model"))
        mask = read_label_volume(request.label)[0] if request.label else None
        conditions = dict(request.conditions)
        steps = int(conditions.pop(STEPS.name, STEPS.default))
        asked = TumorCaseRequest.from_parameters({**conditions, "seed": request.seed})

        def render(request: TumorCaseRequest, composition: Composition) -> np.ndarray:
            return appearance.render(request, composition, steps, progress)

        case = generate_tumor_case(asked, mask, render)
        kept = {**_without_physics(case.conditions), STEPS.name: steps}
        mark = SyntheticMark(f"{TASK}.{GENERATOR}", __version__, request.seed, kept, appearance.sha256)
        return synthetic_case(case, mark)


def load_appearance(path: Path) -> LearnedAppearance:
    """Read the weights; the newest ones stay in memory.

    Raises:
        InvalidValueError: of another kind or incomplete.
    """
    return _loaded(path, path.stat().st_mtime_ns)


def class_shares(composition: Composition) -> np.ndarray:
    """Shares (6, X, Y, Z) float32 of ``transforms.CLASSES`` on the brain box."""
    shares = np.zeros((len(CLASS_TISSUES), *composition.brain.shape), dtype=np.float32)
    for row, tissues in zip(shares, CLASS_TISSUES):
        row[composition.brain] = sum(composition.shares[tissue] for tissue in tissues)
    return shares


@lru_cache(maxsize=1)
def _loaded(path: Path, changed: int) -> LearnedAppearance:
    stored = load_weights(path, KIND)
    configuration = TextureConfiguration.from_dict(stored.configuration)
    network = TextureNetwork(configuration)
    tensors = dict(stored.tensors)
    try:
        contrast = ContrastModel(tensors.pop("contrast.mean").numpy(), tensors.pop("contrast.factor").numpy())
        scale = tensors.pop("scale").numpy()
        network.load_state_dict({name.removeprefix("texture."): value for name, value in tensors.items()})
    except (KeyError, RuntimeError) as error:
        raise InvalidValueError(f"weights {path.name}: do not fit their configuration") from error
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return LearnedAppearance(contrast, network, scale, configuration.side_multiple, stored.sha256)


def _noise(shape: tuple[int, ...], chance: np.random.Generator) -> torch.Tensor:
    """Standard normal noise (Z, 4, X, Y) that is correlated from slice to slice."""
    noise = chance.standard_normal(shape, dtype=np.float32)
    fresh = np.float32(np.sqrt(1.0 - SLICE_CORRELATION**2))
    for number in range(1, shape[0]):
        noise[number] = np.float32(SLICE_CORRELATION) * noise[number - 1] + fresh * noise[number]
    return torch.from_numpy(noise)


def _resized(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(C, X, Y, Z) on another number of voxels over the same box, linearly; halving averages blocks of 2."""
    if array.shape[1:] == tuple(shape):
        return array
    tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))[None]
    return functional.interpolate(tensor, size=tuple(shape), mode="trilinear", align_corners=False)[0].numpy()


def _stored(
    values: np.ndarray, contrast: Contrast, brain: np.ndarray, spacing_mm: float, chance: np.random.Generator
) -> np.ndarray:
    """Values in deviations of the healthy brain -> stored ones, with grain."""
    stored = np.zeros(values.shape, dtype=np.int16)
    for target, channel, offset, grain in zip(stored, values, contrast.offsets, contrast.grain):
        # Grain is measured at 1 mm; larger voxels average more of it away.
        fine = gaussian_filter(chance.standard_normal(brain.shape, dtype=np.float32), RESLICING_BLUR_VOXELS)
        fine *= np.float32(grain / spacing_mm**1.5 / max(float(fine.std()), 1e-6))
        levels = (channel + fine)[brain] / np.float32(offset) + np.float32(1.0)
        target[brain] = np.clip(np.rint(HEALTHY_LEVEL * levels), 1.0, LARGEST_VALUE).astype(np.int16)
    return stored


def _without_physics(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in OF_THE_PHYSICS}


