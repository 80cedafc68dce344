"""``volume_synthesis`` by diffusion: a code from noise by rectified flow, decoded by the autoencoder."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from medsynth_app import __version__
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.options import Option
from medsynth_app.synthesis.conditions import ConditionTable
from medsynth_app.synthesis.generator import GenerationRequest, ReportProgress, Synthetic, unheard
from medsynth_app.synthesis.latent_flow.losses import sample
from medsynth_app.synthesis.latent_flow.network import FlowConfiguration, FlowNetwork
from medsynth_app.synthesis.latent_flow.prior import CodePrior
from medsynth_app.synthesis.latent_flow.training import KIND
from medsynth_app.synthesis.phantoms.request import VOLUME_TYPE
from medsynth_app.synthesis.vae_gan.generator import (
    SEQUENCE,
    asked_sequence,
    cube_as_volume,
    load_vae,
    weights_name,
)
from medsynth_app.synthesis.vae_gan.network import VaeConfiguration, code_distribution_of, decode
from medsynth_app.synthesis.weights import StoredWeights, WeightsStore, load_weights

NAME = "volume_synthesis.diffusion"
CONDITIONS = ConditionTable(
    (
        VOLUME_TYPE,
        SEQUENCE,
        Option("steps", 20, "Steps from noise to the volume.", minimum=1, maximum=200),
        Option("grain", 0.3, "Share of the fine noise that is kept: less is smoother.", minimum=0, maximum=1),
    )
)


class FlowGenerator:
    """Volumes from noise.

    Args:
        store: where the weights of flow and autoencoder are.
    """

    def __init__(self, store: WeightsStore) -> None:
        self.store = store

    def generate(self, request: GenerationRequest, progress: ReportProgress = unheard) -> Synthetic:
        """Make one volume (1, R, R, R) int16.

        Raises:
            InvalidValueError: no weights of that type are here, or flow and autoencoder do not belong together.
        """
        volume_type = str(request.conditions["volume_type"])
        name = f"diffusion of {volume_type}"
        autoencoder_path = self.store.require(weights_name("vae_gan", volume_type), name)
        vae, autoencoder = load_vae(autoencoder_path)
        flow, stored = load_flow(self.store.require(weights_name("diffusion", volume_type), name), autoencoder_path)
        known = FlowConfiguration.from_dict(stored.configuration).sequences
        kind = torch.tensor([asked_sequence(request, known, name)])
        shape = (1, *VaeConfiguration.from_dict(autoencoder.configuration).latent_shape)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(request.seed))
        code = sample(
            lambda code, time: flow(code, time, kind),
            flow.prior.smoothed(noise, kind, float(request.conditions["grain"])),
            int(request.conditions["steps"]),
            lambda share: progress(0.9 * share),
        )
        code = code * float(stored.notes["deviation"]) + float(stored.notes["mean"])
        cube = decode(vae, code)[0].numpy()
        mark = SyntheticMark(NAME, __version__, request.seed, dict(request.conditions), stored.sha256)
        return cube_as_volume(cube, autoencoder, mark)


def load_flow(path: Path, autoencoder: Path) -> tuple[FlowNetwork, StoredWeights]:
    """The flow of a weights file, kept until one of the two files changes.

    Args:
        path: of the flow.
        autoencoder: file of the weights that its codes belong to.

    Raises:
        InvalidValueError: the file does not fit, or it belongs to another autoencoder (code ``weights_mismatch``).
    """
    return _load(path, path.stat().st_mtime_ns, autoencoder, autoencoder.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _load(path: Path, changed: int, autoencoder_path: Path, also: int) -> tuple[FlowNetwork, StoredWeights]:
    stored, autoencoder = load_weights(path, KIND), load_vae(autoencoder_path)[1]
    if stored.notes.get("autoencoder_sha256") != autoencoder.sha256:
        raise InvalidValueError(
            f"generator: {path.name} was trained with another autoencoder than the one on this server; "
            "train the stage diffusion again",
            code="weights_mismatch",
        )
    mean, deviation = float(stored.notes["mean"]), float(stored.notes["deviation"])
    prior = CodePrior(code_distribution_of(autoencoder), mean, deviation)
    flow = FlowNetwork(FlowConfiguration.from_dict(stored.configuration), prior)
    try:
        flow.load_state_dict(dict(stored.tensors))
    except RuntimeError as error:
        raise InvalidValueError(f"weights {path.name}: do not fit their own configuration") from error
    return flow.eval().requires_grad_(False), stored
