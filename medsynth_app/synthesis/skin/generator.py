"""The three tasks of the skin course behind the manners that all generators share.

``skin_lesion_synthesis`` makes a lesion that nobody has, ``skin_lesion_inversion`` finds a photograph in the
generator, ``skin_lesion_progression`` walks from there along a direction.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medsynth_app import __version__
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.options import Option
from medsynth_app.synthesis.conditions import ConditionTable
from medsynth_app.synthesis.data.arrays import FRAMINGS, picture_grid, to_pictures
from medsynth_app.synthesis.generator import GenerationRequest, ReportProgress, Synthetic, unheard
from medsynth_app.synthesis.skin.dataset import CLASSES
from medsynth_app.synthesis.skin.inversion import Inversion, invert, network_input, read_lesion_picture
from medsynth_app.synthesis.skin.models import CourseModels, load_generator
from medsynth_app.synthesis.skin.pictures import animation, contact_sheet, curve
from medsynth_app.synthesis.skin.progression import (
    FEWEST_STEPS,
    LARGEST_ALPHA,
    MOST_STEPS,
    SIMULATION_NOTICE,
    Progression,
    ProgressionRequest,
    chosen_direction,
    walk,
)
from medsynth_app.synthesis.stylegan2.generator import sample_picture
from medsynth_app.synthesis.weights import WeightsStore

SYNTHESIS, INVERSION, PROGRESSION = (
    "skin_lesion_synthesis", "skin_lesion_inversion", "skin_lesion_progression"
)  # fmt: skip
MOST_REFINEMENT_STEPS = 1000
FOUND = 0.9
"""Share of the work that is done when a photograph has been found in the generator."""
FRAMING = Option("framing", "crop", "How a picture becomes square: cut, or its edge repeated.", FRAMINGS)
REFINEMENT = Option(
    "refinement_steps", 0, "Steps of descent after the encoder; 100 take some seconds and bring fine structure back.",
    minimum=0, maximum=MOST_REFINEMENT_STEPS,
)  # fmt: skip
SYNTHESIS_CONDITIONS = ConditionTable(
    (
        Option("lesion_class", "any", "Kind of lesion.", ("any", *CLASSES)),
        Option("truncation", 0.8, "0 = the mean lesion, 1 = all the variety.", minimum=0, maximum=1),
    )
)
INVERSION_CONDITIONS = ConditionTable(
    (
        FRAMING,
        REFINEMENT,
        Option(
            "picture", "reconstruction", "What is answered; a comparison shows photograph, reconstruction, difference.",
            ("reconstruction", "comparison"),
        ),
    )
)  # fmt: skip


def _check_walk(conditions: Mapping[str, Any]) -> None:
    if conditions["alpha_from"] == conditions["alpha_to"]:
        raise InvalidValueError(f"alpha_to: {conditions['alpha_to']:g} must differ from alpha_from")


PROGRESSION_CONDITIONS = ConditionTable(
    (
        FRAMING,
        REFINEMENT,
        Option("direction", "", "Name of a direction; melanoma = from class to class; empty = SeFa's strongest."),
        Option("alpha_from", 0.0, "Start of the walk.", minimum=-LARGEST_ALPHA, maximum=LARGEST_ALPHA),
        Option("alpha_to", 3.0, "End of the walk.", minimum=-LARGEST_ALPHA, maximum=LARGEST_ALPHA),
        Option("steps", 9, "Pictures of the walk.", minimum=FEWEST_STEPS, maximum=MOST_STEPS),
        Option("picture", "contact_sheet", "What is answered.", ("contact_sheet", "curve")),
        Option("animation", False, "Add an animated GIF to the facts, as a data URI."),
    ),
    _check_walk,
)


class SkinLesionSynthesis:
    """Random or class-conditional lesions.

    Args:
        store: where the weights are.
    """

    def __init__(self, store: WeightsStore) -> None:
        self.store = store

    def generate(self, request: GenerationRequest, progress: ReportProgress = unheard) -> Synthetic:
        """One lesion (R, R, 3).

        Raises:
            InvalidValueError: no weights, or a condition that is not allowed.
        """
        loaded = load_generator(self.store)
        generator = loaded.generator
        wanted = str(request.conditions["lesion_class"])
        label = None if wanted == "any" or not generator.configuration.classes else CLASSES.index(wanted)
        picture = sample_picture(generator, request.seed, label, float(request.conditions["truncation"]))
        progress(1.0)
        return Synthetic(picture, None, _mark(SYNTHESIS, request, loaded.sha256))


class SkinLesionInversion:
    """The nearest lesion of the generator to a photograph.

    Args:
        store: where the weights are.
    """

    def __init__(self, store: WeightsStore) -> None:
        self.store = store

    def generate(self, request: GenerationRequest, progress: ReportProgress = unheard) -> Synthetic:
        """The reconstruction (R, R, 3), or photograph, reconstruction and difference side by side.

        Raises:
            MedSynthError: as ``read_lesion_picture``; InvalidValueError without weights.
        """
        models = CourseModels.load(self.store)
        inversion = _inversion(models, request, progress)
        progress(1.0)
        picture = to_pictures(inversion.reconstruction)[0]
        frames: tuple[np.ndarray, ...] = ()
        if request.conditions["picture"] == "comparison":
            picture, frames = _comparison(inversion), (picture,)
        mark = _mark(INVERSION, request, models.weights_hash)
        return Synthetic(picture, None, mark, frames=frames, facts=_inversion_facts(inversion))


@dataclass(frozen=True)
class LesionCourse:
    """A photograph found in the generator, and the walk from there.

    Attributes:
        inversion: of the photograph.
        progression: the walk.
        weights_hash: SHA-256 of the generator's file.
    """

    inversion: Inversion
    progression: Progression
    weights_hash: str

    @property
    def facts(self) -> dict[str, Any]:
        """JSON values: how near the reconstruction is, and the record of each step."""
        return {**_inversion_facts(self.inversion), **self.progression.as_dict()}


class SkinLesionProgression:
    """The course of a lesion: contact sheet or curve, the pictures as frames, a record per step in the facts.

    Args:
        store: where the weights are.
    """

    def __init__(self, store: WeightsStore) -> None:
        self.store = store

    def generate(self, request: GenerationRequest, progress: ReportProgress = unheard) -> Synthetic:
        """The walk; raises as ``SkinLesionInversion``."""
        course = self.course(request, progress)
        result = self.drawn(course, request)
        progress(1.0)
        return result

    def course(self, request: GenerationRequest, progress: ReportProgress = unheard) -> LesionCourse:
        """Find the photograph and walk; raises as ``SkinLesionInversion``."""
        models, conditions = CourseModels.load(self.store), request.conditions
        asked = ProgressionRequest(
            str(conditions["direction"]),
            float(conditions["alpha_from"]),
            float(conditions["alpha_to"]),
            int(conditions["steps"]),
        )
        chosen_direction(models.directions, asked.direction)  # refused before the picture is worked on
        inversion = _inversion(models, request, progress)
        progress(FOUND)
        progression = walk(
            inversion.styles, asked, models.directions, models.generator, models.judge, inversion.noise
        )
        return LesionCourse(inversion, progression, models.weights_hash)

    def drawn(self, course: LesionCourse, request: GenerationRequest) -> Synthetic:
        """A course as the picture that was asked for."""
        facts, conditions = course.facts, request.conditions
        if conditions["animation"]:
            moving = base64.b64encode(animation(course.progression)).decode()
            facts["animation"] = f"data:image/gif;base64,{moving}"
        if conditions["picture"] == "curve":
            shown = curve(course.progression)
        else:
            shown = contact_sheet(course.progression, course.inversion.target)
        mark = _mark(PROGRESSION, request, course.weights_hash)
        frames = tuple(to_pictures(course.progression.images))
        return Synthetic(np.asarray(shown), None, mark, frames=frames, facts=facts)


def _inversion(models: CourseModels, request: GenerationRequest, progress: ReportProgress) -> Inversion:
    if request.image is None:
        raise InvalidValueError("file: a dermatoscopic photograph is needed")
    picture = read_lesion_picture(request.image)
    side, conditions = models.generator.configuration.resolution, request.conditions
    target = network_input(picture, side, str(conditions["framing"]))
    steps = int(conditions["refinement_steps"])
    found = invert(
        target, models.generator, models.encoder, models.judge.features, steps, lambda share: progress(FOUND * share)
    )
    return replace(found, notes=tuple(filter(None, [picture.info.get("note")])))


def _comparison(inversion: Inversion) -> np.ndarray:
    """Photograph, reconstruction, absolute difference side by side."""
    target, made = to_pictures(inversion.target)[0], to_pictures(inversion.reconstruction)[0]
    difference = np.abs(target.astype(np.int16) - made.astype(np.int16)).astype(np.uint8)
    return np.asarray(picture_grid(np.stack([target, made, difference]), 3))


def _inversion_facts(inversion: Inversion) -> dict[str, Any]:
    return {
        "squared_error": inversion.squared_error,
        "perceptual_distance": inversion.perceptual,
        "perceptual_backbone": "EfficientNet-Lite0, not LPIPS",
        "simulation": SIMULATION_NOTICE,
        **({"warnings": list(inversion.notes)} if inversion.notes else {}),
    }


def _mark(task: str, request: GenerationRequest, weights_hash: str) -> SyntheticMark:
    return SyntheticMark(task, __version__, request.seed, dict(request.conditions), weights_hash)
