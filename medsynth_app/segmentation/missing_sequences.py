"""Sequences that a case lacks, or that are taken away to see what happens then."""

from __future__ import annotations

from collections.abc import Sequence

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import Modality

KIND_OF_CORE_WARNING = (
    "without t1ce nothing tells enhancing tumour from necrotic core: take the two together as the tumour core"
)


def blanked_sequences(text: str) -> tuple[str, ...]:
    """Sequences named in a text, separated by commas.

    Raises:
        InvalidValueError: an unknown name, or all of them.
    """
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    known = [modality.value for modality in Modality]
    strange = [name for name in names if name not in known]
    if strange:
        raise InvalidValueError(f"missing: {strange[0]!r} is no sequence, known are {', '.join(known)}")
    if len(names) == len(known):
        raise InvalidValueError("missing: all sequences are named, one must be left")
    return names


def without_sequences(volume: Volume, modalities: Sequence[str], blanked: Sequence[str]) -> Volume:
    """The image with some sequences 0 everywhere; itself where none is named.

    Args:
        volume: (C, X, Y, Z).
        modalities: names of its channels.
        blanked: names of those to blank.
    """
    channels = [modalities.index(name) for name in blanked if name in modalities]
    if not channels:
        return volume
    array = volume.array.copy()
    array[channels] = 0
    return Volume(array, volume.affine)


def blank_warnings(missing: Sequence[str]) -> list[str]:
    """A sentence for each sequence that was taken as blank."""
    return [f"{name} is missing and was taken as blank: expect a worse result" for name in missing]


def missing_warnings(
    missing: Sequence[str], modalities: Sequence[str], notes: dict[str, object]
) -> list[str]:
    """What a reader must know of an answer that was given without some sequences.

    Args:
        missing: names of the sequences that were taken as blank.
        modalities: all that the network reads.
        notes: of the weights; ``validation_by_sequences`` holds mean Dice by what was left, e.g. ``flair+t2``.
    """
    if not missing:
        return []
    left = "+".join(name for name in modalities if name not in missing)
    found = blank_warnings(missing)
    measured = notes.get("validation_by_sequences")
    figures = measured.get(left) if isinstance(measured, dict) else None
    if isinstance(figures, dict):
        cases = notes.get("validation_cases", "the")
        told = ", ".join(f"{region} {value:.2f}" for region, value in figures.items())
        found.append(f"with {left.replace('+', ', ')} alone, mean Dice on {cases} held-out cases was {told}")
    if "t1ce" in missing:
        found.append(KIND_OF_CORE_WARNING)
    return found
