"""The conditions of a tumour case in words, with their ranges and choices, for viewers and the catalogue.

``TumorCaseRequest`` checks them; its fields may be null or nested, which viewers cannot say. So an open choice is shown
as ``any``, an open number as an empty text, and ``understood`` turns what comes back into the request's own form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from medsynth_app.imaging.atlas.brain_regions import REGION_CODES
from medsynth_app.options import FALSE_WORDS, TRUE_WORDS, Option
from medsynth_app.synthesis.conditions import OpenNumber, VectorOption
from medsynth_app.synthesis.tumor.request import (
    NUMBER_RANGES,
    VOLUME_LIMITS_ML,
    Side,
    TumorCaseRequest,
    TumorSite,
)

ANY = "any"
_D = TumorCaseRequest()


def _number(name: str, description: str) -> Option:
    low, high = NUMBER_RANGES[name]
    return Option(name, getattr(_D, name), description, minimum=low, maximum=high)


TUMOR_OPTIONS: tuple[Option, ...] = (
    Option("host", "", "A real case, four sequences and the brain alone, that takes the tumour: changed only there; "
           "empty = a head of its own."),
    Option("site", ANY, "Part of the brain, or region of the atlas, in which the tumour starts; any = by the seed.",
           (ANY, *(site.value for site in TumorSite), *REGION_CODES)),
    Option("side", ANY, "The patient's side; any = by the seed.", (ANY, *(side.value for side in Side))),
    VectorOption("seed_point_mm", "", "Where the tumour starts: right, anterior, superior in mm of the BraTS grid's "
                 "world, of MNI space with a host; replaces site and side, empty = by them.",
                 minimum=-500, maximum=500),
    Option("volume_ml", _D.volume_ml, "Whole tumour, core and oedema, in ml; at most 60 in the cerebellum, "
           "20 in the brainstem.", minimum=VOLUME_LIMITS_ML[0], maximum=VOLUME_LIMITS_ML[1]),
    Option("grade", _D.grade, "WHO grade; gives the fractions that are not set.", minimum=2, maximum=4),
    OpenNumber("enhancing_fraction", "", "Share of the core that takes up contrast agent; empty = the grade's.",
               minimum=0, maximum=1),
    OpenNumber("necrotic_fraction", "", "Share of the core that is necrotic; empty = the grade's. With the "
               "enhancing share at most 1.", minimum=0, maximum=1),
    OpenNumber("edema_extent", "", "Share of the whole tumour that is oedema; empty = the grade's.",
               minimum=0, maximum=0.95),
    _number("mass_effect", "How strongly the core pushes the brain aside; 0 = not at all."),
    Option("contrast_agent", _D.contrast_agent, "Whether T1ce was taken after contrast agent."),
    _number("contrast_uptake", "Agent that reaches enhancing tumour; 0 = none, 1 = a strong uptake."),
    _number("edema_density", "Share of altered tissue in oedema beside the core; less is fainter oedema."),
    _number("tissue_variation", "How much this person's tissues differ from the average; 1 is usual."),
    Option("field_strength_t", _D.field_strength_t, "Of the scanner, in tesla: 1.5 or 3.", minimum=1.5, maximum=3.0),
    Option("sequences", "", "Timing by sequence (flair, t1, t1ce, t2) in ms, as JSON; those left out keep their "
           "default."),
    _number("bias_field", "Standard deviation of the smooth shading, as a share of the brightness."),
    _number("noise", "Standard deviation of the noise, as a share of white matter."),
    _number("slice_thickness_mm", "Of the acquired axial slices, in mm; resliced to spacing_mm after."),
    _number("in_plane_resolution_mm", "Acquired resolution inside a slice, in mm."),
    _number("spacing_mm", "Voxel size of the result in mm, for the same field of view."),
)  # fmt: skip
TIMING_FIELDS: dict[str, dict[str, Any]] = {
    "repetition_time_ms": {"unit": "ms", "minimum": 100, "maximum": 20000, "description": "TR."},
    "echo_time_ms": {"unit": "ms", "minimum": 1, "maximum": 400, "description": "TE, shorter than TR."},
    "inversion_time_ms": {
        "unit": "ms", "minimum": 50, "maximum": 5000, "description": "TI, shorter than TR; null = no inversion.",
    },
}  # fmt: skip
_BY_NAME = {option.name: option for option in TUMOR_OPTIONS}


def understood(given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters in the form of ``TumorCaseRequest``: a viewer's lists, texts and empty fields turned into values.

    Args:
        given: as a client sent them. What is not understood is left as it is, for the request to refuse by name.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        option = _BY_NAME.get(name)
        if option is None:
            values[name] = value
            continue
        if option.choices and isinstance(value, (list, tuple)):
            value = value[0] if value else None  # noqa: PLW2901 - the whole list came back, its first is chosen
        if value is None or value in ("", []) or (option.choices and value == ANY):
            continue
        values[name] = _plain(option, value)
    return values


def _plain(option: Option, value: Any) -> Any:
    if not isinstance(value, str) or option.choices or option.name == "host":
        return value
    if isinstance(option.default, bool):
        return {**dict.fromkeys(TRUE_WORDS, True), **dict.fromkeys(FALSE_WORDS, False)}.get(value.lower(), value)
    try:
        if isinstance(option, VectorOption):
            return [float(part) for part in value.strip("[] ").split(",")]
        if option.name == "sequences":
            return json.loads(value)
        number = float(value)
    except (ValueError, RecursionError):
        return value
    return int(number) if isinstance(option.default, int) and number.is_integer() else number
