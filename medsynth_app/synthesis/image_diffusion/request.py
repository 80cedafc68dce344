"""What a caller may ask of the picture diffusion, held against what its weights have learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medsynth_app.errors import InvalidValueError
from medsynth_app.options import Option
from medsynth_app.synthesis.conditions import ConditionTable, OpenNumber, VectorOption, numbers_of
from medsynth_app.synthesis.data.arrays import square_picture
from medsynth_app.synthesis.data.image_file import read_mask
from medsynth_app.synthesis.data.images import OLDEST
from medsynth_app.synthesis.flow.samplers import SCHEDULERS
from medsynth_app.synthesis.image_diffusion.lesions import LesionHabits, drawn_lesion
from medsynth_app.synthesis.image_diffusion.weights import DiffusionModel
from medsynth_app.synthesis.phantoms.images.fields import Place
from medsynth_app.synthesis.phantoms.images.request import IMAGE_MODALITIES, MODALITIES, NORMAL, SEXES

MIDDLE_SEVERITY = 0.5


def _check(values: Mapping[str, Any]) -> None:
    name = str(values["scheduler"])
    SCHEDULERS[name].checked(name, int(values["steps"]))
    modality = str(values["modality"])
    sexes = MODALITIES[modality].sexes
    if values["sex"] and values["sex"] not in sexes:
        raise InvalidValueError(
            f"sex: {values['sex']!r} is impossible in {modality}, possible is {', '.join(sexes)}"
        )


DIFFUSION_CONDITIONS = ConditionTable(
    (
        Option("modality", IMAGE_MODALITIES[0], "Kind of picture.", IMAGE_MODALITIES),
        Option("pathology", NORMAL, "Disease that is shown: one that the weights have learned."),
        OpenNumber(
            "severity", "", "How much of it, 0 to 1: size of a lesion, opacity of lungs; empty = by the seed.",
            minimum=0, maximum=1,
        ),
        VectorOption(
            "lesion_position", "", "x, y of the lesion's middle in shares of the picture, from its upper left"
            " corner; empty = by the seed.", minimum=0, maximum=1, length=2,
        ),
        OpenNumber(
            "lesion_size", "", "Diameter of the lesion, share of the width; empty = by the severity, or the seed.",
            minimum=0.01, maximum=0.8,
        ),
        OpenNumber("age", "", "Years; empty = by the seed.", minimum=0, maximum=OLDEST),
        Option("sex", "", "Of the body; empty = by the seed.", ("", *SEXES)),
        Option("sequence", "", "Of an MR slice, as the weights have learned them; empty = by the seed."),
        OpenNumber(
            "guidance", "", "How strongly the conditions are kept to; 1 = as learned, more = exaggerated; empty = what"
            " suits the weights.", minimum=1, maximum=8,
        ),
        Option("scheduler", "rflow", "From noise to the picture.", tuple(SCHEDULERS)),
        Option("steps", 0, "Of the scheduler; 0 = what suits it.", minimum=0, maximum=1000),
        Option("size", 0, "Pixels a side, enlarged or reduced; 0 = as the network draws.", minimum=0, maximum=512),
    ),
    _check,
)  # fmt: skip


@dataclass(frozen=True)
class DiffusionRequest:
    """One picture that the weights can make.

    Attributes:
        modality / pathology: words that the weights know.
        severity / age: None = open; severity also where the mask says it.
        sex / sequence: empty = open.
        mask: (R, R) float32, where the lesion is to lie; all 0 for none; None = open.
        guidance: 1 or more.
        scheduler: key of ``SCHEDULERS``.
        steps: of it.
        size: pixels a side of the answer.
    """

    modality: str
    pathology: str
    severity: float | None
    age: float | None
    sex: str
    sequence: str
    mask: np.ndarray | None
    guidance: float
    scheduler: str
    steps: int
    size: int

    @classmethod
    def from_conditions(
        cls, values: Mapping[str, Any], model: DiffusionModel, label: Path | None, seed: int
    ) -> DiffusionRequest:
        """A request from parsed conditions.

        Args:
            values: of ``DIFFUSION_CONDITIONS``.
            model: what is to draw it.
            label: file of a mask of the lesion, instead of a position and a size.
            seed: of the lesion's outline, and its place where only its size was given.

        Raises:
            InvalidValueError: what these weights have not learned, named, with what they have.
        """
        modality, pathology = str(values["modality"]), str(values["pathology"])
        _refuse_unlearned(values, model)
        severity = None if values["severity"] == "" else float(values["severity"])
        scheduler = str(values["scheduler"])
        return cls(
            modality,
            pathology,
            severity if _is_a_number_only(values, model, label) else None,
            None if values["age"] == "" else float(values["age"]),
            str(values["sex"]),
            str(values["sequence"]),
            _mask(values, model, label, severity, seed),
            float(values["guidance"] or model.guidance_of(modality)),
            scheduler,
            SCHEDULERS[scheduler].checked(scheduler, int(values["steps"])),
            int(values["size"]) or model.resolution,
        )


def _is_a_number_only(values: Mapping[str, Any], model: DiffusionModel, label: Path | None) -> bool:
    """Whether severity tells the network more than the mask of the lesion, whose size follows from it otherwise.

    Told twice, what goes along with large lesions in the training pictures (a darker ultrasound) would come with it.
    """
    has_place = f"{values['modality']}/{values['pathology']}" in model.habits
    return not has_place or label is not None or values["lesion_size"] != ""


def _refuse_unlearned(values: Mapping[str, Any], model: DiffusionModel) -> None:
    """Nothing that was asked for may be without effect."""
    modality, vocabulary = str(values["modality"]), model.vocabulary
    if modality not in vocabulary.modality:
        raise InvalidValueError(
            f"modality: the weights of diffusion have not learned {modality}, only {', '.join(vocabulary.modality)}; "
            "train them, or choose generator=phantom, which needs none",
            code="weights_missing",
        )
    possible = vocabulary.pathologies(modality)
    if values["pathology"] not in possible:
        raise InvalidValueError(
            f"pathology: {str(values['pathology'])[:60]!r} is impossible in {modality} with these weights, "
            f"possible are {', '.join(possible)}"
        )
    learned = (vocabulary.honoured or {}).get(modality, ())
    for name in ("age", "sex", "sequence", "severity"):
        implied = name == "sex" and MODALITIES[modality].sexes == (values["sex"],)
        if values[name] != "" and name not in learned and not implied:
            raise InvalidValueError(
                f"{name}: has no effect in {modality} with these weights, whose training pictures did not tell it; "
                f"leave it out (they know {', '.join(('pathology', *learned))})"
            )
    if values["severity"] != "" and values["pathology"] == NORMAL:
        raise InvalidValueError(f"severity: {values['severity']:g} needs a pathology, {NORMAL} has none")
    if values["sequence"] and values["sequence"] not in vocabulary.sequence:
        raise InvalidValueError(
            f"sequence: {str(values['sequence'])[:60]!r} must be one of {', '.join(vocabulary.sequence)}"
        )


def _mask(
    values: Mapping[str, Any], model: DiffusionModel, label: Path | None, severity: float | None, seed: int
) -> np.ndarray | None:
    """Where the lesion is to lie; where a severity is told, its size follows, at a place of the seed's."""
    modality, pathology = str(values["modality"]), str(values["pathology"])
    place, size = numbers_of(values["lesion_position"]), values["lesion_size"]
    if label is not None and (place is not None or size != ""):
        raise InvalidValueError(
            "label: a mask says where the lesion lies, leave out lesion_position and lesion_size"
        )
    asked = [name for name, given in (("lesion_position", place), ("lesion_size", size or None), ("label", label))
             if given is not None]  # fmt: skip
    habits = model.habits.get(f"{modality}/{pathology}")
    if asked and habits is None:
        can = [word.partition("/")[2] for word in model.habits if word.startswith(f"{modality}/")]
        raise InvalidValueError(
            f"{asked[0]}: needs a pathology whose place these weights have learned: "
            f"{', '.join(can) or f'none in {modality}'}"
        )
    side = model.resolution
    if habits is None or not (asked or severity is not None):
        known = pathology == NORMAL and "lesion" in (model.vocabulary.honoured or {}).get(modality, ())
        return np.zeros((side, side), np.float32) if known else None
    if label is not None:
        return _read_label(label, side)
    return _drawn(habits, pathology, (place[0], place[1]) if place else None, size, severity, side, seed)


def _drawn(
    habits: LesionHabits,
    pathology: str,
    place: Place | None,
    size: Any,
    severity: float | None,
    side: int,
    seed: int,
) -> np.ndarray:
    generator = np.random.default_rng(seed)
    diameter = habits.size(MIDDLE_SEVERITY if severity is None else severity) if size == "" else float(size)
    habits.check_size(diameter, pathology)
    chosen = habits.places[int(generator.integers(len(habits.places)))]
    if place is not None:
        habits.check_place(place, pathology)
        chosen = place
    return drawn_lesion(side, chosen, diameter, generator)


def _read_label(label: Path, side: int) -> np.ndarray:
    mask = square_picture(read_mask(label, "label"), side, "pad").resize((side, side), Image.Resampling.BOX)
    shares = np.asarray(mask, dtype=np.float32) / 255.0
    if not shares.any():
        raise InvalidValueError("label: is empty, it must hold the lesion")
    return shares
