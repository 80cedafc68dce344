"""The weights file of the picture diffusion: codec, network and, where it was trained, the decoder, in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.image_diffusion.conditions import Asked, ConditionBatch, Vocabulary
from medsynth_app.synthesis.image_diffusion.lesions import LesionHabits
from medsynth_app.synthesis.image_diffusion.network import MASK_CELLS, NetworkConfiguration, VelocityNetwork
from medsynth_app.synthesis.image_diffusion.transforms import PATCH, PatchCodec
from medsynth_app.synthesis.weights import load_weights, save_weights

KIND = "image_diffusion"
NAME = "image-diffusion"
USUAL_GUIDANCE = 2.5


@dataclass(frozen=True)
class DiffusionModel:
    """What makes pictures.

    Attributes:
        network: velocity.
        codec: codes to pictures.
        vocabulary: conditions that it knows.
        resolution: pixels a side.
        habits: ``MODALITY/PATHOLOGY`` -> where its lesions lie.
        grey: modalities without colours.
        guidance: modality -> what suits it.
        notes: further facts: ``pictures`` of each kind it was trained on.
        trained_on: one sentence.
        sha256: of the file.
    """

    network: nn.Module
    codec: PatchCodec
    vocabulary: Vocabulary
    resolution: int
    habits: Mapping[str, LesionHabits] = field(default_factory=dict)
    grey: tuple[str, ...] = ()
    guidance: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    trained_on: str = ""
    sha256: str = ""

    @property
    def code_side(self) -> int:
        """Places of a code along one side."""
        return self.resolution // PATCH

    def guidance_of(self, modality: str) -> float:
        """Guidance that suits a modality."""
        return float(self.guidance.get(modality, USUAL_GUIDANCE))

    def conditions(self, asked: Sequence[Asked]) -> ConditionBatch:
        """What pictures are to show, for the network."""
        return ConditionBatch.of_requests(asked, self.vocabulary, MASK_CELLS * self.code_side)

    @torch.no_grad()
    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """(N, D, H, W) -> pictures (N, 3, 8 H, 8 W), -1..1."""
        return self.codec.decode(codes).clamp(-1.0, 1.0)

    def save(self, path: Path) -> str:
        """Store it; returns the file's SHA-256."""
        assert isinstance(self.network, VelocityNetwork)  # noqa: S101 - what from_file and training make
        configuration = {
            "network": self.network.configuration.as_dict(),
            "vocabulary": self.vocabulary.as_dict(),
            "resolution": self.resolution,
            "habits": {name: habits.as_dict() for name, habits in self.habits.items()},
            "grey": list(self.grey),
            "guidance": dict(self.guidance),
        }
        tensors = {f"velocity.{name}": value for name, value in self.network.state_dict().items()}
        notes = {**self.notes, "kinds": list(self.vocabulary.modality)}
        return save_weights(
            path, KIND, configuration, {**tensors, **self.codec.tensors()}, self.trained_on, notes
        )

    @classmethod
    def from_file(cls, path: Path) -> DiffusionModel:
        """Read it.

        Raises:
            InvalidValueError: a file of another kind, or one that contradicts itself.
        """
        stored = load_weights(path, KIND)
        try:
            shape = NetworkConfiguration.from_dict(stored.configuration["network"])
            vocabulary = Vocabulary.from_dict(stored.configuration["vocabulary"])
            resolution = int(stored.configuration["resolution"])
            habits = {
                name: LesionHabits.from_dict(each) for name, each in stored.configuration["habits"].items()
            }
            grey = tuple(str(name) for name in stored.configuration["grey"])
            guidance = {name: float(value) for name, value in stored.configuration["guidance"].items()}
            network = VelocityNetwork(shape, vocabulary)
            network.load_state_dict(_part(stored.tensors, "velocity"))
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InvalidValueError(f"weights {path.name}: do not fit their own configuration") from error
        return cls(
            network.eval().requires_grad_(False),
            PatchCodec.from_tensors(dict(stored.tensors)),
            vocabulary,
            resolution,
            habits,
            grey,
            guidance,
            stored.notes,
            stored.trained_on,
            stored.sha256,
        )


def _part(tensors: Mapping[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{name}.")}
