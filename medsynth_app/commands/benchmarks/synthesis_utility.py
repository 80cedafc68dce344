"""``medsynth benchmark synthesis-utility``: what synthetic tumour cases are worth to a segmentation network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from medsynth_app.benchmarks.coarse_training import CoarseSetting, mean_and_interval
from medsynth_app.benchmarks.synthesis_utility import (
    Arm,
    MeasuredArm,
    UtilityConfiguration,
    UtilityExperiment,
)
from medsynth_app.commands.support.results import console, progress_bar, store_json
from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.imaging.studies.cases import find_cases
from medsynth_app.vocabulary import TumorRegion

_ARMS = ",".join(arm.value for arm in Arm)


def synthesis_utility(
    cases_dir: Annotated[Path, typer.Argument(help="Real BraTS-style case folders with _seg or -seg.")],
    folder: Annotated[Path, typer.Option(help="Keeps what is finished; the same call again goes on.")],
    test: Annotated[str, typer.Option(help="Names of the cases that measure, CASE_A,CASE_B.")],
    seeds: Annotated[int, typer.Option(help="How many, from 0 on.", min=1)] = 3,
    arms: Annotated[str, typer.Option(help=f"Some of {_ARMS}.")] = _ARMS,
    few: Annotated[int, typer.Option(help="Real cases of the small arms.", min=1)] = 6,
    synthetic_cases: Annotated[int, typer.Option(help="Made once, by the growth model.", min=1)] = 40,
    real_share: Annotated[float, typer.Option(help="Real patches where both kinds are mixed.")] = 0.5,
    synthetic_spacing: Annotated[float, typer.Option(help="Voxel size in mm of the synthetic cases.")] = 1.0,
    steps: Annotated[int, typer.Option(help="Updates of every arm.", min=1)] = 600,
    coarseness: Annotated[int, typer.Option(help="Voxels a side that are averaged; 1 = none.", min=1)] = 2,
    network: Annotated[str, typer.Option(help="Name of the segmentation network.")] = "unet",
    width: Annotated[int, typer.Option(help="Channels of the network's first level.", min=1)] = 8,
    patch_side: Annotated[int, typer.Option(help="Of a training patch, multiple of 32.", min=32)] = 64,
    learning_rate: Annotated[float, typer.Option(help="Peak.")] = 3e-3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the curves into this PNG file.")] = None,
) -> None:
    """Dice on real cases after training on few real, few real + synthetic, synthetic only, and all real cases."""
    configuration = UtilityConfiguration(
        test_cases=tuple(_names(test)),
        arms=tuple(_arm(name) for name in _names(arms)),
        seeds=tuple(range(seeds)),
        few=few,
        synthetic_cases=synthetic_cases,
        real_share=real_share,
        synthetic_spacing_mm=synthetic_spacing,
        setting=CoarseSetting(coarseness, network, width, patch_side, learning_rate),
        steps=steps,
    )
    labelled = [case for case in find_cases(cases_dir) if case.label is not None]
    experiment = UtilityExperiment(labelled, folder, configuration)
    begin, found = time.process_time(), []
    with progress_bar() as bar:
        made = bar.add_task("synthetic cases", total=None)
        trained = bar.add_task("networks", total=len(configuration.arms) * seeds)
        for each in experiment.run(lambda: bar.advance(made)):
            found.append(each)
            bar.console.print(f"{each.arm}, seed {each.seed}: mean Dice {each.dice:.3f}")
            bar.advance(trained)
    result = {
        **summary(found),
        "arms": [asdict(each) for each in found],
        "setting": {**asdict(configuration), "arms": [arm.value for arm in configuration.arms]},
        "cpu_minutes": round((time.process_time() - begin) / 60, 1),
    }
    _show(result)
    store_json(result, json_file)
    if plot is not None and result["seeds"]:
        with whole_file(plot) as beside:
            draw_curves(found, beside)


def summary(found: Sequence[MeasuredArm]) -> dict[str, Any]:
    """Means over seeds and what the synthetic cases add.

    Args:
        found: measured arms; only seeds for which every arm is there count.

    Returns:
        ``dice``: arm -> mean over regions and per region, each with its 95 % t interval over seeds;
        ``gain``: few real + synthetic less few real, paired by seed, with interval; ``synthetic_share``: Dice of
        synthetic only as a share of all real. The last two are left out where an arm is missing.
    """
    arms = list(dict.fromkeys(each.arm for each in found))
    by = {(each.arm, each.seed): each for each in found}
    seeds = [s for s in sorted({each.seed for each in found}) if all((arm, s) in by for arm in arms)]
    if not seeds:
        return {"seeds": [], "dice": {}}
    dice = {arm: np.array([by[arm, seed].dice for seed in seeds]) for arm in arms}
    result: dict[str, Any] = {"seeds": seeds, "dice": {}}
    for arm in arms:
        regions = {
            r.value: mean_and_interval(np.array([by[arm, seed].regions[r.value] for seed in seeds]))
            for r in TumorRegion
        }
        result["dice"][arm] = {"mean": mean_and_interval(dice[arm]), **regions}
    few, both = Arm.FEW_REAL.value, Arm.FEW_REAL_AND_SYNTHETIC.value
    synthetic, whole = Arm.SYNTHETIC.value, Arm.ALL_REAL.value
    if few in dice and both in dice:
        result["gain"] = mean_and_interval(dice[both] - dice[few])
    if synthetic in dice and whole in dice:
        result["synthetic_share"] = round(float(dice[synthetic].mean() / max(float(dice[whole].mean()), 1e-9)), 3)
    return result


def draw_curves(found: Sequence[MeasuredArm], path: Path) -> None:
    """Mean Dice on the real test cases over the updates, one line an arm, its seeds as a band from worst to best."""
    # Nothing else in this command needs it, and its import takes a second.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    axes = figure.subplots()
    for arm in dict.fromkeys(each.arm for each in found):
        curves = [each.curve for each in found if each.arm == arm]
        steps = [step for step, _ in curves[0]]
        dice = np.array([[value for _, value in curve] for curve in curves])
        (line,) = axes.plot(steps, dice.mean(axis=0), marker="o", markersize=3, label=arm.replace("_", " "))
        axes.fill_between(steps, dice.min(axis=0), dice.max(axis=0), color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set(xlabel="updates", ylabel="mean Dice on real cases")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _arm(name: str) -> Arm:
    if name not in _names(_ARMS):
        raise InvalidValueError(f"arms: {name!r} must be one of {', '.join(_names(_ARMS))}")
    return Arm(name)


def _show(result: dict[str, Any]) -> None:
    columns = ["mean", *(region.value for region in TumorRegion)]
    table = Table("trained on", *(f"Dice {name}" for name in columns), title=f"seeds {result['seeds']}")
    for arm, rows in result["dice"].items():
        table.add_row(arm, *(f"{rows[name]['dice']:.3f} {rows[name]['interval'] or ''}" for name in columns))
    console.print(table)
    if "gain" in result:
        gain = result["gain"]
        console.print(f"synthetic cases add {gain['dice']:+.4f} {gain['interval']} to few real ones")
    if "synthetic_share" in result:
        console.print(f"synthetic only reaches {result['synthetic_share']:.1%} of all real cases")
