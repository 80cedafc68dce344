"""``volume_synthesis`` by the autoencoder: a code drawn from the training codes' distribution, decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medsynth_app import __version__
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.options import Option
from medsynth_app.synthesis.conditions import ConditionTable
from medsynth_app.synthesis.data.volumes import unscaled
from medsynth_app.synthesis.generator import GenerationRequest, ReportProgress, Synthetic, unheard
from medsynth_app.synthesis.phantoms.request import VOLUME_TYPE, VOLUME_TYPES
from medsynth_app.synthesis.vae_gan.network import (
    VaeConfiguration,
    VolumeAutoencoder,
    code_distribution_of,
    decode,
)
from medsynth_app.synthesis.vae_gan.training import KIND
from medsynth_app.synthesis.weights import StoredWeights, WeightsStore, load_weights
from medsynth_app.vocabulary import Modality

NAME = "volume_synthesis.vae_gan"
INDEPENDENT_SHARE = 0.25
"""Of what the components leave of the training codes' spread: drawn place by place it is grain, not anatomy."""
SEQUENCE = Option(
    "sequence",
    "",
    "MR sequence, where the weights were trained on several; empty = any.",
    ("", *(sequence.value for sequence in Modality)),
)
LEARNED_CONDITIONS = ConditionTable(
    (
        VOLUME_TYPE,
        SEQUENCE,
        Option("variety", 1.0, "Width of the distribution that codes are drawn from.", minimum=0, maximum=2),
    )
)


def weights_name(method: str, volume_type: str) -> str:
    """Name of the weights of one method and type: ``vae-gan-mri-brain``."""
    return f"{method}-{volume_type}".replace("_", "-")


class VaeGenerator:
    """Volumes decoded from drawn codes.

    Args:
        store: where the weights are.
    """

    def __init__(self, store: WeightsStore) -> None:
        self.store = store

    def generate(self, request: GenerationRequest, progress: ReportProgress = unheard) -> Synthetic:
        """Make one volume (1, R, R, R) int16.

        Raises:
            InvalidValueError: no weights of that type are here.
        """
        volume_type = str(request.conditions["volume_type"])
        name = f"vae_gan of {volume_type}"
        vae, stored = load_vae(self.store.require(weights_name("vae_gan", volume_type), name))
        kind = asked_sequence(request, stored.notes.get("sequences", ()), name)
        code = draw_code(stored, kind, request.seed, float(request.conditions["variety"]))
        progress(0.3)
        cube = decode(vae, code)[0].numpy()
        progress(1.0)
        return cube_as_volume(cube, stored, SyntheticMark(
            NAME, __version__, request.seed, dict(request.conditions), stored.sha256
        ))  # fmt: skip


def load_vae(path: Path) -> tuple[VolumeAutoencoder, StoredWeights]:
    """The autoencoder of a weights file, kept until the file changes.

    Raises:
        InvalidValueError: the file does not fit.
    """
    return _load(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _load(path: Path, changed: int) -> tuple[VolumeAutoencoder, StoredWeights]:
    stored = load_weights(path, KIND)
    vae = VolumeAutoencoder(VaeConfiguration.from_dict(stored.configuration))
    try:
        vae.load_state_dict({n: t for n, t in stored.tensors.items() if not n.startswith("codes.")})
    except RuntimeError as error:
        raise InvalidValueError(f"weights {path.name}: do not fit their own configuration") from error
    return vae.eval().requires_grad_(False), stored


def asked_sequence(request: GenerationRequest, known: Sequence[str], name: str) -> int:
    """Place of the sequence among those that the weights know; where it is left open, the seed chooses.

    Raises:
        InvalidValueError: the weights do not know it.
    """
    asked = str(request.conditions["sequence"])
    if not asked:
        return request.seed % max(1, len(known))
    if asked not in known:
        told = f"know {', '.join(known)}" if known else "were trained on one kind of image only; leave it out"
        raise InvalidValueError(f"sequence: {asked!r} cannot be asked for, the weights of {name} {told}")
    return list(known).index(asked)


def draw_code(stored: StoredWeights, kind: int, seed: int, variety: float) -> torch.Tensor:
    """A code (1, C, x, y, z) from the distribution of the training codes of one sequence."""
    chance = torch.Generator().manual_seed(seed)
    mean, components, residual = (table[kind] for table in code_distribution_of(stored).values())
    shares = torch.randn(len(components), generator=chance)
    noise = torch.randn(len(mean), generator=chance) * residual
    code = mean + variety * (shares @ components + INDEPENDENT_SHARE * noise)
    return code.view(1, *VaeConfiguration.from_dict(stored.configuration).latent_shape)


def cube_as_volume(cube: np.ndarray, stored: StoredWeights, mark: SyntheticMark) -> Synthetic:
    """A decoded cube (1, R, R, R) in 0..1 with its place, unit and mark."""
    notes: Mapping[str, Any] = stored.notes
    spacing, volume_type = float(notes["spacing_mm"]), str(notes["volume_type"])
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -(cube.shape[1] - 1) / 2.0 * spacing
    return Synthetic(
        array=unscaled(cube, volume_type),
        affine=affine,
        mark=mark,
        window=VOLUME_TYPES[volume_type].window,
        facts={
            "trained_on": stored.trained_on,
            "unit": "HU" if volume_type.startswith("ct") else "arbitrary",
        },
    )
