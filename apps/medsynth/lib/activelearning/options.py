"""What an annotator may set for each strategy; one table each."""

from __future__ import annotations

from collections.abc import Sequence

from medsynth_app.active_learning.uncertainty import Measure
from medsynth_app.options import Option, OptionValue

LARGEST_K = 50

HANDING_OUT = (
    Option("k", 1, "Cases handed out at once.", minimum=1, maximum=LARGEST_K),
    Option(
        "lease_minutes", 60, "So long nobody else gets the case; submitting its label ends that.",
        minimum=1, maximum=7 * 24 * 60,
    ),
)  # fmt: skip
CHANCE = (Option("seed", 0, "Makes the choice repeatable; 0 = another one each time.", minimum=0, maximum=2**31 - 1),)
UNCERTAINTY = (
    Option(
        "measure", Measure.BALD.value, "bald: how far several answers differ; entropy: how unsure their mean is.",
        tuple(measure.value for measure in Measure),
    ),
    Option(
        "tumor_weight", 0.7, "0 = the whole brain counts alike, 1 = only what may be tumour.", minimum=0.0, maximum=1.0
    ),
)  # fmt: skip
MIXTURE = (
    Option("uncertainty_share", 0.5, "1 = uncertainty alone, 0 = diversity alone.", minimum=0.0, maximum=1.0),
)


def shown_as_text(options: Sequence[Option]) -> dict[str, str | list[str]]:
    """MONAI Label's ``config`` with texts only: Slicer's table turns numbers into texts and back with losses."""
    return {option.name: _as_text(option.shown()) for option in options}


def _as_text(value: OptionValue | list[str]) -> str | list[str]:
    if isinstance(value, list):
        return value
    return f"{value:g}" if isinstance(value, float) else str(value)
