"""``medsynth benchmark active-learning``: what a strategy saves, beside random order, on the same cases."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from medsynth_app.benchmarks.active_learning import (
    SimulatedRound,
    Simulation,
    SimulationConfiguration,
)
from medsynth_app.benchmarks.coarse_training import mean_and_interval
from medsynth_app.commands.support.results import console, progress_bar, store_json
from medsynth_app.imaging.studies.cases import find_cases

RANDOM = "random"


def active_learning(
    cases_dir: Annotated[Path, typer.Argument(help="BraTS-style case folders with _seg or -seg.")],
    folder: Annotated[Path, typer.Option(help="Keeps finished rounds; the same call again goes on.")],
    strategies: Annotated[
        str, typer.Option(help="random, uncertain_and_diverse, most_uncertain, most_diverse.")
    ] = "random,uncertain_and_diverse",
    seeds: Annotated[int, typer.Option(help="How many, from 0 on.", min=1)] = 3,
    validation_cases: Annotated[int, typer.Option(help="Never labelled; they measure.", min=1)] = 6,
    first_cases: Annotated[int, typer.Option(help="Labelled at the start.", min=1)] = 4,
    cases_per_round: Annotated[int, typer.Option(help="Labelled after each round.", min=1)] = 2,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    coarseness: Annotated[int, typer.Option(help="Voxels a side that are averaged; 1 = none.", min=1)] = 2,
    width: Annotated[int, typer.Option(help="Channels of the network's first level.", min=1)] = 8,
    patch_side: Annotated[int, typer.Option(help="Of a training patch, multiple of 32.", min=32)] = 64,
    first_steps: Annotated[int, typer.Option(help="Updates of the first model.", min=1)] = 200,
    steps: Annotated[int, typer.Option(help="Updates of each later model.", min=1)] = 100,
    cpu_minutes: Annotated[float, typer.Option(help="Stop between two rounds after so long; 0 = never.")] = 0.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Mean validation Dice for each number of labels, with intervals over seeds, and how many labels are saved."""
    configuration = SimulationConfiguration(
        strategies=tuple(name.strip() for name in strategies.split(",") if name.strip()),
        seeds=tuple(range(seeds)),
        validation_cases=validation_cases,
        first_cases=first_cases,
        cases_per_round=cases_per_round,
        rounds=rounds,
        coarseness=coarseness,
        width=width,
        patch_side=patch_side,
        first_steps=first_steps,
        steps=steps,
    )
    labelled = [case for case in find_cases(cases_dir) if case.label is not None]
    simulation = Simulation(labelled, folder, configuration)
    begin = time.process_time()
    found: list[SimulatedRound] = []
    with progress_bar() as bar:
        task = bar.add_task("rounds", total=len(configuration.strategies) * seeds * (rounds + 1))
        for each in simulation.run(lambda: not cpu_minutes or time.process_time() - begin < 60 * cpu_minutes):
            found.append(each)
            bar.advance(task)
    result = {
        **summary(found), "cases": len(labelled), "setting": _setting(configuration),
        "cpu_minutes": round((time.process_time() - begin) / 60, 1),
    }  # fmt: skip
    _show(result)
    store_json(result, json_file)


def summary(found: Sequence[SimulatedRound]) -> dict[str, Any]:
    """Curves and savings over the seeds for which every strategy came to the end.

    Args:
        found: measured models, of one or more seeds.

    Returns:
        ``curves``: strategy -> rows of ``labels``, ``dice`` and its 95 % interval (t over seeds), ``seeds``;
        ``against_random``: strategy -> mean difference over all rounds after the first with interval, ``label_share``
        (labels needed for random's last Dice, as a share of random's) on the mean curves and its range over seeds.
    """
    seeds = _complete_seeds(found)
    by = {(r.strategy, r.seed, r.round): r for r in found if r.seed in seeds}
    names = sorted({r.strategy for r in found})
    rounds = sorted({number for _, _, number in by})
    curves, table = {}, {}
    for name in names:
        table[name] = np.array([[by[name, seed, number].dice for number in rounds] for seed in seeds])
        counts = [len(by[name, seeds[0], number].labelled) for number in rounds] if seeds else []
        curves[name] = [
            {"labels": count, "seeds": len(seeds), **mean_and_interval(table[name][:, column])}
            for column, count in enumerate(counts)
        ]
    against = {}
    if RANDOM in table and seeds:
        labels = np.array([row["labels"] for row in curves[RANDOM]], dtype=float)
        for name in names:
            if name != RANDOM:
                difference = (table[name] - table[RANDOM])[:, 1:].mean(axis=1)
                shares = [label_share(labels, table[name][i], table[RANDOM][i]) for i in range(len(seeds))]
                against[name] = {
                    "difference": mean_and_interval(difference),
                    "label_share": label_share(labels, table[name].mean(axis=0), table[RANDOM].mean(axis=0)),
                    "label_share_of_seeds": shares,
                }
    return {"seeds": seeds, "curves": curves, "against_random": against}


def label_share(labels: np.ndarray, curve: np.ndarray, random_curve: np.ndarray) -> float | None:
    """Labels at which a curve first reaches random's last Dice, as a share of the labels random needed for it.

    Args:
        labels: (R,) rising numbers of labels.
        curve: (R,) Dice of the strategy.
        random_curve: (R,) Dice of random order.

    Returns:
        The share, interpolated between rounds; None where the curve never gets there.
    """
    target = random_curve[-1]
    needed, needed_by_random = _first_reached(labels, curve, target), _first_reached(labels, random_curve, target)
    return None if needed is None or needed_by_random is None else round(needed / needed_by_random, 3)


def _first_reached(labels: np.ndarray, curve: np.ndarray, target: float) -> float | None:
    reached = np.flatnonzero(curve >= target)
    if len(reached) == 0:
        return None
    index = int(reached[0])
    if index == 0:
        return float(labels[0])
    before, after = curve[index - 1], curve[index]
    return float(labels[index - 1] + (labels[index] - labels[index - 1]) * (target - before) / (after - before))


def _complete_seeds(found: Sequence[SimulatedRound]) -> list[int]:
    names, rounds = {r.strategy for r in found}, {r.round for r in found}
    done = {(r.strategy, r.seed, r.round) for r in found}
    return [
        seed for seed in sorted({r.seed for r in found}) if all((n, seed, k) in done for n in names for k in rounds)
    ]


def _setting(configuration: SimulationConfiguration) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in vars(configuration).items()}


def _show(result: dict[str, Any]) -> None:
    table = Table("strategy", "labels", "mean Dice", "95 % interval", title=f"seeds {result['seeds']}")
    for name, rows in result["curves"].items():
        for row in rows:
            table.add_row(name, str(row["labels"]), f"{row['dice']:.3f}", str(row["interval"]))
    console.print(table)
    for name, row in result["against_random"].items():
        console.print(
            f"{name} beside random: Dice {row['difference']['dice']:+.4f} {row['difference']['interval']}, labels for "
            f"random's last Dice: {row['label_share']} of random's (seeds: {row['label_share_of_seeds']})"
        )
