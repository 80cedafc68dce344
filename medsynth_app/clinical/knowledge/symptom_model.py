"""Symptoms as plain records: what the knowledge base says of one, and what a patient reports of one.

The score works on these records only; a database, a file or a test may hold them. The seed file's columns
are ``id, kind, laterality_rule, side_asked, regions, region_side_override, strength`` (others are ignored);
``regions`` is ``CODE:weight;CODE:weight``, ``region_side_override`` is ``CODE=rule;CODE=rule``.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeVar

from medsynth_app.errors import InvalidValueError


class SymptomState(str, Enum):
    """What is known of a symptom in one patient."""

    PRESENT = "present"
    DENIED = "denied"
    NOT_ASKED = "not_asked"


class ReportedSide(str, Enum):
    """The side of body, field, ear or direction that the patient names; NONE where a symptom has none."""

    LEFT = "left"
    RIGHT = "right"
    UNKNOWN = "unknown"
    NONE = "none"


class Handedness(str, Enum):
    """The hand a patient prefers; it shifts the odds of the language-dominant hemisphere."""

    RIGHT = "right"
    LEFT = "left"
    AMBIDEXTROUS = "ambidextrous"
    UNKNOWN = "unknown"


class SymptomKind(str, Enum):
    """What a symptom is evidence of. ICP: raised pressure or general illness, which localises nothing."""

    DEFICIT = "deficit"
    IRRITATIVE = "irritative"
    ENDOCRINE = "endocrine"
    ICP = "icp"


class LateralityRule(str, Enum):
    """Where the lesion lies, given the side of the symptom or the dominant hemisphere."""

    CONTRALATERAL = "contralateral"
    IPSILATERAL = "ipsilateral"
    DOMINANT = "dominant"
    NONDOMINANT = "nondominant"
    BILATERAL_OR_MIDLINE = "bilateral_or_midline"
    NON_LATERALISING = "non_lateralising"
    MIDLINE = "midline"
    NONE = "none"


_SIDED_RULES = frozenset({LateralityRule.CONTRALATERAL, LateralityRule.IPSILATERAL})
_DOMINANCE_RULES = frozenset({LateralityRule.DOMINANT, LateralityRule.NONDOMINANT})


@dataclass(frozen=True)
class SymptomDefinition:
    """One row of the knowledge base, as the score needs it.

    Attributes:
        id: stable identifier, for example ``arm_weakness``.
        strength: how much the symptom says about the site, 0 (nothing) to 1.
        kind: what it is evidence of.
        laterality_rule: side of the lesion relative to the symptom, unless a region overrides it.
        side_asked: what the side refers to (body, visual_hemifield, eye ...), ``none`` where none is asked.
        regions: region code -> weight > 0; empty for a symptom that points to no region.
        region_side_override: region code -> rule that replaces ``laterality_rule`` there.
    """

    id: str
    strength: float
    kind: SymptomKind
    laterality_rule: LateralityRule
    side_asked: str = "none"
    regions: Mapping[str, float] = field(default_factory=dict)
    region_side_override: Mapping[str, LateralityRule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0.0 <= self.strength <= 1.0:
            raise InvalidValueError(f"strength of symptom {self.id!r} is {self.strength}; allowed: 0 to 1")
        for code, weight in self.regions.items():
            if not weight > 0.0:
                raise InvalidValueError(
                    f"weight of region {code!r} in symptom {self.id!r} is {weight}; allowed: above 0"
                )
        strangers = sorted(set(self.region_side_override) - set(self.regions))
        if strangers:
            raise InvalidValueError(
                f"region_side_override of symptom {self.id!r} names {strangers}, which are not among its "
                f"regions {sorted(self.regions)}"
            )

    @property
    def localises(self) -> bool:
        """True where the symptom points to regions of the brain."""
        return bool(self.regions) and self.strength > 0.0 and self.kind is not SymptomKind.ICP

    @property
    def needs_side(self) -> bool:
        """True where the side of the symptom says something about the side of the lesion."""
        rules = {self.laterality_rule, *self.region_side_override.values()}
        return self.strength > 0.0 and bool(rules & _SIDED_RULES)

    @property
    def depends_on_dominance(self) -> bool:
        """True where the language-dominant hemisphere matters."""
        return bool({self.laterality_rule, *self.region_side_override.values()} & _DOMINANCE_RULES)


@dataclass(frozen=True)
class ReportedSymptom:
    """One answer of a patient.

    Attributes:
        id: identifier of a `SymptomDefinition`.
        state: present, denied, or not asked (a blank).
        side: the side the patient names; UNKNOWN is marginalised over both.
    """

    id: str
    state: SymptomState = SymptomState.PRESENT
    side: ReportedSide = ReportedSide.UNKNOWN

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", _member(SymptomState, self.state, f"state of symptom {self.id!r}"))
        object.__setattr__(self, "side", _member(ReportedSide, self.side, f"side of symptom {self.id!r}"))


def load_symptom_definitions(path: str | Path) -> dict[str, SymptomDefinition]:
    """Read the seed file (CSV, UTF-8 with or without BOM).

    Args:
        path: the file; the module's docstring names its columns.

    Returns:
        Identifier -> definition, in the order of the file.

    Raises:
        InvalidValueError: a column is missing, a value is not allowed, or an identifier appears twice.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    definitions: dict[str, SymptomDefinition] = {}
    for number, row in enumerate(rows, start=2):
        definition = _definition_of_row(row, number)
        if definition.id in definitions:
            raise InvalidValueError(f"line {number}: symptom {definition.id!r} appears twice")
        definitions[definition.id] = definition
    return definitions


def _definition_of_row(row: Mapping[str, str], line: int) -> SymptomDefinition:
    try:
        override = parse_pairs(row["region_side_override"], "=")
        return SymptomDefinition(
            id=row["id"].strip(),
            strength=float(row["strength"]),
            kind=_member(SymptomKind, row["kind"], f"line {line}: kind"),
            laterality_rule=_member(LateralityRule, row["laterality_rule"], f"line {line}: laterality_rule"),
            # "none (needs laryngoscopy)" and the like: the remark is for people
            side_asked=row["side_asked"].split("(")[0].strip() or "none",
            regions={code: float(weight) for code, weight in parse_pairs(row["regions"], ":").items()},
            region_side_override={
                code: _member(LateralityRule, rule, f"line {line}: region_side_override")
                for code, rule in override.items()
            },
        )
    except KeyError as missing:
        raise InvalidValueError(f"the symptom file lacks the column {missing}") from missing
    except ValueError as error:
        raise InvalidValueError(f"line {line}: {error}") from error


def parse_pairs(text: str, separator: str) -> dict[str, str]:
    """Split ``A:1;B:2`` (separator ``:``) or ``A=x;B=y`` (separator ``=``) into a mapping.

    Raises:
        ValueError: a part has no separator.
    """
    pairs: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        code, found, value = part.partition(separator)
        if not found:
            raise ValueError(f"{part!r} has no {separator!r}")
        pairs[code.strip()] = value.strip()
    return pairs


EnumMember = TypeVar("EnumMember", bound=Enum)


def _member(kind: type[EnumMember], value: object, what: str) -> EnumMember:
    try:
        return kind(value)
    except ValueError as error:
        allowed = ", ".join(str(member.value) for member in kind)
        raise InvalidValueError(f"{what} is {value!r}; allowed: {allowed}") from error
