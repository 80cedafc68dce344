"""``medsynth train tumor_case_synthesis``: contrast and texture of labelled real cases.

The contrast model is fitted in one go; the texture network learns by rectified flow on patches of axial slices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.imaging.provenance.marking import is_marked_synthetic
from medsynth_app.imaging.studies.cases import CaseFiles, find_cases
from medsynth_app.options import Option
from medsynth_app.synthesis.flow.losses import velocity_loss
from medsynth_app.synthesis.measures.privacy import store_reference
from medsynth_app.synthesis.training.loop import (
    LoopConfiguration,
    ReportTraining,
    TrainingLoop,
    channels_of,
    untold,
)
from medsynth_app.synthesis.tumor.learned.contrast import FEWEST_CASES, ContrastModel
from medsynth_app.synthesis.tumor.learned.network import SEQUENCES, TextureConfiguration, TextureNetwork
from medsynth_app.synthesis.tumor.learned.transforms import HEALTHY, ObservedCase, observe
from medsynth_app.synthesis.weights import ENDING, save_weights

KIND = "tumor_appearance"
WEIGHTS_NAME = "tumor_case_learned"
TUMOR_PATCHES = 0.5
"""Share of the patches that are centred on tumour."""
VALIDATION_PATCHES = 48
TRAINER_OPTIONS = (
    Option("validation", "", "Names of cases that are held out, A,B; empty = every fifth."),
    Option("steps", 3000, "Updates in all.", minimum=1, maximum=10_000_000),
    Option("batch_size", 4, "Patches an update.", minimum=1, maximum=1024),
    Option("patch_side", 64, "Of a patch, voxels of 2 mm, a multiple of 16.", minimum=16, maximum=128),
    Option("channels", "16,32,64", "Of each level of the network, multiples of 16."),
    Option("learning_rate", 2e-3, "Top of the schedule.", minimum=1e-7, maximum=0.5),
    Option("validate_every", 250, "Updates between validations.", minimum=1, maximum=10**6),
    Option("patience", 0, "Validations without gain until it stops; 0 = never.", minimum=0, maximum=10**6),
    Option("ema_decay", 0.995, "Of the moving average of the weights.", minimum=0, maximum=0.99999),
    Option("mixed_precision", False, "bfloat16 where the hardware has it and learns rightly."),
    Option("seed", 0, "Makes a run repeatable.", minimum=0, maximum=2**31),
)


class TextureLearner:
    """What the training loop trains.

    Args:
        configuration: shape of the network.
        cases / held_out: real cases; the second may be empty.
        scale: (4,) standard deviation of the residuals, which are divided by it.
        rate: learning rate.
        device: where it runs.
        seed: of the first weights.
    """

    averaged: Sequence[str] = ("texture",)

    def __init__(
        self, configuration: TextureConfiguration, cases: Sequence[ObservedCase], held_out: Sequence[ObservedCase],
        scale: np.ndarray, rate: float, device: torch.device, seed: int = 0,
    ) -> None:  # fmt: skip
        torch.manual_seed(seed)
        self.device = device
        self.parts = [_stacked(case, scale) for case in cases]
        self.held_out = [_stacked(case, scale) for case in held_out]
        self.texture = TextureNetwork(configuration).to(device)
        self.modules: Mapping[str, nn.Module] = {"texture": self.texture}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {
            "texture": torch.optim.AdamW(self.texture.parameters(), lr=rate)
        }

    def draw(self, count: int, resolution: int, chance: torch.Generator) -> torch.Tensor:
        """Patches (count, 22, R, R): residual, then conditions; each of another case and slice."""
        return torch.stack([_patch(self.parts, resolution, chance) for _ in range(count)])

    def loss(
        self, phase: str, part: torch.Tensor, chance: torch.Generator, step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The flow's loss."""
        loss = _loss(self.texture, part, chance)
        return loss, {"flow": float(loss.detach())}

    @torch.no_grad()
    def validate(self, modules: Mapping[str, nn.Module]) -> dict[str, float]:
        """Loss of held-out cases, always on the same patches with the same noise."""
        if not self.held_out:
            return {}
        chance = torch.Generator().manual_seed(0)
        patches = torch.stack([_patch(self.held_out, 64, chance) for _ in range(VALIDATION_PATCHES)])
        losses = [float(_loss(modules["texture"], part.to(self.device), chance)) for part in patches.split(8)]
        return {"flow": float(np.mean(losses)), "score": -float(np.mean(losses))}


def train_tumor_appearance(
    data: Path,
    folder: Path,
    options: Mapping[str, Any],
    publish_to: Path | None,
    device: str | None,
    report: ReportTraining = untold,
) -> dict[str, Any]:
    """Learn from a folder of labelled BraTS-style cases; the same call goes on with an earlier run.

    Args:
        data: case folders; those marked as synthetic are left out.
        folder: checkpoints, cases taken apart, and the weights where they are not published.
        options: of ``TRAINER_OPTIONS``.
        publish_to: folder for the finished weights.
        device: ``cpu`` or ``cuda``; None = the best there is.
        report: told about progress.

    Raises:
        InvalidValueError: an option, or too few labelled cases.
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    configuration = TextureConfiguration(channels_of(options["channels"]))
    loop = _loop(options, configuration)
    training, held_out = _split(_real_cases(data), str(options["validation"]))
    cases, kept = ([_observed(files, folder / "observed") for files in part] for part in (training, held_out))
    contrast, scale = ContrastModel.of(cases), _residual_scale(cases)
    learner = TextureLearner(
        configuration, cases, kept, scale, float(options["learning_rate"]), where, int(options["seed"])
    )
    running = TrainingLoop(loop, learner, folder, where)
    texture = running.run(report)["texture"]
    tensors = {f"texture.{name}": value for name, value in texture.state_dict().items()}
    tensors |= {
        "contrast.mean": torch.from_numpy(contrast.mean),
        "contrast.factor": torch.from_numpy(contrast.factor),
        "scale": torch.from_numpy(scale),
    }
    path = (publish_to or folder) / f"{WEIGHTS_NAME}{ENDING}"
    trained_on = f"{len(cases)} labelled cases of {data.name}, {len(kept)} held out"
    digest = save_weights(path, KIND, configuration.as_dict(), tensors, trained_on, {"steps": running.step})
    store_reference(path, map(_as_answered, cases), map(_as_answered, kept))
    return {**learner.validate({"texture": texture}), "steps": running.step, "weights": path.name,
            "weights_sha256": digest}  # fmt: skip


def _real_cases(data: Path) -> list[CaseFiles]:
    found = [case for case in find_cases(data) if case.label is not None and not case.missing(_SEQUENCES)]
    real = [case for case in found if not any(map(is_marked_synthetic, case.sequences.values()))]
    if len(real) < FEWEST_CASES:
        raise InvalidValueError(
            f"data: {data.name} holds {len(real)} labelled real cases with all four sequences, "
            f"at least {FEWEST_CASES} are needed"
        )
    return real


_SEQUENCES = ("flair", "t1", "t1ce", "t2")


def _split(cases: Sequence[CaseFiles], validation: str) -> tuple[list[CaseFiles], list[CaseFiles]]:
    names = [case.name for case in cases]
    wanted = [name.strip() for name in validation.split(",") if name.strip()] or names[4::5]
    for name in wanted:
        if name not in names:
            raise InvalidValueError(f"validation: there is no labelled case {name!r}, there are {', '.join(names)}")
    training = [case for case in cases if case.name not in wanted]
    if len(training) < FEWEST_CASES:
        raise InvalidValueError(f"validation: leaves {len(training)} cases to train on, {FEWEST_CASES} are needed")
    return training, [case for case in cases if case.name in wanted]


def _observed(files: CaseFiles, folder: Path) -> ObservedCase:
    """The case taken apart; done once and kept."""
    path = folder / f"{files.name}.npz"
    if not path.is_file():
        parts = vars(observe(files))
        with whole_file(path) as beside:
            np.savez_compressed(beside, **{
                name: value.astype(np.float16) if value.ndim == 4 else value
                for name, value in parts.items() if name != "name"
            })  # fmt: skip
    with np.load(path) as parts:
        return ObservedCase(files.name, **{name: parts[name] for name in parts.files})


def _residual_scale(cases: Sequence[ObservedCase]) -> np.ndarray:
    """(4,): deviation of the residuals inside the brain."""
    rows = []
    for case in cases:
        inside = case.shares.astype(np.float32).sum(axis=0) > 0.5
        rows.append(np.square(case.residual[:, inside].astype(np.float32)).mean(axis=1))
    return np.sqrt(np.mean(rows, axis=0))


def conditions_of(mean_image: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """What the network is told of every slice: (Z, 18, X, Y).

    Args:
        mean_image: (4, X, Y, Z).
        shares: (6, X, Y, Z).
    """
    slices = mean_image.permute(3, 0, 1, 2)
    below = torch.cat([slices[:1], slices[:-1]])
    above = torch.cat([slices[1:], slices[-1:]])
    return torch.cat([slices, below, above, shares.permute(3, 0, 1, 2)], dim=1)


def _stacked(case: ObservedCase, scale: np.ndarray) -> torch.Tensor:
    """Residual over its scale and conditions, (Z, 22, X, Y) float16."""
    residual = torch.from_numpy(case.residual.astype(np.float32) / scale.reshape(4, 1, 1, 1).astype(np.float32))
    conditions = conditions_of(
        torch.from_numpy(case.mean_image.astype(np.float32)), torch.from_numpy(case.shares.astype(np.float32))
    )
    return torch.cat([residual.permute(3, 0, 1, 2), conditions], dim=1).half()


def _patch(parts: Sequence[torch.Tensor], side: int, chance: torch.Generator) -> torch.Tensor:
    """A patch (22, side, side) float32 around a voxel of tumour or brain, mirrored left to right at random."""
    part = parts[int(torch.randint(len(parts), (), generator=chance))]
    shares = part[:, SEQUENCES + 3 * SEQUENCES :]
    in_tumor = bool(torch.rand((), generator=chance) < TUMOR_PATCHES)
    inside = shares[:, HEALTHY:].sum(dim=1) > 0.5 if in_tumor else shares.sum(dim=1) > 0.5
    if not bool(inside.any()):
        inside = shares.sum(dim=1) > 0.5
    places = torch.nonzero(inside)
    z, x, y = places[int(torch.randint(len(places), (), generator=chance))].tolist()
    padded = nn.functional.pad(part[z].float(), (side // 2,) * 4)
    patch = padded[:, x : x + side, y : y + side]
    return patch.flip(1) if bool(torch.rand((), generator=chance) < 0.5) else patch


def _loss(network: nn.Module, part: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    velocity = partial(network, conditions=part[:, SEQUENCES:])
    alike = torch.ones(SEQUENCES, device=part.device)
    return velocity_loss(velocity, part[:, :SEQUENCES], alike, chance).mean()


def _as_answered(case: ObservedCase) -> np.ndarray:
    """The case as a generator would answer it: positive inside the brain, 0 outside; axes L, P, S."""
    inside = case.shares.astype(np.float32).sum(axis=0) > 0.5
    values = case.mean_image.astype(np.float32) + case.residual.astype(np.float32)
    levels = np.maximum(1.0 + values / case.offsets.reshape(4, 1, 1, 1), 0.01) * inside
    return levels[:, ::-1, ::-1].astype(np.float32)


def _loop(options: Mapping[str, Any], configuration: TextureConfiguration) -> LoopConfiguration:
    side = int(options["patch_side"])
    if side % (2 * configuration.side_multiple):
        raise InvalidValueError(
            f"patch_side: {side} must be a multiple of {2 * configuration.side_multiple} for this network"
        )
    return LoopConfiguration.from_options(options, side, halves=False, longest_warmup=50)
