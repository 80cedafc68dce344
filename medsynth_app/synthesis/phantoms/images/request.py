"""What a caller may ask of a picture: one table of modalities and pathologies; a request that exists is possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medsynth_app.errors import InvalidValueError
from medsynth_app.options import Option
from medsynth_app.synthesis.conditions import ConditionTable, VectorOption, numbers_of
from medsynth_app.synthesis.phantoms.images.fields import Place

NORMAL = "normal"
SEXES = ("female", "male")


@dataclass(frozen=True)
class Pathology:
    """A disease that a picture can show.

    Attributes:
        host: organ in which its one lesion lies; empty where it is spread out.
        sizes: diameter of the lesion at severity 0 and 1, share of the picture's width.
    """

    host: str = ""
    sizes: tuple[float, float] = (0.0, 0.0)

    @property
    def is_focal(self) -> bool:
        """Whether a place and a size can be asked for."""
        return bool(self.host)


@dataclass(frozen=True)
class Modality:
    """One of the six kinds of picture.

    Attributes:
        pathologies: by name, without ``normal``.
        sexes: whose picture it can be.
    """

    pathologies: Mapping[str, Pathology]
    sexes: tuple[str, ...] = SEXES


MODALITIES: dict[str, Modality] = {
    "chest_xray": Modality({
        "pneumonia": Pathology("lungs", (0.12, 0.34)), "covid-19": Pathology(),
        "nodule": Pathology("lungs", (0.03, 0.1)),
    }),  # fmt: skip
    "ct": Modality({"haemorrhage": Pathology("brain", (0.05, 0.26)), "infarct": Pathology("brain", (0.1, 0.36))}),
    "mri": Modality({"tumour": Pathology("brain", (0.07, 0.3)), "white_matter_lesions": Pathology()}),
    "mammography": Modality(
        {"mass": Pathology("breast", (0.04, 0.18)), "microcalcifications": Pathology("breast", (0.05, 0.16))},
        ("female",),
    ),
    "ultrasound": Modality(
        {"benign": Pathology("breast", (0.1, 0.38)), "malignant": Pathology("breast", (0.1, 0.38))}, ("female",)
    ),
    "retina": Modality({"drusen": Pathology(), "haemorrhages": Pathology()}),
}
IMAGE_MODALITIES = tuple(MODALITIES)
PATHOLOGIES = tuple(name for modality in MODALITIES.values() for name in modality.pathologies)


@dataclass(frozen=True)
class ImageRequest:
    """One possible picture.

    Attributes:
        modality: key of ``MODALITIES``.
        pathology: name, or ``normal``.
        severity: 0 to 1.
        position: middle of the lesion in shares of width and height; None = by the seed.
        lesion_size: diameter of the lesion, share of the width; 0 where there is no single one.
        age: years.
        female: sex.
        size: pixels a side.
    """

    modality: str
    pathology: str
    severity: float
    position: Place | None
    lesion_size: float
    age: int
    female: bool
    size: int

    @classmethod
    def from_conditions(cls, values: Mapping[str, Any]) -> ImageRequest:
        """A request from parsed conditions.

        Raises:
            InvalidValueError: conditions that are impossible together; names the first.
        """
        name, pathology = str(values["modality"]), str(values["pathology"])
        modality = MODALITIES[name]
        _member("pathology", pathology, (NORMAL, *modality.pathologies), name)
        _member("sex", str(values["sex"]), modality.sexes, name)
        shown = modality.pathologies.get(pathology, Pathology())
        position = numbers_of(values["lesion_position"])
        severity, size = float(values["severity"]), float(values["lesion_size"])
        for field, given in (("lesion_position", position is not None), ("lesion_size", size != 0)):
            if given and not shown.is_focal:
                focal = [key for key, row in modality.pathologies.items() if row.is_focal]
                can = ", ".join(focal) or f"none in {name}"
                raise InvalidValueError(f"{field}: needs a pathology with a single lesion: {can}")
        smallest, largest = shown.sizes
        if size and not smallest / 2 <= size <= largest * 1.25:
            raise InvalidValueError(
                f"lesion_size: {size:g} must be between {smallest / 2:g} and {largest * 1.25:g} for {pathology}"
            )
        return cls(
            name,
            pathology,
            severity,
            (position[0], position[1]) if position else None,
            size or smallest + severity * (largest - smallest),
            int(values["age"]),
            values["sex"] == "female",
            int(values["size"]),
        )


def _member(field: str, name: str, allowed: tuple[str, ...], modality: str) -> None:
    if name not in allowed:
        raise InvalidValueError(f"{field}: {name!r} is impossible in {modality}, possible are {', '.join(allowed)}")


def _check(values: Mapping[str, Any]) -> None:
    ImageRequest.from_conditions(values)


IMAGE_CONDITIONS = ConditionTable(
    (
        Option("modality", IMAGE_MODALITIES[0], "Kind of picture.", IMAGE_MODALITIES),
        Option("pathology", NORMAL, "Disease that is shown.", (NORMAL, *PATHOLOGIES)),
        Option("severity", 0.5, "How much of it, 0 to 1.", minimum=0, maximum=1),
        VectorOption(
            "lesion_position", "", "x, y of the lesion's middle in shares of the picture, from its upper left"
            " corner; empty = by the seed.", minimum=0, maximum=1, length=2,
        ),
        Option(
            "lesion_size", 0.0, "Diameter of the lesion, share of the width; 0 = by the severity.",
            minimum=0, maximum=0.5,
        ),
        Option("age", 50, "Years.", minimum=18, maximum=100),
        Option("sex", "female", "Of the body.", SEXES),
        Option("size", 256, "Pixels a side.", minimum=64, maximum=512),
    ),
    _check,
)  # fmt: skip
