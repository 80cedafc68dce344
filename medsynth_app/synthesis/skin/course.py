"""The three tasks of the skin course: options in, marked files and facts out.

``skin_lesion_synthesis`` makes a lesion that nobody has, ``skin_lesion_inversion`` finds a photograph in the
generator, ``skin_lesion_progression`` walks from there along a direction.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from medsynth_app import __version__
from medsynth_app.imaging.marking import SyntheticMark
from medsynth_app.options import Option, parse_options
from medsynth_app.synthesis.skin.dataset import CLASSES
from medsynth_app.synthesis.skin.inversion import Inversion, invert, network_input, read_lesion_picture
from medsynth_app.synthesis.skin.models import GENERATOR, CourseModels, file_hash, load_generator
from medsynth_app.synthesis.skin.pictures import animation, contact_sheet, curve
from medsynth_app.synthesis.skin.progression import (
    FEWEST_STEPS,
    LARGEST_ALPHA,
    MOST_STEPS,
    SIMULATION_NOTICE,
    ProgressionRequest,
    chosen_direction,
    walk,
)
from medsynth_app.synthesis.stylegan2.generator import sample_picture
from medsynth_app.synthesis.stylegan2.transforms import FRAMINGS, picture_grid, to_pictures
from medsynth_app.vocabulary import RESEARCH_NOTICE

SYNTHESIS, INVERSION, PROGRESSION = (
    "skin_lesion_synthesis", "skin_lesion_inversion", "skin_lesion_progression"
)  # fmt: skip
LARGEST_SEED = 2**31 - 1
MOST_REFINEMENT_STEPS = 1000
SEED = Option("seed", 0, "The same seed gives the same bytes.", minimum=0, maximum=LARGEST_SEED)
FRAMING = Option("framing", "crop", "How a picture becomes square.", FRAMINGS)
REFINEMENT = Option(
    "refinement_steps", 0, "Steps of descent after the encoder.", minimum=0, maximum=MOST_REFINEMENT_STEPS
)
OPTIONS: dict[str, tuple[Option, ...]] = {
    SYNTHESIS: (
        SEED,
        Option("lesion_class", "any", "Kind of lesion.", ("any", *CLASSES)),
        Option("truncation", 0.8, "0 = the mean lesion, 1 = all the variety.", minimum=0, maximum=1),
    ),
    INVERSION: (
        SEED,
        FRAMING,
        REFINEMENT,
        Option("result", "reconstruction", "Picture answered.", ("reconstruction", "comparison")),
    ),
    PROGRESSION: (
        SEED,
        FRAMING,
        REFINEMENT,
        Option("direction", "", "Name of a direction; empty = the one that moves the classifier most."),
        Option("alpha_from", 0.0, "Start of the walk.", minimum=-LARGEST_ALPHA, maximum=LARGEST_ALPHA),
        Option("alpha_to", 3.0, "End of the walk.", minimum=-LARGEST_ALPHA, maximum=LARGEST_ALPHA),
        Option("steps", 9, "Pictures of the walk.", minimum=FEWEST_STEPS, maximum=MOST_STEPS),
        Option("result", "contact_sheet", "File answered first.", ("contact_sheet", "animation", "curve")),
    ),
}


@dataclass(frozen=True)
class CourseAnswer:
    """Files and facts of one request.

    Attributes:
        files: name with ending -> bytes; the first is the one asked for.
        facts: JSON values.
        mark: origin; every file carries it.
    """

    files: dict[str, bytes]
    facts: dict[str, Any]
    mark: SyntheticMark
    warnings: list[str] = field(default_factory=list)

    @property
    def first(self) -> tuple[str, bytes]:
        """Name and bytes of the file asked for."""
        return next(iter(self.files.items()))


def synthesize(folder: Path, params: Mapping[str, object]) -> CourseAnswer:
    """A lesion that nobody has.

    Args:
        folder: with the weights.
        params: see ``OPTIONS``.

    Raises:
        NotFoundError: no weights.
        InvalidValueError: an option that is not allowed.
    """
    options, warnings = parse_options(OPTIONS[SYNTHESIS], params)
    generator, _ = load_generator(folder)
    wanted = str(options["lesion_class"])
    label = None if wanted == "any" or not generator.configuration.classes else CLASSES.index(wanted)
    picture = sample_picture(generator, int(options["seed"]), label, float(options["truncation"]))
    mark = _mark(SYNTHESIS, options, file_hash(folder / GENERATOR))
    files = {"lesion.png": marked_png(Image.fromarray(picture), mark)}
    return CourseAnswer(files, _facts(mark), mark, warnings)


def invert_picture(models: CourseModels, source: Path | bytes, params: Mapping[str, object]) -> CourseAnswer:
    """The nearest lesion of the generator.

    Args:
        models: the trained networks.
        source: PNG or JPEG of any size.
        params: see ``OPTIONS``.

    Raises:
        MedSynthError: as ``read_lesion_picture``, and InvalidValueError for an option.
    """
    options, warnings = parse_options(OPTIONS[INVERSION], params)
    inversion = _inversion(models, source, options)
    mark = _mark(INVERSION, options, models.weights_hash)
    pictures = {
        "reconstruction": Image.fromarray(to_pictures(inversion.reconstruction)[0]),
        "comparison": _comparison(inversion),
    }
    facts = {**_facts(mark), **_inversion_facts(inversion)}
    return CourseAnswer(_ordered(pictures, str(options["result"]), mark), facts, mark, warnings)


def progress(models: CourseModels, source: Path | bytes, params: Mapping[str, object]) -> CourseAnswer:
    """The course of a lesion: contact sheet, animation, curve and a record per step; raises as ``invert_picture``."""
    options, warnings = parse_options(OPTIONS[PROGRESSION], params)
    request = ProgressionRequest(
        str(options["direction"]),
        float(options["alpha_from"]),
        float(options["alpha_to"]),
        int(options["steps"]),
    )
    chosen_direction(models.directions, request.direction)  # refused before the picture is worked on
    inversion = _inversion(models, source, options)
    progression = walk(inversion.styles, request, models.directions, models.generator, models.judge)
    mark = _mark(PROGRESSION, {**options, "direction": progression.direction.name}, models.weights_hash)
    wanted = str(options["result"])
    pictures = {"contact_sheet": contact_sheet(progression, inversion.target)}
    if wanted == "curve":
        pictures["curve"] = curve(progression)
    files = _ordered(pictures, wanted, mark)
    moving = {"animation.gif": animation(progression)}
    files = {**moving, **files} if wanted == "animation" else {**files, **moving}
    facts = {**_facts(mark), **_inversion_facts(inversion), **progression.as_dict()}
    files["progression.json"] = json.dumps(facts, indent=2, allow_nan=False).encode()
    return CourseAnswer(files, facts, mark, warnings)


def marked_png(picture: Image.Image, mark: SyntheticMark) -> bytes:
    """A PNG whose text chunks say that it is synthetic and how it was made."""
    note = PngInfo()
    note.add_text("Description", f"{mark.short_text}. {SIMULATION_NOTICE}")
    note.add_text("medsynth_synthetic", json.dumps(mark.as_dict(), sort_keys=True))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=note)
    return buffer.getvalue()


def _inversion(models: CourseModels, source: Path | bytes, options: Mapping[str, Any]) -> Inversion:
    picture = read_lesion_picture(source)
    target = network_input(picture, models.generator.configuration.resolution, str(options["framing"]))
    return invert(
        target, models.generator, models.encoder, models.judge.features, int(options["refinement_steps"])
    )


def _comparison(inversion: Inversion) -> Image.Image:
    """Photograph, reconstruction, absolute difference side by side."""
    target, made = to_pictures(inversion.target)[0], to_pictures(inversion.reconstruction)[0]
    difference = np.abs(target.astype(np.int16) - made.astype(np.int16)).astype(np.uint8)
    return picture_grid(np.stack([target, made, difference]), 3)


def _inversion_facts(inversion: Inversion) -> dict[str, Any]:
    return {
        "squared_error": inversion.squared_error,
        "perceptual_distance": inversion.perceptual,
        "perceptual_backbone": "EfficientNet-Lite0, not LPIPS",
    }


def _ordered(pictures: Mapping[str, Image.Image], first: str, mark: SyntheticMark) -> dict[str, bytes]:
    names = sorted(pictures, key=lambda name: name != first)
    return {f"{name}.png": marked_png(pictures[name], mark) for name in names}


def _mark(generator: str, options: Mapping[str, Any], weights_hash: str) -> SyntheticMark:
    conditions = {name: value for name, value in options.items() if name not in ("seed", "result")}
    return SyntheticMark(generator, __version__, int(options["seed"]), conditions, weights_hash)


def _facts(mark: SyntheticMark) -> dict[str, Any]:
    return {
        "generator": mark.generator,
        "seed": mark.seed,
        "conditions": dict(mark.conditions),
        "synthetic": mark.as_dict(),
        "simulation": SIMULATION_NOTICE,
        "notice": RESEARCH_NOTICE,
    }
