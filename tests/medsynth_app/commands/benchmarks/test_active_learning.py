"""Savings worked out by hand, and a tiny simulation that is stopped and goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsynth_app.benchmarks.active_learning import (
    STRATEGIES,
    SimulatedRound,
    Simulation,
    SimulationConfiguration,
)
from medsynth_app.commands.benchmarks.active_learning import label_share, summary
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.studies.cases import find_cases

LABELS = np.array([4.0, 6.0, 8.0, 10.0])
RANDOM_CURVE = np.array([0.2, 0.3, 0.4, 0.5])
TINY = SimulationConfiguration(
    strategies=("random", "uncertain_and_diverse"), seeds=(0,), validation_cases=1, first_cases=1, cases_per_round=1,
    rounds=1, coarseness=2, width=1, patch_side=32, first_steps=2, steps=1, passes=2,
)  # fmt: skip


@pytest.mark.parametrize(
    ("curve", "share"),
    [
        ([0.2, 0.3, 0.4, 0.5], 1.0),
        ([0.2, 0.5, 0.6, 0.7], 0.6),
        ([0.2, 0.4, 0.6, 0.7], 0.7),
        ([0.6, 0.6, 0.6, 0.6], 0.4),
        ([0.2, 0.3, 0.4, 0.45], None),
    ],
    ids=["as random", "at a round", "between two rounds", "from the start", "never"],
)
def test_label_share(curve: list[float], share: float | None) -> None:
    assert label_share(LABELS, np.array(curve), RANDOM_CURVE) == share


def measured(strategy: str, seed: int, dice: list[float]) -> list[SimulatedRound]:
    names = tuple("abcdefghij")
    return [
        SimulatedRound(strategy, seed, number, names[: 4 + 2 * number], value) for number, value in enumerate(dice)
    ]


def test_summary_pairs_seeds_and_leaves_unfinished_ones_out() -> None:
    found = [
        *measured("random", 0, [0.2, 0.3, 0.4, 0.5]), *measured("most_diverse", 0, [0.2, 0.5, 0.6, 0.7]),
        *measured("random", 1, [0.3, 0.4, 0.5, 0.6]), *measured("most_diverse", 1, [0.3, 0.5, 0.6, 0.7]),
        *measured("random", 2, [0.3, 0.4, 0.5, 0.6]), *measured("most_diverse", 2, [0.3, 0.5]),
    ]  # fmt: skip
    result = summary(found)
    assert result["seeds"] == [0, 1]
    assert [row["labels"] for row in result["curves"]["random"]] == [4, 6, 8, 10]
    assert result["curves"]["random"][-1]["dice"] == pytest.approx(0.55)
    low, high = result["curves"]["random"][-1]["interval"]
    assert high - low == pytest.approx(2 * 12.706 * 0.05, abs=1e-3), "t with one degree of freedom"
    assert result["against_random"]["most_diverse"]["difference"]["dice"] == pytest.approx(0.15)
    assert result["against_random"]["most_diverse"]["label_share_of_seeds"] == [0.6, 0.8]


def test_no_finished_seed_is_no_figure() -> None:
    result = summary([*measured("random", 0, [0.2, 0.3]), *measured("most_diverse", 0, [0.2])])
    assert result["against_random"] == {}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory, build: Any) -> Any:
    root = tmp_path_factory.mktemp("cases")
    for number in range(5):
        build.write_case(root, f"case_{number}")
    return find_cases(root)


def test_stopped_simulation_goes_on_to_the_same_end(cases: Any, tmp_path: Path) -> None:
    whole = list(Simulation(cases, tmp_path / "whole", TINY).run())
    answers = iter([True, True, False])
    part = list(Simulation(cases, tmp_path / "parts", TINY).run(lambda: next(answers)))
    assert part == whole[: len(part)]
    assert len(part) < len(whole)
    rest = list(Simulation(cases, tmp_path / "parts", TINY).run())
    assert rest == whole
    trained = len(list((tmp_path / "parts").rglob("*.safetensors")))
    again = list(Simulation(cases, tmp_path / "parts", TINY).run(lambda: False))
    assert again == whole, "everything is there: nothing is computed"
    assert len(list((tmp_path / "parts").rglob("*.safetensors"))) == trained


def test_every_strategy_starts_alike_and_never_takes_a_validation_case(cases: Any, tmp_path: Path) -> None:
    simulation = Simulation(cases, tmp_path, replace(TINY, strategies=STRATEGIES))
    found = list(simulation.run())
    validation, _ = simulation._split(0)
    assert len({r.labelled for r in found if r.round == 0}) == 1
    assert len({r.dice for r in found if r.round == 0}) == 1
    for each in found:
        assert len(set(each.labelled)) == len(each.labelled) == each.round + 1
        assert not set(each.labelled) & set(validation)
        assert 0 <= each.dice <= 1


def test_too_few_cases_and_unknown_strategies_are_refused(cases: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="5 labelled cases are too few; 1 to validate and 5 to label are 6"):
        Simulation(cases, tmp_path, replace(TINY, rounds=4))
    with pytest.raises(InvalidValueError, match="known are random"):
        replace(TINY, strategies=("discordant_first",))
