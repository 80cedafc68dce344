"""Which symptom a quality means, given the part of the body it is said of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

LIMB_PARTS = frozenset({"arm", "hand", "leg", "foot", "arm_leg", "body"})
_UPPER, _LOWER = frozenset({"arm", "hand"}), frozenset({"leg", "foot"})


@dataclass(frozen=True)
class Said:
    """A quality and what it was said of.

    Attributes:
        quality: its name, in capitals; the identifier of a symptom means that symptom itself.
        parts: body parts, own or carried over from the clause before.
        side_named: a left or right belongs to it.
        both_named: "both" belongs to it.
        clause: the whole clause, for words that decide between two readings.
        denied: whether it is denied: who denies weakness denies that of a limb.
    """

    quality: str
    parts: frozenset[str]
    side_named: bool
    both_named: bool
    clause: str
    denied: bool = False


def symptoms_of(said: Said) -> tuple[str, ...]:
    """Identifiers of the symptoms that are meant; empty where the quality says nothing without a part."""
    if said.quality.islower():
        return (said.quality,)
    resolve = {
        "WEAK": _weak, "HEAVY": _heavy, "GRIP": _weak, "DROOP": _droop, "CROOKED": _crooked,
        "NUMB": _numb, "PALSY_FEELING": _numb, "TINGLE": _tingle,
        "TWITCH": _twitch, "SHAKE": _shake, "CLUMSY": _clumsy, "DRAG": _drag, "BLIND": _blind, "BLUR": _blur,
    }  # fmt: skip
    fixed = {
        "MARCH": "seizure_focal_sensory", "REACH": "intention_tremor", "REST_SHAKE": "rest_tremor_parkinsonism",
        "HEADPAIN": "headache_unilateral" if said.side_named else "headache",
    }  # fmt: skip
    return (fixed[said.quality],) if said.quality in fixed else resolve[said.quality](said)


def _weak(said: Said) -> tuple[str, ...]:
    parts = said.parts
    upper, lower = bool(parts & _UPPER), bool(parts & _LOWER)
    found: list[str] = []
    if "arm_leg" in parts or (upper and lower):
        found.append("hemiparesis")
    elif upper or lower:
        found.append("arm_weakness" if upper else "leg_weakness")
    if "face" in parts:
        found.append("face_weakness_central")
    if found:
        return tuple(found)
    for part, symptom in (("eyelid", "cn3_palsy"), ("tongue", "dysarthria"), ("body", "hemiparesis")):
        if part in parts:
            return (symptom,)
    if parts:
        return ()
    if said.quality == "GRIP":
        return ("arm_weakness",)
    # all over, or nowhere in particular: tired until the patient names a part
    return (
        ("hemiparesis",)
        if said.denied or said.side_named or any(word in said.clause for word in ONE_SIDED)
        else ("fatigue",)
    )


def _heavy(said: Said) -> tuple[str, ...]:
    return _weak(said) if said.parts & (LIMB_PARTS - {"body"}) else ()


def _droop(said: Said) -> tuple[str, ...]:
    for part, symptom in (
        ("eyelid", "cn3_palsy"), ("face", "face_weakness_central"), ("arm", "arm_weakness"), ("leg", "leg_weakness")
    ):  # fmt: skip
        if part in said.parts:
            return (symptom,)
    return ("cn3_palsy",) if "eye" in said.parts else ()


def _crooked(said: Said) -> tuple[str, ...]:
    return ("face_weakness_central",) if "face" in said.parts else ()


def _numb(said: Said) -> tuple[str, ...]:
    if "ear" in said.parts and not said.parts & (LIMB_PARTS | {"face"}):
        return ("hearing_loss_unilateral",)
    found = (["facial_numbness"] if "face" in said.parts else []) + (
        ["hemisensory_loss"] if said.parts & LIMB_PARTS or not said.parts else []
    )
    return tuple(found)


def _tingle(said: Said) -> tuple[str, ...]:
    if "face" in said.parts and not said.parts & LIMB_PARTS:
        return ("facial_numbness",)
    return ("paresthesia_unilateral",) if said.parts & LIMB_PARTS or not said.parts else ()


def _twitch(said: Said) -> tuple[str, ...]:
    if "eye" in said.parts and not said.parts & (LIMB_PARTS | {"face"}):
        return ("nystagmus",)
    return ("seizure_focal_motor",) if said.parts & (LIMB_PARTS | {"face"}) else ()


def _shake(said: Said) -> tuple[str, ...]:
    if "eye" in said.parts:
        return ("nystagmus",)
    if said.parts & (_LOWER | {"face"}):
        return ("seizure_focal_motor",)
    if "body" in said.parts:
        return ("seizure_gtc",)
    return ("intention_tremor",) if said.parts & _UPPER else ()


def _clumsy(said: Said) -> tuple[str, ...]:
    if "tongue" in said.parts:
        return ("dysarthria",)
    if said.parts & {"arm_leg", "body"} or said.parts & _LOWER:
        return ("limb_ataxia",)
    return ("hand_clumsiness",) if said.parts & _UPPER or (said.side_named and not said.parts) else ()


def _drag(said: Said) -> tuple[str, ...]:
    return () if said.parts & (_UPPER | {"face"}) else ("leg_weakness",)


def _blind(said: Said) -> tuple[str, ...]:
    one_eye = any(word in said.clause for word in ONE_EYE)
    if one_eye or ("eye" in said.parts and said.side_named and not said.both_named):
        return ("monocular_visual_loss",)
    if said.side_named or any(word in said.clause for word in HALF_WORDS):
        return ("homonymous_hemianopia",)
    return (
        ("visual_field_defect",) if any(word in said.clause for word in FIELD_WORDS) else ("blurred_vision",)
    )


def _blur(said: Said) -> tuple[str, ...]:
    return ("monocular_visual_loss",) if said.side_named and "eye" in said.parts else ("blurred_vision",)


FIELD_WORDS = ("시야", "field", "blind spot", "hole in")
"""Words that speak of a part of the visual field rather than of seeing badly."""
HALF_WORDS = ("반쪽", "절반", "반맹", "half", "hemianop", "one side", "한쪽 시야")
ONE_EYE = ("한쪽 눈", "한 눈", "눈 하나", "one eye", "my eye ", "an eye")
ONE_SIDED = ("한쪽", "반쪽", "반신", "one side", "one-sided", "half of", "hemi")


def united(parts: Sequence[Collection[str]]) -> frozenset[str]:
    """All parts of several clauses."""
    return frozenset(part for each in parts for part in each)
