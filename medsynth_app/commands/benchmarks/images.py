"""``medsynth benchmark image-quality | image-utility``: a generator of pictures beside your real pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, TaskID

from medsynth_app.benchmarks.compared_images import RealPictures, SyntheticSource
from medsynth_app.benchmarks.images import picture_quality, picture_utility
from medsynth_app.commands.generate import parse_conditions
from medsynth_app.commands.support.results import console, progress_bar, store_json
from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.data.images import find_pictures
from medsynth_app.synthesis.weights import WeightsStore

TASK = "image_synthesis"
Data = Annotated[
    Path, typer.Argument(help="Real pictures: MODALITY/PATHOLOGY/FILE, or images.csv.", exists=True)
]
GeneratorName = Annotated[str, typer.Option(help="Which generator; the task's first by default.")]
Weights = Annotated[Path | None, typer.Option(help="Folder with weights trained by you.")]
Condition = Annotated[list[str] | None, typer.Option(help="NAME=VALUE for every picture; repeatable.")]
Validation = Annotated[
    str, typer.Option(help="Beginnings of patients' names that are held out; as for training by default.")
]
Kept = Annotated[Path | None, typer.Option(help="Keeps drawn pictures, so that a stopped run goes on.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")]


def image_quality(
    data: Data,
    generator: GeneratorName = "",
    modality: Annotated[str, typer.Option(help="Only this one; all in the folder by default.")] = "",
    count: Annotated[int, typer.Option(help="Synthetic pictures a modality.", min=8, max=100_000)] = 100,
    seed: Annotated[int, typer.Option(help="Of the first picture and of the draws.", min=0)] = 0,
    condition: Condition = None,
    weights: Weights = None,
    validation: Validation = "",
    folder: Kept = None,
    json_file: JsonFile = None,
) -> None:
    """Distances to real pictures beside their floor, variety, adherence to the pathology, seconds a picture."""
    results = []
    for name in [modality] if modality else _modalities(data):
        real = RealPictures.read(data, name, validation)
        with progress_bar() as bar:
            source = _source(generator, name, condition, weights, folder)
            figures = picture_quality(source, real, count, seed, _Told(bar, name))
        results.append(figures)
        _show_quality(figures)
    store_json({"results": results}, json_file)


def image_utility(
    data: Data,
    generator: GeneratorName = "",
    modality: Annotated[str, typer.Option(help="Of the pictures.")] = "chest_xray",
    pathology: Annotated[str, typer.Option(help="Told from normal.")] = "pneumonia",
    count: Annotated[int, typer.Option(help="Pictures of each class.", min=2, max=100_000)] = 100,
    repeats: Annotated[int, typer.Option(help="Draws, for the spread.", min=1, max=100)] = 3,
    condition: Condition = None,
    weights: Weights = None,
    validation: Validation = "",
    folder: Kept = None,
    json_file: JsonFile = None,
) -> None:
    """A classifier that learned from synthetic pictures only, beside one of as many real ones, tested on real ones."""
    real = RealPictures.read(data, modality, validation)
    with progress_bar() as bar:
        source = _source(generator, modality, condition, weights, folder)
        result = picture_utility(source, real, pathology, count, repeats, _Told(bar, modality))
    for name in ("real", "synthetic"):
        console.print(
            f"learned from {name:9}  AUC {result[f'auc_{name}']:.3f} (sd {result[f'auc_{name}_sd']:.3f})"
        )
    console.print(
        f"ratio                   {result['ratio']:.3f}, {result['held_out_real']} real pictures tested"
    )
    store_json(result, json_file)


class _Told:
    """Progress of what is being done, as one line of the bar."""

    def __init__(self, bar: Progress, name: str) -> None:
        self.bar, self.name = bar, name
        self.task: TaskID = bar.add_task(name, total=100)

    def __call__(self, what: str, share: float) -> None:
        self.bar.update(self.task, description=f"{self.name}: {what}", completed=round(100 * share))


def _modalities(data: Path) -> list[str]:
    """Those of the folder that have pictures."""
    return sorted({source.modality for source in find_pictures(data)[0]})


def _source(
    generator: str, modality: str, condition: list[str] | None, weights: Path | None, folder: Path | None
) -> SyntheticSource:
    store = WeightsStore.of(weights)
    given = parse_conditions(condition or [])
    return SyntheticSource(CATALOGUE.row(TASK, generator), store, modality, given, folder)


def _show_quality(figures: dict[str, Any]) -> None:
    console.print(
        f"{figures['modality']} by {figures['generator']}, {figures['samples']:.0f} pictures a side, "
        f"{figures['seconds']:.2f} s a picture\n"
        f"  KID        {figures['kid']:.2f} (sd {figures['kid_sd']:.2f}), "
        f"real {figures['kid_floor']:.2f} (sd {figures['kid_floor_sd']:.2f})\n"
        f"  Frechet    {figures['frechet']:.1f}, real {figures['frechet_floor']:.1f}\n"
        f"  diversity  {figures['diversity']:.2f}, real {figures['diversity_real']:.2f}\n"
        f"  coverage   {figures['coverage']:.2f}, real {figures['coverage_real']:.2f}\n"
        f"  features of {figures['backbone']}"
    )
    for name, published in figures["published"].items():
        console.print(f"  {name} ({published['backbone']}): {published}")
    for name in ("synthetic", "real") if "adherence" in figures else ():
        found = figures["adherence"][name]
        console.print(f"  {name}: specificity {found['specificity']}, sensitivity {found['sensitivity']}")
