"""``medsynth benchmark skin-course``: inversion, walks and times of the skin course, measured on held-out lesions."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from medsynth_app.benchmarks.skin_course import course_figures, generation_figures
from medsynth_app.commands.support.results import console, progress_bar, store_json
from medsynth_app.synthesis.skin.dataset import Lesions, read_lesions
from medsynth_app.synthesis.skin.inversion import invert
from medsynth_app.synthesis.skin.models import CourseModels
from medsynth_app.synthesis.skin.pictures import contact_sheet
from medsynth_app.synthesis.skin.progression import ProgressionRequest, chosen_direction, walk
from medsynth_app.synthesis.stylegan2.generator import sample_picture
from medsynth_app.synthesis.weights import WeightsStore

TIMED = 5
COMPARED_PICTURES = 400


def skin_course(
    data: Annotated[Path, typer.Argument(help="HAM10000's layout: metadata.csv and pictures.", exists=True)],
    lesions: Annotated[int, typer.Option(help="Held-out lesions, one picture each.", min=1)] = 200,
    refinement_steps: Annotated[int, typer.Option(help="Steps of descent after the encoder.", min=0)] = 0,
    direction: Annotated[str, typer.Option(help="Name of a direction; empty = SeFa's first.")] = "",
    alpha_to: Annotated[float, typer.Option(help="End of the walk, -6 to 6.")] = 3.0,
    steps: Annotated[int, typer.Option(help="Pictures of the walk, 2 to 33.")] = 9,
    weights: Annotated[Path | None, typer.Option(help="Folder with weights trained by you.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """How near drawn lesions are to real ones, how well held-out ones are found again, how monotone walks are."""
    request = ProgressionRequest(direction, alpha_to=alpha_to, steps=steps)
    models = CourseModels.load(WeightsStore.of(weights))
    chosen_direction(models.directions, request.direction)  # refused before anything is measured
    training, unseen = read_lesions(data, models.generator.configuration.resolution).split()
    held_out = unseen.one_per_lesion()
    chosen = held_out.chosen(np.arange(min(lesions, len(held_out.images))))
    with progress_bar() as bar:
        task = bar.add_task("lesions", total=len(chosen.images))
        figures = course_figures(
            models, chosen, request, refinement_steps,
            lambda share: bar.update(task, completed=round(share * len(chosen.images))),
        )  # fmt: skip
    figures |= course_times(models, chosen, request)
    figures |= generation_figures(models.generator, models.judge.features, training, unseen, COMPARED_PICTURES)
    console.print(
        f"lesions       {figures['lesions']} held out, {refinement_steps} steps of refinement\n"
        f"inversion     squared error {figures['squared_error']:.4f} (images in -1..1)\n"
        f"monotone      distance {100 * figures['share_monotone_distance']:.0f} %, "
        f"melanoma probability {100 * figures['share_monotone_melanoma']:.0f} % of the lesions\n"
        f"change        {figures['change_inside']:.3f} inside the lesion, {figures['change_outside']:.3f} outside\n"
        f"gain          {figures['melanoma_gain']:.2f} of melanoma probability\n"
        f"drawn lesions KID {figures['kid']:.1f} (held-out real {figures['kid_floor']:.1f}), Frechet distance "
        f"{figures['frechet']:.0f} ({figures['frechet_floor']:.0f}), of {figures['samples']:.0f} pictures\n"
        f"seconds       {figures['progression_seconds']:.2f} for {steps} pictures without refinement, "
        f"{figures['sample_seconds']:.3f} for one lesion that nobody has",
        highlight=False,
    )
    store_json(figures, json_file)


@torch.no_grad()
def course_times(models: CourseModels, lesions: Lesions, request: ProgressionRequest) -> dict[str, Any]:
    """Median seconds of a walk (encoder alone, its contact sheet drawn) and of one sampled lesion; warm.

    Args:
        models: the trained course.
        lesions: at least one picture.
        request: the walk.
    """
    target = torch.from_numpy(lesions.images[:1]).float() / 127.5 - 1.0

    def progression() -> None:
        inversion = invert(target, models.generator, models.encoder, models.judge.features)
        contact_sheet(walk(inversion.styles, request, models.directions, models.generator, models.judge), target)

    def sample() -> None:
        sample_picture(models.generator, 0, None, 0.8)

    medians = {}
    for name, work in (("progression_seconds", progression), ("sample_seconds", sample)):
        work()
        times = []
        for _ in range(TIMED):
            begin = time.perf_counter()
            work()
            times.append(time.perf_counter() - begin)
        medians[name] = float(np.median(times))
    return {**medians, "threads": torch.get_num_threads()}
