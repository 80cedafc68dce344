"""What a caller may ask of the tumour case generator; a request that exists is possible."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from enum import Enum
from typing import Any

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.brain_regions import REGION_CODES, Lobe, region_named
from medsynth_app.synthesis.tumor.signal import FIELD_STRENGTHS_T, SequenceParameters
from medsynth_app.vocabulary import Modality


class TumorSite(str, Enum):
    """Part of the brain in which the tumour starts."""

    FRONTAL = "frontal"
    PARIETAL = "parietal"
    TEMPORAL = "temporal"
    OCCIPITAL = "occipital"
    INSULAR = "insular"
    DEEP_GREY = "deep_grey"
    CORPUS_CALLOSUM = "corpus_callosum"
    CEREBELLAR = "cerebellar"
    BRAINSTEM = "brainstem"


class Side(str, Enum):
    """The patient's side."""

    LEFT = "left"
    RIGHT = "right"


LARGEST_VOLUME_ML: dict[TumorSite, float] = {
    TumorSite.CEREBELLAR: 60.0,
    TumorSite.BRAINSTEM: 20.0,
}
"""Sites that hold less than the general limit."""
LARGEST_OF_LOBE_ML = {
    Lobe.CEREBELLUM: LARGEST_VOLUME_ML[TumorSite.CEREBELLAR],
    Lobe.BRAINSTEM: LARGEST_VOLUME_ML[TumorSite.BRAINSTEM],
}
VOLUME_LIMITS_ML = (0.5, 350.0)
NOT_WITH_HOST = (
    "mass_effect", "field_strength_t", "sequences", "bias_field", "noise", "slice_thickness_mm",
    "in_plane_resolution_mm", "spacing_mm",
)  # fmt: skip
"""Conditions of a head and a scanner of one's own."""


def largest_volume_ml(site: TumorSite | str) -> float:
    """What a site holds, in ml."""
    if isinstance(site, TumorSite):
        return LARGEST_VOLUME_ML.get(site, math.inf)
    return LARGEST_OF_LOBE_ML.get(region_named(site).lobe, math.inf)



@dataclass(frozen=True)
class GradeProfile:
    """Typical make-up of a glioma of one WHO grade.

    Attributes:
        enhancing_fraction: share of the tumour core that takes up contrast agent.
        necrotic_fraction: share of the tumour core that is dead tissue or fluid.
        edema_extent: share of the whole tumour that is oedema.
    """

    enhancing_fraction: float
    necrotic_fraction: float
    edema_extent: float


GRADE_PROFILES: dict[int, GradeProfile] = {
    2: GradeProfile(0.0, 0.0, 0.35),
    3: GradeProfile(0.2, 0.1, 0.5),
    4: GradeProfile(0.5, 0.4, 0.6),
}

DEFAULT_SEQUENCES: dict[str, SequenceParameters] = {
    Modality.FLAIR.value: SequenceParameters(9000, 125, 2500),
    Modality.T1.value: SequenceParameters(600, 10),
    Modality.T1CE.value: SequenceParameters(600, 10),
    Modality.T2.value: SequenceParameters(5000, 100),
}
_SEQUENCE_NAMES = ", ".join(DEFAULT_SEQUENCES)


@dataclass(frozen=True)
class TumorCaseRequest:
    """A labelled four-sequence case to make.

    Attributes:
        seed: non-negative integer; the same request with the same seed gives the same voxels.
        site: where the tumour starts, a ``TumorSite`` or the code of an atlas region; None lets the seed choose (or
            ``seed_point_mm`` tells).
        side: left or right of the patient; None lets the seed choose.
        seed_point_mm: RAS mm in the world of the BraTS grid, in MNI space with a host; replaces ``site`` and ``side``.
        volume_ml: whole tumour (core and oedema) in millilitres, 0.5 to 350.
        grade: WHO grade 2, 3 or 4; gives the typical fractions that are not set below.
        enhancing_fraction: share of the core that enhances, 0 to 1; None for the grade's.
        necrotic_fraction: share of the core that is necrotic, 0 to 1; None for the grade's. What is left of
            the core is solid tumour without enhancement, which shares the label of necrosis as in BraTS.
        edema_extent: share of the whole tumour that is oedema, 0 to 0.95; None for the grade's.
        mass_effect: how strongly the core pushes the brain aside, 0 (not) to 2.
        contrast_agent: whether T1ce was taken after contrast agent.
        contrast_uptake: agent that reaches enhancing tumour, 0 (none) to 1.5; 1 is a strong uptake.
        edema_density: share of altered tissue in oedema next to the core, 0.2 to 1; less is fainter oedema.
        tissue_variation: how much this person's tissues differ from the average, 0 (not) to 3; 1 is usual.
        field_strength_t: 1.5 or 3.0 tesla.
        sequences: timing by modality; those left out keep their default.
        bias_field: strength of the smooth shading, 0 to 0.6: its standard deviation.
        noise: standard deviation of the noise relative to white matter, 0 to 0.25.
        slice_thickness_mm: thickness of the acquired axial slices, 1 to 8; resliced to ``spacing_mm`` after.
        in_plane_resolution_mm: acquired resolution inside a slice, 0.5 to 4.
        spacing_mm: voxel size of the result, 1 to 3, same field of view (240 x 240 x 155 voxels at 1 mm).
        host: name of the real case that takes the tumour; None makes a head of its own.

    Raises:
        InvalidValueError: a value of the wrong kind, outside its range, or in conflict with another.
    """

    seed: int = 0
    site: TumorSite | str | None = None
    side: Side | None = None
    seed_point_mm: tuple[float, float, float] | None = None
    volume_ml: float = 60.0
    grade: int = 4
    enhancing_fraction: float | None = None
    necrotic_fraction: float | None = None
    edema_extent: float | None = None
    mass_effect: float = 1.0
    contrast_agent: bool = True
    contrast_uptake: float = 1.0
    edema_density: float = 0.92
    tissue_variation: float = 1.0
    field_strength_t: float = 3.0
    sequences: Mapping[str, SequenceParameters] = field(default_factory=lambda: dict(DEFAULT_SEQUENCES))
    bias_field: float = 0.08
    noise: float = 0.03
    slice_thickness_mm: float = 1.0
    in_plane_resolution_mm: float = 1.0
    spacing_mm: float = 1.0
    host: str | None = None

    def __post_init__(self) -> None:
        _check_integer("seed", self.seed, 0, 2**63 - 1)
        _check_integer("grade", self.grade, min(GRADE_PROFILES), max(GRADE_PROFILES))
        for name, low, high in _RANGES:
            _check_number(name, getattr(self, name), low, high)
        for name in ("enhancing_fraction", "necrotic_fraction", "edema_extent"):
            if getattr(self, name) is not None:
                _check_number(name, getattr(self, name), 0.0, 0.95 if name == "edema_extent" else 1.0)
        if not isinstance(self.contrast_agent, bool):
            raise InvalidValueError(f"contrast_agent: {self.contrast_agent!r} must be true or false")
        if self.field_strength_t not in FIELD_STRENGTHS_T:
            raise InvalidValueError(
                f"field_strength_t: {self.field_strength_t!r} is not known, "
                f"allowed are {list(FIELD_STRENGTHS_T)}"
            )
        self._set("site", _site(self.site))
        self._check_host()
        self._set("side", _member("side", self.side, Side))
        self._set("sequences", _complete_sequences(self.sequences))
        self._check_place()
        self._check_fractions()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_place(self) -> None:
        if self.seed_point_mm is not None:
            self._set("seed_point_mm", _point("seed_point_mm", self.seed_point_mm))
            if self.site is not None or self.side is not None:
                raise InvalidValueError(
                    f"seed_point_mm: {self.seed_point_mm} already tells the place; leave site and side out"
                )
        if self.site is not None and self.volume_ml > largest_volume_ml(self.site):
            shown = self.site.value if isinstance(self.site, TumorSite) else self.site
            raise InvalidValueError(
                f"volume_ml: {self.volume_ml} ml does not fit the site {shown!r}, "
                f"which holds at most {largest_volume_ml(self.site):g} ml"
            )

    def _check_host(self) -> None:
        """With a host, what describes a head or a scanner of one's own has no meaning.

        Raises:
            InvalidValueError: such a condition was set.
        """
        if self.host is None:
            return
        if not isinstance(self.host, str) or not self.host:
            raise InvalidValueError(f"host: {self.host!r} must be the name of a case")
        for item in fields(self):
            if item.name in NOT_WITH_HOST and getattr(self, item.name) != _default_of(item):
                raise InvalidValueError(
                    f"{item.name}: {getattr(self, item.name)!r} has no meaning with a host, whose head and scanner "
                    "are its own; leave it out"
                )

    def _check_fractions(self) -> None:
        profile = self.profile
        total = profile.enhancing_fraction + profile.necrotic_fraction
        if total > 1.0 + 1e-9:
            raise InvalidValueError(
                f"enhancing_fraction: {profile.enhancing_fraction:g} and necrotic_fraction "
                f"{profile.necrotic_fraction:g} are shares of the core and together must not exceed 1"
            )

    @property
    def profile(self) -> GradeProfile:
        """The fractions in force: those set, else the grade's.

        A fraction set alone takes room from the grade's value of the other one, so that both fit the core.
        """
        typical = GRADE_PROFILES[self.grade]
        enhancing, necrotic = self.enhancing_fraction, self.necrotic_fraction
        if enhancing is None:
            room = 1.0 if necrotic is None else 1.0 - necrotic
            enhancing = min(typical.enhancing_fraction, room)
        if necrotic is None:
            necrotic = min(typical.necrotic_fraction, 1.0 - enhancing)
        extent = typical.edema_extent if self.edema_extent is None else self.edema_extent
        return GradeProfile(enhancing, necrotic, extent)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> TumorCaseRequest:
        """The request of JSON parameters; left-out ones keep their default.

        Args:
            parameters: names as the fields of this class; ``sequences`` is a mapping of modality to a
                mapping with repetition_time_ms, echo_time_ms, inversion_time_ms.

        Raises:
            InvalidValueError: an unknown name (the known ones are listed) or a value that is not allowed.
        """
        known = [item.name for item in fields(cls)]
        unknown = [name for name in parameters if name not in known]
        if unknown:
            raise InvalidValueError(
                f"{unknown[0]}: is no condition of this generator, known are {', '.join(known)}"
            )
        values = dict(parameters)
        if "sequences" in values:
            values["sequences"] = _parse_sequences(values["sequences"])
        return cls(**values)

    def as_conditions(self) -> dict[str, Any]:
        """The request with JSON values, as it is kept with the result; ``from_parameters`` reads it back."""
        conditions = asdict(self)
        for name in ("site", "side"):
            member = getattr(self, name)
            conditions[name] = member.value if isinstance(member, Enum) else member
        if self.seed_point_mm is not None:
            conditions["seed_point_mm"] = list(self.seed_point_mm)
        if self.host is None:
            del conditions["host"]  # cases of before there were hosts are made again byte by byte
        return conditions


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("volume_ml", *VOLUME_LIMITS_ML),
    ("mass_effect", 0.0, 2.0),
    ("contrast_uptake", 0.0, 1.5),
    ("edema_density", 0.2, 1.0),
    ("tissue_variation", 0.0, 3.0),
    ("bias_field", 0.0, 0.6),
    ("noise", 0.0, 0.25),
    ("slice_thickness_mm", 1.0, 8.0),
    ("in_plane_resolution_mm", 0.5, 4.0),
    ("spacing_mm", 1.0, 3.0),
)
NUMBER_RANGES = {name: (low, high) for name, low, high in _RANGES}
"""Condition -> smallest and largest value."""


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidValueError(f"{name}: {value!r} must be a whole number between {low} and {high}")


def _check_number(name: str, value: object, low: float, high: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
        raise InvalidValueError(f"{name}: {value!r} must be a number between {low:g} and {high:g}")


def _member(name: str, value: object, kind: type[Enum]) -> Enum | None:
    if value is None or isinstance(value, kind):
        return value
    allowed = [member.value for member in kind]
    if value not in allowed:
        raise InvalidValueError(f"{name}: {value!r} is not known, allowed are {', '.join(allowed)}")
    return kind(value)


def _site(value: object) -> TumorSite | str | None:
    if value in REGION_CODES:
        return str(value)
    try:
        return _member("site", value, TumorSite)  # type: ignore[return-value]
    except InvalidValueError as error:
        raise InvalidValueError(f"{error.message}, or a region of the atlas: {', '.join(REGION_CODES)}") from error


def _default_of(item: Any) -> Any:
    return item.default_factory() if item.default is MISSING else item.default


def _point(name: str, value: object) -> tuple[float, ...]:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise InvalidValueError(f"{name}: {value!r} must be three numbers (R, A, S) in mm")
    for coordinate in value:
        _check_number(name, coordinate, -500.0, 500.0)
    return tuple(float(coordinate) for coordinate in value)


def _complete_sequences(sequences: object) -> dict[str, SequenceParameters]:
    if not isinstance(sequences, Mapping):
        raise InvalidValueError(f"sequences: {sequences!r} must map {_SEQUENCE_NAMES} to their timing")
    for modality, parameters in sequences.items():
        _check_modality(modality)
        if not isinstance(parameters, SequenceParameters):
            raise InvalidValueError(f"sequences.{modality}: {parameters!r} must be the timing of a sequence")
    return {**DEFAULT_SEQUENCES, **{str(Modality(m).value): p for m, p in sequences.items()}}


def _check_modality(modality: object) -> None:
    if modality not in DEFAULT_SEQUENCES:
        raise InvalidValueError(f"sequences: {modality!r} is not known, allowed are {_SEQUENCE_NAMES}")


def _parse_sequences(sequences: object) -> dict[str, SequenceParameters]:
    if not isinstance(sequences, Mapping):
        raise InvalidValueError(f"sequences: {sequences!r} must map {_SEQUENCE_NAMES} to their timing")
    return {str(modality): _parse_timing(str(modality), timing) for modality, timing in sequences.items()}


def _parse_timing(modality: str, timing: object) -> SequenceParameters:
    known = [item.name for item in fields(SequenceParameters)]
    _check_modality(modality)
    if isinstance(timing, SequenceParameters):
        return timing
    if not isinstance(timing, Mapping) or any(name not in known for name in timing):
        raise InvalidValueError(f"sequences.{modality}: {timing!r} must hold only {', '.join(known)}")
    try:
        return SequenceParameters(**{**asdict(DEFAULT_SEQUENCES[modality]), **timing})
    except InvalidValueError as error:
        raise InvalidValueError(f"sequences.{modality}.{error.message}") from error
