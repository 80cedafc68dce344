"""The loop that all generators train in: resume, memory, schedule, stopping."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medsynth_app.errors import InvalidValueError, TrainingDivergedError
from medsynth_app.synthesis.training.loop import LoopConfiguration, Stage, TrainingLoop, is_out_of_memory

CPU = torch.device("cpu")


class LineLearner:
    """Learns y = 2 x + 1; memory is full as soon as a part has more samples than ``fits``."""

    def __init__(self, fits: int = 99, error: type[BaseException] = MemoryError, gain: bool = True) -> None:
        torch.manual_seed(0)
        self.network = nn.Linear(1, 1)
        self.modules = {"network": self.network}
        self.averaged = ("network",)
        self.optimizers = {"fit": torch.optim.SGD(self.network.parameters(), lr=0.2)}
        self.fits, self.error, self.gain = fits, error, gain
        self.resolutions: list[int] = []
        self.parts: list[int] = []

    def draw(self, count: int, resolution: int, chance: torch.Generator) -> torch.Tensor:
        self.resolutions.append(resolution)
        return torch.rand(count, 1, generator=chance)

    def loss(
        self, phase: str, part: torch.Tensor, chance: torch.Generator, step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        if len(part) > self.fits:
            raise self.error("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        self.parts.append(len(part))
        loss = (self.network(part) - (2 * part + 1)).square().mean()
        return loss, {"loss": loss.item()}

    def validate(self, modules: Mapping[str, nn.Module]) -> dict[str, float]:
        x = torch.linspace(0, 1, 9)[:, None]
        error = (modules["network"](x) - (2 * x + 1)).square().mean().item()
        return {"score": -error if self.gain else 0.0}


def configuration(**changes: object) -> LoopConfiguration:
    values = {"steps": 60, "batch_size": 8, "warmup_steps": 5, "ema_decay": 0.8, "validate_every": 20}
    return LoopConfiguration(**{**values, **changes})  # type: ignore[arg-type]


def trained(folder: Path, learner: LineLearner, **changes: object) -> TrainingLoop:
    loop = TrainingLoop(configuration(**changes), learner, folder, CPU)
    loop.run()
    return loop


def weights_of(loop: TrainingLoop) -> list[float]:
    return [float(p) for p in loop.result()["network"].parameters()]


def test_it_learns_and_keeps_a_history(tmp_path: Path) -> None:
    loop = trained(tmp_path, LineLearner(), steps=200)
    assert weights_of(loop) == pytest.approx([2.0, 1.0], abs=0.2)
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(20, 201, 20))
    assert lines[-1]["loss"] < lines[0]["loss"] / 5


def test_same_seed_same_weights_other_seed_others(tmp_path: Path) -> None:
    first, again, other = (
        weights_of(trained(tmp_path / str(i), LineLearner(), seed=s)) for i, s in enumerate((1, 1, 2))
    )
    assert first == again
    assert first != other


def test_a_stopped_run_goes_on_as_if_it_never_had_been(tmp_path: Path) -> None:
    whole = weights_of(trained(tmp_path / "whole", LineLearner()))
    TrainingLoop(configuration(), LineLearner(), tmp_path / "cut", CPU).run(until=23)
    going_on = TrainingLoop(configuration(), LineLearner(), tmp_path / "cut", CPU)
    assert going_on.step == 23
    going_on.run()
    assert weights_of(going_on) == pytest.approx(whole, abs=1e-7)


@pytest.mark.parametrize("error", [MemoryError, RuntimeError, torch.cuda.OutOfMemoryError])
def test_parts_shrink_until_they_fit_and_the_result_stays(tmp_path: Path, error: type[BaseException]) -> None:
    tight = LineLearner(fits=3, error=error)
    loop = trained(tmp_path / "tight", tight)
    assert loop.part_size == 2
    assert set(tight.parts) == {2}
    assert len(tight.parts) == 4 * 60, "every sample of every batch counts"
    roomy = weights_of(trained(tmp_path / "roomy", LineLearner()))
    assert weights_of(loop) == pytest.approx(roomy, abs=1e-5)


def test_the_smaller_part_is_remembered(tmp_path: Path) -> None:
    trained(tmp_path, LineLearner(fits=3), steps=60)
    assert TrainingLoop(configuration(), LineLearner(), tmp_path, CPU).part_size == 2


def test_when_one_sample_does_not_fit_the_error_is_told(tmp_path: Path) -> None:
    with pytest.raises(MemoryError):
        trained(tmp_path, LineLearner(fits=0))


def test_other_errors_are_not_taken_for_full_memory() -> None:
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))


def test_resolution_grows_in_stages(tmp_path: Path) -> None:
    learner = LineLearner()
    trained(tmp_path, learner, stages=(Stage(0, 16), Stage(30, 32)))
    assert learner.resolutions == [16] * 30 + [32] * 30


def test_it_stops_without_gain(tmp_path: Path) -> None:
    loop = trained(tmp_path, LineLearner(gain=False), steps=400, patience=3)
    assert loop.step == 80, "the first validation is a gain, the next three are not"


def test_the_rate_warms_up_and_falls() -> None:
    rates = [configuration().rate_at(step) for step in range(60)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[4] == 1.0
    assert rates[-1] < 0.02


def test_another_configuration_is_refused_in_the_same_folder(tmp_path: Path) -> None:
    trained(tmp_path, LineLearner())
    with pytest.raises(InvalidValueError, match="learning_rate: the run in this folder has 0.001, not 0.01"):
        TrainingLoop(configuration(learning_rate=0.01), LineLearner(), tmp_path, CPU)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"steps": 0}, "steps"), ({"part_size": 9}, "part_size"), ({"learning_rate": 0.0}, "learning_rate"),
     ({"stages": (Stage(5, 16),)}, "stages"), ({"ema_decay": 1.0}, "ema_decay")],
)  # fmt: skip
def test_wrong_settings_are_refused_by_name(changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidValueError, match=f"^{field}:"):
        configuration(**changes)


class BrokenLearner(LineLearner):
    """Its gradient, not its loss, is infinite from an update on."""

    def loss(
        self, phase: str, part: torch.Tensor, chance: torch.Generator, step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        loss, figures = super().loss(phase, part, chance, step)
        broken = step == 2 or step >= 20
        return (loss + (self.network.weight.sum() * 0).sqrt() if broken else loss), figures


def test_updates_without_a_finite_gradient_are_left_out_and_shown(tmp_path: Path) -> None:
    shown: list[int] = []
    loop = TrainingLoop(configuration(), BrokenLearner(), tmp_path, CPU)
    with pytest.raises(TrainingDivergedError, match="10 updates in a row and 11 in all had no finite gradient"):
        loop.run(lambda progress: shown.append(progress.left_out))
    assert shown[:4] == [0, 0, 1, 1]
    assert shown[-1] == 10
    kept = TrainingLoop(configuration(), BrokenLearner(), tmp_path, CPU)
    assert (kept.step, kept.updates.left_out) == (20, 1)
    assert all(np.isfinite(weights_of(kept)))
