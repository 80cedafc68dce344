"""What a caller may ask of a volume: one table of types, pathologies and regions; a request that exists is possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medsynth_app.errors import InvalidValueError
from medsynth_app.options import Option
from medsynth_app.synthesis.conditions import ConditionTable, VectorOption, numbers_of
from medsynth_app.synthesis.phantoms.canvas import Point
from medsynth_app.synthesis.phantoms.tissues import SEQUENCES

LARGEST_VOXELS = 16_000_000
NO_PATHOLOGY = "none"
WHOLE = "whole"
AUTOMATIC = "auto"


@dataclass(frozen=True)
class Pathology:
    """A disease that a phantom can show.

    Attributes:
        hosts: structures in which its lesion lies; empty = it has no place of its own.
        sizes_mm: diameter of its lesion at severity 0 and 1.
    """

    hosts: tuple[str, ...] = ()
    sizes_mm: tuple[float, float] = (0.0, 0.0)

    @property
    def is_focal(self) -> bool:
        """Whether a place and a size can be asked for."""
        return bool(self.hosts)


@dataclass(frozen=True)
class VolumeType:
    """One of the six kinds of volume.

    Attributes:
        modality: ``ct`` or ``mr``.
        extent_mm: whole field of view along right, anterior, superior.
        spacing_mm: default voxel size.
        regions: name -> part of the superior axis, 0 (lowest) to 1.
        pathologies: by name.
        sequence: what ``auto`` means in MR.
        structures: names in the label map; their values count from 1.
        window: display range.
    """

    modality: str
    extent_mm: Point
    spacing_mm: Point
    regions: Mapping[str, tuple[float, float]]
    pathologies: Mapping[str, Pathology]
    structures: tuple[str, ...]
    sequence: str = AUTOMATIC
    window: tuple[float, float] | None = None

    @property
    def labels(self) -> dict[str, int]:
        """Structure -> value in the label map; the lesion comes last."""
        return {name: value for value, name in enumerate((*self.structures, "lesion"), start=1)}


CHEST = ("lung_left", "lung_right", "heart", "aorta", "trachea", "spine", "ribs", "liver")
LUNGS = ("lung_left", "lung_right")
ABDOMEN = (
    "liver",
    "spleen",
    "kidney_left",
    "kidney_right",
    "pancreas",
    "stomach",
    "gallbladder",
    "aorta",
    "inferior_vena_cava",
    "bowel",
    "bladder",
    "spine",
)
HEAD = ("white_matter", "grey_matter", "cerebrospinal_fluid", "skull")
HEART = (
    "left_ventricle",
    "myocardium",
    "right_ventricle",
    "left_atrium",
    "right_atrium",
    "aorta",
    "pulmonary_artery",
)
SPINE = ("vertebrae", "discs", "spinal_canal", "cord")
THIRDS = {WHOLE: (0.0, 1.0), "lower": (0.0, 0.4), "middle": (0.3, 0.7), "upper": (0.6, 1.0)}

VOLUME_TYPES: dict[str, VolumeType] = {
    "ct_chest": VolumeType(
        "ct",
        (380, 290, 320),
        (2.5, 2.5, 2.5),
        THIRDS,
        {
            "nodule": Pathology(LUNGS, (5, 45)),
            "pneumonia": Pathology(LUNGS, (30, 130)),
            "pleural_effusion": Pathology(),
            "emphysema": Pathology(),
        },
        CHEST,
        window=(-1050, 450),
    ),
    "ct_abdomen": VolumeType(
        "ct",
        (380, 280, 340),
        (2.5, 2.5, 2.5),
        THIRDS,
        {
            "liver_tumor": Pathology(("liver",), (8, 80)),
            "kidney_cyst": Pathology(("kidney_left", "kidney_right"), (8, 50)),
            "liver_steatosis": Pathology(),
            "ascites": Pathology(),
        },
        ABDOMEN,
        window=(-160, 240),
    ),
    "ct_head": VolumeType(
        "ct",
        (190, 230, 200),
        (1.5, 1.5, 2.0),
        {WHOLE: (0.0, 1.0), "skull_base": (0.0, 0.45), "vertex": (0.55, 1.0)},
        {
            "intracerebral_haemorrhage": Pathology(("white_matter", "grey_matter"), (12, 65)),
            "ischaemic_infarct": Pathology(("white_matter", "grey_matter"), (20, 90)),
            "subdural_haematoma": Pathology(),
            "atrophy": Pathology(),
        },
        HEAD,
        window=(-20, 100),
    ),
    "mri_brain": VolumeType(
        "mr",
        (190, 230, 200),
        (1.5, 1.5, 1.5),
        {WHOLE: (0.0, 1.0), "skull_base": (0.0, 0.45), "vertex": (0.55, 1.0)},
        {
            "tumor": Pathology(("white_matter", "grey_matter"), (12, 65)),
            "ischaemic_infarct": Pathology(("white_matter", "grey_matter"), (20, 90)),
            "white_matter_lesions": Pathology(),
            "atrophy": Pathology(),
        },
        HEAD,
        "flair",
    ),
    "mri_heart": VolumeType(
        "mr",
        (300, 260, 150),
        (1.8, 1.8, 3.0),
        {WHOLE: (0.0, 1.0), "apex": (0.0, 0.5), "base": (0.5, 1.0)},
        {
            "infarct_scar": Pathology(("myocardium",), (12, 50)),
            "hypertrophic_cardiomyopathy": Pathology(),
            "dilated_cardiomyopathy": Pathology(),
            "pericardial_effusion": Pathology(),
        },
        HEART,
        "bssfp",
    ),
    "mri_spine": VolumeType(
        "mr",
        (150, 220, 280),
        (2.5, 1.2, 1.2),
        {"lumbar": (0.0, 1.0), "thoracic": (0.0, 1.0), "cervical": (0.0, 1.0)},
        {
            "vertebral_metastasis": Pathology(("vertebrae",), (8, 28)),
            "disc_herniation": Pathology(),
            "vertebral_fracture": Pathology(),
            "disc_degeneration": Pathology(),
        },
        SPINE,
        "t2",
    ),
}
VOLUME_KINDS = tuple(VOLUME_TYPES)
PATHOLOGIES = tuple(dict.fromkeys(name for kind in VOLUME_TYPES.values() for name in kind.pathologies))
REGIONS = tuple(dict.fromkeys(name for kind in VOLUME_TYPES.values() for name in kind.regions))


@dataclass(frozen=True)
class VolumeRequest:
    """A volume to make, checked.

    Attributes:
        volume_type: one of ``VOLUME_KINDS``.
        kind: its row.
        pathology: a name, or None.
        severity: 0 (hardly there) to 1.
        lesion_position_mm: right, anterior, superior of the middle of the field of view; None = by the seed.
        lesion_size_mm: diameter.
        age: years.
        female: sex.
        contrast_agent: some seventy seconds after contrast agent.
        slice_thickness_mm: of the acquired slices.
        spacing_mm: voxel size along right, anterior, superior.
        region: which part of the field of view.
        sequence: of MR; ``auto`` in CT.
    """

    volume_type: str
    kind: VolumeType
    pathology: str | None
    severity: float
    lesion_position_mm: Point | None
    lesion_size_mm: float
    age: int
    female: bool
    contrast_agent: bool
    slice_thickness_mm: float
    spacing_mm: Point
    region: str
    sequence: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """(X, Y, Z) of the volume."""
        low, high = self.kind.regions[self.region]
        extent = (*self.kind.extent_mm[:2], self.kind.extent_mm[2] * (high - low))
        return tuple(max(8, round(e / s)) for e, s in zip(extent, self.spacing_mm))  # type: ignore[return-value]

    @property
    def center_mm(self) -> Point:
        """Middle of the region in the whole field of view."""
        low, high = self.kind.regions[self.region]
        return (0.0, 0.0, self.kind.extent_mm[2] * ((low + high) / 2.0 - 0.5))

    @classmethod
    def from_conditions(cls, values: Mapping[str, Any]) -> VolumeRequest:
        """A request of parsed conditions.

        Raises:
            InvalidValueError: conditions that are impossible together.
        """
        volume_type = str(values["volume_type"])
        kind = VOLUME_TYPES[volume_type]
        pathology = _pathology(values, kind)
        severity = float(values["severity"])
        spacing = numbers_of(values["spacing_mm"]) or kind.spacing_mm
        request = cls(
            volume_type=volume_type,
            kind=kind,
            pathology=pathology,
            severity=severity,
            lesion_position_mm=_position(values, kind, pathology),
            lesion_size_mm=_size(values, kind, pathology, severity),
            age=int(values["age"]),
            female=values["sex"] == "female",
            contrast_agent=bool(values["contrast_agent"]),
            slice_thickness_mm=float(values["slice_thickness_mm"]) or spacing[2],
            spacing_mm=spacing,  # type: ignore[arg-type]
            region=_region(values, kind),
            sequence=_sequence(values, kind),
        )
        x, y, z = request.shape
        if x * y * z > LARGEST_VOXELS:
            raise InvalidValueError(
                f"spacing_mm: {values['spacing_mm']} makes {x} x {y} x {z} voxels, at most {LARGEST_VOXELS} are made"
            )
        if request.slice_thickness_mm < spacing[2] / 3.0:
            raise InvalidValueError(
                f"slice_thickness_mm: {request.slice_thickness_mm:g} is impossible with slices {spacing[2]:g} mm "
                "apart; at least a third of that is needed"
            )
        return request


def _pathology(values: Mapping[str, Any], kind: VolumeType) -> str | None:
    name = str(values["pathology"])
    if name == NO_PATHOLOGY:
        return None
    _member("pathology", name, (NO_PATHOLOGY, *kind.pathologies), values)
    return name


def _position(values: Mapping[str, Any], kind: VolumeType, pathology: str | None) -> Point | None:
    position = numbers_of(values["lesion_position_mm"])
    if position is None:
        return None
    _needs_focus("lesion_position_mm", kind, pathology)
    for number, extent in zip(position, kind.extent_mm):
        if abs(number) > extent / 2.0:
            raise InvalidValueError(
                f"lesion_position_mm: {number:g} lies outside the field of view, half of which is {extent / 2:g} mm"
            )
    return position  # type: ignore[return-value]


def _size(values: Mapping[str, Any], kind: VolumeType, pathology: str | None, severity: float) -> float:
    size = float(values["lesion_size_mm"])
    if size == 0.0:
        smallest, largest = kind.pathologies[pathology].sizes_mm if pathology else (0.0, 0.0)
        return smallest + severity * (largest - smallest)
    _needs_focus("lesion_size_mm", kind, pathology)
    largest = kind.pathologies[str(pathology)].sizes_mm[1] * 1.25
    if not 2.0 <= size <= largest:
        raise InvalidValueError(f"lesion_size_mm: {size:g} must be between 2 and {largest:g} for {pathology}")
    return size


def _needs_focus(field: str, kind: VolumeType, pathology: str | None) -> None:
    if pathology is None or not kind.pathologies[pathology].is_focal:
        focal = [name for name, row in kind.pathologies.items() if row.is_focal]
        raise InvalidValueError(f"{field}: needs a pathology with a lesion: {', '.join(focal)}")


def _region(values: Mapping[str, Any], kind: VolumeType) -> str:
    name = str(values["region"])
    if name == AUTOMATIC:
        return next(iter(kind.regions))
    _member("region", name, tuple(kind.regions), values)
    return name


def _sequence(values: Mapping[str, Any], kind: VolumeType) -> str:
    name = str(values["sequence"])
    if kind.modality == "ct":
        _member("sequence", name, (AUTOMATIC,), values)
        return name
    return kind.sequence if name == AUTOMATIC else name


def _member(field: str, name: str, allowed: tuple[str, ...], values: Mapping[str, Any]) -> None:
    if name not in allowed:
        raise InvalidValueError(
            f"{field}: {name!r} is impossible in {values['volume_type']}, possible are {', '.join(allowed)}"
        )


def _check(values: Mapping[str, Any]) -> None:
    VolumeRequest.from_conditions(values)


VOLUME_TYPE = Option("volume_type", VOLUME_KINDS[0], "Body part and modality.", VOLUME_KINDS)
PHANTOM_CONDITIONS = ConditionTable(
    (
        VOLUME_TYPE,
        Option("pathology", NO_PATHOLOGY, "Disease that is shown.", (NO_PATHOLOGY, *PATHOLOGIES)),
        Option("severity", 0.5, "How much of it, 0 to 1.", minimum=0, maximum=1),
        VectorOption(
            "lesion_position_mm", "", "Right, anterior, superior of the middle; empty = by the seed."
        ),
        Option("lesion_size_mm", 0.0, "Diameter of the lesion; 0 = by the severity.", minimum=0, maximum=200),
        Option("age", 50, "Years.", minimum=18, maximum=100),
        Option("sex", "male", "Of the body.", ("male", "female")),
        Option("contrast_agent", False, "Some seventy seconds after contrast agent."),
        Option(
            "slice_thickness_mm", 0.0, "Of the acquired slices; 0 = their distance.", minimum=0, maximum=20
        ),
        VectorOption(
            "spacing_mm",
            "",
            "Voxel size right, anterior, superior; empty = the type's.",
            minimum=0.7,
            maximum=10,
        ),
        Option("region", AUTOMATIC, "Part of the field of view.", (AUTOMATIC, *REGIONS)),
        Option("sequence", AUTOMATIC, "Weighting of MR.", (AUTOMATIC, *SEQUENCES)),
    ),
    _check,
)
