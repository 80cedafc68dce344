"""Training: it learns, it is repeatable to the bit, and it goes on after a kill as if nothing had been."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from medsynth_app import precision
from medsynth_app.errors import InvalidValueError, TrainingDivergedError
from medsynth_app.segmentation.network import NETWORKS, NetworkConfiguration
from medsynth_app.segmentation.training import loop as training
from medsynth_app.segmentation.training.augmentation import AugmentationConfiguration
from medsynth_app.segmentation.training.labelled_case import LabelledCase
from medsynth_app.segmentation.training.loop import (
    Progress,
    Trainer,
    TrainingConfiguration,
    learning_rate_at,
    mean_dice,
)
from medsynth_app.segmentation.weights import load_weights

TINY = TrainingConfiguration(
    network=NetworkConfiguration("unet", width=2, dropout=0.2),
    steps=6,
    patch_size=(32, 32, 32),
    learning_rate=1e-2,
    warmup_steps=2,
    validate_every=2,
    precision="fp32",
)

STILL = AugmentationConfiguration(
    **{field.name: 0.0 for field in fields(AugmentationConfiguration) if field.name.endswith("_probability")}
)
"""No augmentation: what is learned in a few steps."""


def state_of(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "last.pt", weights_only=True)


def assert_same_state(first: Any, second: Any, where: str = "state") -> None:
    """Equal to the bit, whatever the nesting."""
    assert type(first) is type(second), where
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first:
            assert_same_state(first[key], second[key], f"{where}.{key}")
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second), where
        for index, pair in enumerate(zip(first, second)):
            assert_same_state(*pair, f"{where}.{index}")
    else:
        assert first == second, where


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, tiny_cases: list[LabelledCase]) -> Path:
    """A run of ``TINY`` from beginning to end."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    Trainer(TINY, tiny_cases, tiny_cases[:1], folder).run()
    return folder


def test_training_lowers_the_loss(tmp_path: Path, tiny_cases: list[LabelledCase]) -> None:
    configuration = replace(
        TINY, network=NetworkConfiguration("unet", width=4, dropout=0.0), steps=30, validate_every=30,
        ema_decay=0.7, learning_rate=2e-2, augmentation=STILL,
    )  # fmt: skip
    reports: list[Progress] = []
    best = Trainer(configuration, tiny_cases, tiny_cases[:1], tmp_path).run(reports.append)
    assert [report.step for report in reports] == [10, 20, 30]
    losses = [report.loss for report in reports]
    assert losses[-1] < 0.75 * losses[0]
    assert reports[-1].validation is not None
    assert best == reports[-1].best == pytest.approx(sum(reports[-1].validation.values()) / 3)
    assert reports[0].seconds_left > 0 == reports[-1].seconds_left


def test_the_run_leaves_its_three_files(uninterrupted: Path) -> None:
    assert sorted(path.name for path in uninterrupted.iterdir()) == [
        "best.safetensors",
        "history.jsonl",
        "last.pt",
    ]
    lines = [json.loads(line) for line in (uninterrupted / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert all(set(line["dice"]) == {"WT", "TC", "ET"} for line in lines)


def test_the_best_weights_tell_where_they_come_from(uninterrupted: Path) -> None:
    network, configuration, notes = load_weights(uninterrupted / "best.safetensors")
    assert configuration == TINY.network
    history = [json.loads(line) for line in (uninterrupted / "history.jsonl").read_text().splitlines()]
    best = max(history, key=lambda line: line["mean"])
    assert notes["validation_dice"] == best["dice"]
    assert notes["training"]["seed"] == 0  # type: ignore[index]
    assert not network.training


def test_same_seed_same_weights_and_another_seed_others(
    tmp_path: Path, tiny_cases: list[LabelledCase], uninterrupted: Path
) -> None:
    torch.manual_seed(123)
    Trainer(TINY, tiny_cases, tiny_cases[:1], tmp_path / "again").run()
    assert_same_state(state_of(tmp_path / "again"), state_of(uninterrupted))
    Trainer(replace(TINY, seed=1, steps=2), tiny_cases, [], tmp_path / "other").run()
    other = state_of(tmp_path / "other")["network"]
    assert any(
        not torch.equal(a, b) for a, b in zip(other.values(), state_of(uninterrupted)["network"].values())
    )


@pytest.mark.parametrize("killed_after", [1, 3, 4])
def test_a_killed_run_goes_on_to_the_same_bits(
    tmp_path: Path, tiny_cases: list[LabelledCase], uninterrupted: Path, killed_after: int
) -> None:
    first = Trainer(TINY, tiny_cases, tiny_cases[:1], tmp_path)
    first.run(should_stop=lambda: first.step >= killed_after)
    assert first.step == killed_after
    second = Trainer(TINY, tiny_cases, tiny_cases[:1], tmp_path)
    assert second.step == killed_after // 2 * 2
    torch.manual_seed(99)
    second.run()
    assert_same_state(state_of(tmp_path), state_of(uninterrupted))
    assert (tmp_path / "history.jsonl").read_bytes() == (uninterrupted / "history.jsonl").read_bytes()
    best = [load_file(folder / "best.safetensors") for folder in (tmp_path, uninterrupted)]
    assert_same_state(*best)


def test_a_kill_while_storing_leaves_the_checkpoint_before(
    tmp_path: Path, tiny_cases: list[LabelledCase], uninterrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(state: object, path: Path) -> None:
        path.write_bytes(b"half a checkpoint")
        raise KeyboardInterrupt

    trainer = Trainer(TINY, tiny_cases, tiny_cases[:1], tmp_path)
    trainer.run(should_stop=lambda: trainer.step >= 2)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            trainer.run()
    resumed = Trainer(TINY, tiny_cases, tiny_cases[:1], tmp_path)
    assert resumed.step == 2
    resumed.run()
    assert_same_state(state_of(tmp_path), state_of(uninterrupted))


def test_a_finished_run_has_nothing_left_to_do(tiny_cases: list[LabelledCase], uninterrupted: Path) -> None:
    before = (uninterrupted / "last.pt").read_bytes()
    trainer = Trainer(TINY, tiny_cases, tiny_cases[:1], uninterrupted)
    assert trainer.run() == trainer.best
    assert trainer.step == 6
    assert (uninterrupted / "last.pt").read_bytes() == before


@pytest.mark.parametrize("change", [{"learning_rate": 2e-2}, {"seed": 7}, {"steps": 8}, {"loss": "dice_ce"}])
def test_a_folder_of_another_run_is_refused(
    tiny_cases: list[LabelledCase], uninterrupted: Path, change: dict[str, Any]
) -> None:
    with pytest.raises(
        InvalidValueError, match="holds a run of another configuration; choose another folder"
    ):
        Trainer(replace(TINY, **change), tiny_cases, [], uninterrupted)


def scripted(monkeypatch: pytest.MonkeyPatch, *means: float) -> None:
    """Validation results that are given instead of computed."""
    remaining = list(means)
    monkeypatch.setattr(
        training, "validate", lambda *_: (dict.fromkeys(("WT", "TC", "ET"), remaining.pop(0)), [])
    )


def test_training_stops_when_nothing_is_gained_any_more(
    tmp_path: Path, tiny_cases: list[LabelledCase], monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = replace(TINY, steps=12, validate_every=1, patience=2)
    scripted(monkeypatch, 0.3, 0.5, 0.4, 0.45)
    trainer = Trainer(configuration, tiny_cases, tiny_cases[:1], tmp_path)
    assert trainer.run() == pytest.approx(0.5)
    assert trainer.step == 4
    assert load_weights(tmp_path / "best.safetensors")[2]["step"] == 2
    resumed = Trainer(configuration, tiny_cases, tiny_cases[:1], tmp_path)
    assert resumed.run() == pytest.approx(0.5)
    assert resumed.step == 4


def test_without_patience_training_goes_on(
    tmp_path: Path, tiny_cases: list[LabelledCase], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, 0.5, 0.4, 0.3, 0.2)
    trainer = Trainer(replace(TINY, steps=4, validate_every=1), tiny_cases, tiny_cases[:1], tmp_path)
    assert trainer.run() == pytest.approx(0.5)
    assert trainer.step == 4


def test_without_validation_the_last_weights_are_kept(tmp_path: Path, tiny_cases: list[LabelledCase]) -> None:
    assert Trainer(replace(TINY, steps=3), tiny_cases, [], tmp_path).run() is None
    network, _, notes = load_weights(tmp_path / "best.safetensors")
    assert notes["step"] == 3
    average = state_of(tmp_path)["average"]
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, average[name].half().float(), rtol=0, atol=0)


def test_it_can_start_from_given_weights(
    tmp_path: Path, tiny_cases: list[LabelledCase], uninterrupted: Path
) -> None:
    given = load_weights(uninterrupted / "best.safetensors")[0].state_dict()
    trainer = Trainer(TINY, tiny_cases, [], tmp_path, initial_weights=given)
    for state in (trainer.network.state_dict(), trainer.average.state_dict()):
        assert all(torch.equal(state[name], value) for name, value in given.items())


BATCH = replace(TINY, network=replace(TINY.network, norm="batch"))


def statistics_of(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in state.items() if "running" in name}


def test_batch_norm_learns_its_statistics_in_the_first_half_of_a_fresh_run(
    tmp_path: Path, tiny_cases: list[LabelledCase]
) -> None:
    trainer = Trainer(BATCH, tiny_cases, [], tmp_path)
    seen = [statistics_of(trainer.network.state_dict())]
    for step in range(6):
        trainer.run(should_stop=lambda wanted=step: trainer.step > wanted)
        seen.append(statistics_of(trainer.network.state_dict()))
    changed = [any(not torch.equal(a[n], b[n]) for n in a) for a, b in zip(seen, seen[1:])]
    assert changed == [True, True, True, False, False, False]


def test_weights_of_another_norm_get_statistics_of_the_training_data_and_keep_them(
    tmp_path: Path, tiny_cases: list[LabelledCase], uninterrupted: Path
) -> None:
    given = load_weights(uninterrupted / "best.safetensors")[0].state_dict()
    trainer = Trainer(BATCH, tiny_cases, [], tmp_path, initial_weights=given)
    start = statistics_of(trainer.network.state_dict())
    fresh = statistics_of(Trainer(BATCH, tiny_cases, [], tmp_path / "fresh").network.state_dict())
    assert all(not torch.allclose(start[name], fresh[name]) for name in start)
    trainer.run()
    assert_same_state(statistics_of(trainer.network.state_dict()), start)
    assert_same_state(statistics_of(trainer.average.state_dict()), start)


def test_weights_of_another_network_are_refused(
    tmp_path: Path, tiny_cases: list[LabelledCase], uninterrupted: Path
) -> None:
    given = load_weights(uninterrupted / "best.safetensors")[0].state_dict()
    other = replace(TINY, network=NetworkConfiguration("dynunet", width=2))
    with pytest.raises(InvalidValueError, match="initial_weights: do not fit dynunet"):
        Trainer(other, tiny_cases, [], tmp_path, initial_weights=given)


def test_accumulated_passes_see_what_one_large_batch_sees(
    tmp_path: Path, tiny_cases: list[LabelledCase]
) -> None:
    network = NetworkConfiguration("unet", width=2, dropout=0.0)
    states = []
    for name, sizes in {"large": (2, 1), "accumulated": (1, 2)}.items():
        configuration = replace(
            TINY, network=network, loss="dice_ce", steps=1, batch_size=sizes[0], accumulation=sizes[1]
        )
        Trainer(configuration, tiny_cases, [], tmp_path / name).run()
        states.append(state_of(tmp_path / name)["optimizer"]["state"])
    for large, accumulated in zip(states[0].values(), states[1].values()):
        torch.testing.assert_close(large["exp_avg"], accumulated["exp_avg"], atol=1e-5, rtol=1e-2)


def test_the_average_follows_the_weights(tmp_path: Path, tiny_cases: list[LabelledCase]) -> None:
    trainer = Trainer(replace(TINY, steps=1, ema_decay=0.998), tiny_cases, [], tmp_path)
    start = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.run()
    # The ramp begins at (1 + 0) / (10 + 0): nine tenths of the way in the first step.
    for name, value in trainer.average.state_dict().items():
        expected = 0.1 * start[name] + 0.9 * trainer.network.state_dict()[name]
        torch.testing.assert_close(value, expected, atol=1e-6, rtol=1e-5)


def test_a_step_that_is_no_number_changes_nothing(
    tmp_path: Path, tiny_cases: list[LabelledCase], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(replace(TINY, steps=1), tiny_cases, [], tmp_path)
    start = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    monkeypatch.setattr(trainer, "loss", lambda logits, labels: logits.mean() * float("nan"))
    trainer.run()
    for state in (trainer.network.state_dict(), trainer.average.state_dict()):
        assert all(torch.equal(state[name], value) for name, value in start.items())


@pytest.mark.parametrize(
    ("step", "share"),
    [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (60, 0.505), (110, 0.01), (500, 0.01)],
)
def test_the_learning_rate_rises_then_falls_by_half_a_cosine(step: int, share: float) -> None:
    configuration = TrainingConfiguration(steps=110, warmup_steps=10, learning_rate=0.02)
    assert learning_rate_at(step, configuration) == pytest.approx(0.02 * share)


def test_the_learning_rate_falls_steadily_and_stays_positive() -> None:
    configuration = TrainingConfiguration(steps=50, warmup_steps=0)
    rates = [learning_rate_at(step, configuration) for step in range(50)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == configuration.learning_rate
    assert math.isclose(rates[-1], 0.01 * configuration.learning_rate, rel_tol=0.15)


def test_a_warm_up_longer_than_the_run_is_harmless() -> None:
    configuration = TrainingConfiguration(steps=5, warmup_steps=100)
    assert learning_rate_at(4, configuration) == pytest.approx(configuration.learning_rate * 0.05)


def test_dice_of_a_network_that_knows_the_answer(
    knowing_network: Any, tiny_cases: list[LabelledCase]
) -> None:
    scores = mean_dice(knowing_network, tiny_cases, "fp32")
    assert scores == pytest.approx({"WT": 1.0, "TC": 1.0, "ET": 1.0}, abs=0.01)
    assert mean_dice(knowing_network, []) == {}


def test_no_training_case_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="training_cases: at least one labelled case is needed"):
        Trainer(TINY, [], [], tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "steps: 0 must be at least 1"),
        ({"batch_size": 0}, "batch_size: 0 must be at least 1"),
        ({"accumulation": -1}, "accumulation: -1 must be at least 1"),
        ({"validate_every": 0}, "validate_every: 0 must be at least 1"),
        ({"patch_size": (96, 96, 90)}, r"patch_size: \(96, 96, 90\) must be multiples of 32"),
        ({"patch_size": (0, 32, 32)}, "patch_size: .* must be multiples of 32"),
        (
            {"network": NetworkConfiguration("subpixel_unet"), "patch_size": (32, 32, 32)},
            "one side must be at least 64",
        ),
        ({"learning_rate": 0.0}, "learning_rate: 0.0 must be between 0 and 1"),
        ({"learning_rate": float("nan")}, "learning_rate: nan"),
        ({"precision": "fp16"}, "precision: 'fp16' must be one of auto, bf16, fp32"),
        ({"warmup_steps": -1}, "warmup_steps: -1 must not be negative"),
        ({"patience": -1}, "patience: -1 must not be negative"),
        ({"learned_statistics_share": 1.5}, "learned_statistics_share: 1.5 must be between 0 and 1"),
        ({"ema_decay": 1.0}, r"ema_decay: 1.0 must be in \[0, 1\)"),
    ],
)
def test_an_unfit_configuration_does_not_exist(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        TrainingConfiguration(**fields)


def test_an_unknown_loss_is_refused_before_anything_is_written(
    tmp_path: Path, tiny_cases: list[LabelledCase]
) -> None:
    with pytest.raises(InvalidValueError, match="loss: unknown name"):
        Trainer(replace(TINY, loss="tversky"), tiny_cases, [], tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_network_trained_twice_on_this_machine_is_the_same(
    name: str, tmp_path: Path, tiny_cases: list[LabelledCase]
) -> None:
    """As it trains by itself, in bf16 where the processor has it: also where its gradients are wrong at 2x2x2."""
    configuration = replace(
        TINY, network=NetworkConfiguration(name, width=4, dropout=0.1), steps=3, precision="auto", batch_size=2,
        patch_size=(64, 32, 32) if name == "subpixel_unet" else (32, 32, 32),
    )  # fmt: skip
    for folder in ("once", "twice"):
        trainer = Trainer(configuration, tiny_cases, [], tmp_path / folder)
        trainer.run()
        assert trainer.updates.left_out == 0
        precision._soil(2**20)
    assert_same_state(state_of(tmp_path / "once"), state_of(tmp_path / "twice"))


def test_updates_without_a_finite_gradient_are_shown_and_end_the_training(
    tmp_path: Path, tiny_cases: list[LabelledCase], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Trainer._forward
    broken = {3, *range(12, 40)}

    def sometimes_broken(trainer: Trainer, index: int) -> torch.Tensor:
        return forward(trainer, index) * (math.nan if trainer.step in broken else 1.0)

    monkeypatch.setattr(Trainer, "_forward", sometimes_broken)
    configuration = replace(TINY, steps=40, validate_every=12)
    reports: list[Progress] = []
    with pytest.raises(TrainingDivergedError, match="10 updates in a row and 11 in all had no finite gradient"):
        Trainer(configuration, tiny_cases, [], tmp_path).run(reports.append)
    assert [report.left_out for report in reports] == [1, 9]
    kept = Trainer(configuration, tiny_cases, [], tmp_path)
    assert (kept.step, kept.updates.left_out) == (12, 1), "the last checkpoint stays and knows"
    assert all(torch.isfinite(value).all() for value in kept.network.state_dict().values())
