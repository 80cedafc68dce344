"""A user's folder of pictures for training, with what is known of each: class sub-folders, or a table.

Sub-folders: ``MODALITY/PATHOLOGY/[PATIENT/]FILE``, or ``PATHOLOGY/[PATIENT/]FILE`` with the modality told. A mask of
the lesion lies beside its picture as ``NAME_mask.png``.

Table: ``images.csv`` in the folder, columns ``path`` and, as far as they are known, ``modality``, ``pathology``,
``patient``, ``age``, ``sex``, ``severity``, ``sequence``, ``mask``, ``split`` (``train`` or ``validation``); an empty
cell is unknown.

Pictures of one patient never lie on both sides of the split. The side is chosen by a hash of the patient, so it is
the same on every machine and does not move when pictures are added.
"""

from __future__ import annotations

import csv
import hashlib
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.synthesis.data.arrays import as_shown, square_picture
from medsynth_app.synthesis.data.image_file import is_picture_name, read_mask, read_picture
from medsynth_app.synthesis.phantoms.images.request import IMAGE_MODALITIES, NORMAL, SEXES

logger = logging.getLogger(__name__)

TABLE = "images.csv"
COLUMNS = ("path", "modality", "pathology", "patient", "age", "sex", "severity", "sequence", "mask", "split")
SPLITS = ("train", "validation")
MASK_ENDING = "_mask"
HELD_OUT_SHARE = 0.1
FEWEST_PICTURES = 2
OLDEST = 120.0
NORMAL_WORDS = ("normal", "healthy", "no_findings", "no_finding")
"""Names of folders that hold pictures without a disease."""
SHOWN_COMPLAINTS = 5


@dataclass(frozen=True)
class PictureSource:
    """One picture by its file, and what is known of it.

    Attributes:
        path: the file.
        name: its place in the user's folder, as errors call it.
        modality: one of the six of ``image_synthesis``.
        pathology: one word in small letters, ``normal`` where there is none.
        patient: who is shown; pictures of one patient stay together.
        age: years; None = unknown.
        sex: ``female`` or ``male``; empty = unknown.
        severity: 0 to 1; None = unknown.
        sequence: of an MR slice, for example ``flair``; empty = unknown.
        mask: file with the lesion; None where there is none.
        split: ``train`` or ``validation``; empty = a hash of the patient decides.

    Raises:
        InvalidValueError: a value that is impossible, named.
    """

    path: Path
    name: str
    modality: str
    pathology: str
    patient: str
    age: float | None = None
    sex: str = ""
    severity: float | None = None
    sequence: str = ""
    mask: Path | None = None
    split: str = ""

    def __post_init__(self) -> None:
        if self.modality not in IMAGE_MODALITIES:
            raise InvalidValueError(
                f"modality: {self.modality!r} of {self.name} must be one of {', '.join(IMAGE_MODALITIES)}"
            )
        if self.sex and self.sex not in SEXES:
            raise InvalidValueError(
                f"sex: {self.sex!r} of {self.name} must be {' or '.join(SEXES)}, or empty"
            )
        if self.split and self.split not in SPLITS:
            raise InvalidValueError(
                f"split: {self.split!r} of {self.name} must be {' or '.join(SPLITS)}, or empty"
            )
        for field, value, most in (("age", self.age, OLDEST), ("severity", self.severity, 1.0)):
            if value is not None and not 0.0 <= value <= most:
                raise InvalidValueError(f"{field}: {value:g} of {self.name} must be between 0 and {most:g}")


@dataclass(frozen=True)
class Pictures:
    """Pictures as arrays.

    Attributes:
        images: (N, C, R, R) uint8, C = 1 (grey) or 3 (red, green, blue).
        masks: (N, R, R) bool, the lesion; False everywhere where there is no mask.
        sources: what is known of each, N records.
        left_out: one sentence a picture that could not be used.
    """

    images: np.ndarray
    masks: np.ndarray
    sources: tuple[PictureSource, ...]
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def has_mask(self) -> np.ndarray:
        """(N,) bool: whether it is known where the lesion lies."""
        return np.array([source.mask is not None for source in self.sources], dtype=bool)

    def chosen(self, rows: np.ndarray) -> Pictures:
        """The pictures of these rows (indices or a mask)."""
        numbers = np.arange(len(self))[rows]
        return Pictures(
            self.images[numbers], self.masks[numbers], tuple(self.sources[i] for i in numbers), self.left_out
        )

    def grey_modalities(self, tolerated: float = 0.0) -> tuple[str, ...]:
        """Modalities whose pictures have no colours, but for a share of them that is tolerated."""
        coloured = (self.images != self.images[:, :1]).any(axis=(1, 2, 3))
        shows = np.array([source.modality for source in self.sources])
        return tuple(str(name) for name in np.unique(shows) if coloured[shows == name].mean() <= tolerated)

    def shown(self, grey: Sequence[str]) -> Iterator[np.ndarray]:
        """Each picture as a generator answers one: (R, R) uint8 of these modalities, else (R, R, 3)."""
        for image, source in zip(self.images, self.sources):
            yield as_shown(image.transpose(1, 2, 0), source.modality in grey)

    def counts(self) -> dict[str, int]:
        """``MODALITY/PATHOLOGY`` -> number of pictures."""
        return dict(sorted(Counter(f"{s.modality}/{s.pathology}" for s in self.sources).items()))


def find_pictures(folder: Path, modality: str = "") -> tuple[list[PictureSource], list[str]]:
    """All pictures of a user's folder, sorted by name.

    Args:
        folder: the user's.
        modality: what the pictures show where the layout does not tell; else only these are taken. Empty = all.

    Returns:
        The pictures, and a sentence about each row of the table that was left out.

    Raises:
        InvalidValueError: an unknown modality, a table without ``path``, or fewer than two pictures.
    """
    if modality and modality not in IMAGE_MODALITIES:
        raise InvalidValueError(f"modality: {modality!r} must be one of {', '.join(IMAGE_MODALITIES)}")
    complaints: list[str] = []
    if (folder / TABLE).is_file():
        found = list(_of_table(folder, modality, complaints))
    else:
        found = list(_of_folders(folder, modality))
    found = [source for source in found if not modality or source.modality == modality]
    if len(found) < FEWEST_PICTURES:
        of = f" of {modality}" if modality else ""
        why = f"; left out: {'; '.join(complaints[:SHOWN_COMPLAINTS])}" if complaints else ""
        raise InvalidValueError(
            f"data: {folder.name} holds {len(found)} pictures{of} to learn from, at least {FEWEST_PICTURES} are needed "
            f"as MODALITY/PATHOLOGY/FILE, as PATHOLOGY/FILE with the option modality, or listed in {TABLE}{why}"
        )
    return sorted(found, key=lambda source: source.name), complaints


def split_pictures(
    sources: Sequence[PictureSource], validation: str = "", share: float = HELD_OUT_SHARE
) -> tuple[list[PictureSource], list[PictureSource]]:
    """Training and validation pictures, no patient on both sides.

    Args:
        sources: all.
        validation: beginnings of patients' names (``MODALITY/PATIENT``), separated by commas; empty = as the table
            says, else by the hash.
        share: of the patients, where the hash chooses.

    Raises:
        InvalidValueError: a beginning that no patient has, or nothing is left to train on.
    """
    beginnings = tuple(part.strip() for part in validation.split(",") if part.strip())
    for beginning in beginnings:
        if not any(source.patient.startswith(beginning) for source in sources):
            raise InvalidValueError(f"validation: no patient's name begins with {beginning!r}")

    def is_held(source: PictureSource) -> bool:
        if beginnings:
            return source.patient.startswith(beginnings)
        return source.split == "validation" if source.split else is_held_out(source.patient, share)

    training = [source for source in sources if not is_held(source)]
    if not training:
        raise InvalidValueError("validation: takes every picture, none is left to train on")
    return training, [source for source in sources if is_held(source)]


def is_held_out(patient: str, share: float = HELD_OUT_SHARE) -> bool:
    """Whether a patient is kept for measuring."""
    digest = hashlib.sha256(patient.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < share


def read_pictures(
    sources: Sequence[PictureSource],
    resolution: int,
    channels: int = 3,
    framing: str = "crop",
    progress: Callable[[float], None] = lambda share: None,
) -> Pictures:
    """Pictures as arrays of one size; what cannot be used is left out and named.

    Args:
        sources: which.
        resolution: pixels a side.
        channels: 3 (colours; grey pictures become red = green = blue) or 1 (grey).
        framing: ``crop`` cuts the longer side about the centre, ``pad`` keeps everything.
        progress: told the share done.

    Raises:
        InvalidValueError: other channels, an unknown framing, or none could be read.
    """
    if channels not in (1, 3):
        raise InvalidValueError(f"channels: {channels} must be 1 or 3")
    images, masks, used, complaints = [], [], [], []
    for number, source in enumerate(sources):
        try:
            image, mask = _read(source, resolution, channels, framing)
        except MedSynthError as error:
            logger.warning("left out: %s", error.message)
            complaints.append(error.message)
            continue
        finally:
            progress((number + 1) / len(sources))
        images.append(image)
        masks.append(mask)
        used.append(source)
    if not images:
        why = f": {'; '.join(complaints[:SHOWN_COMPLAINTS])}" if complaints else ""
        raise InvalidValueError(f"data: none of {len(sources)} pictures can be read{why}")
    return Pictures(np.stack(images), np.stack(masks), tuple(used), tuple(complaints))


def _read(
    source: PictureSource, resolution: int, channels: int, framing: str
) -> tuple[np.ndarray, np.ndarray]:
    """One picture (C, R, R) uint8 and its mask (R, R) bool."""
    picture = read_picture(source.path, source.name).convert("RGB" if channels == 3 else "L")
    image = np.asarray(square_picture(picture, resolution, framing))
    image = image.transpose(2, 0, 1) if channels == 3 else image[None]
    if source.mask is None:
        return image, np.zeros((resolution, resolution), bool)
    mask = read_mask(source.mask, f"mask of {source.name}")
    if mask.size != picture.size:
        raise InvalidValueError(f"mask of {source.name}: has {mask.size} pixels, the picture {picture.size}")
    return image, np.asarray(square_picture(mask, resolution, framing)) > 127


def _of_folders(folder: Path, modality: str) -> Iterator[PictureSource]:
    """By the names of the sub-folders; one that names a modality is taken for one."""
    named = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name in IMAGE_MODALITIES]
    for place, shows in [(path, path.name) for path in named] or ([(folder, modality)] if modality else []):
        for path in sorted(place.rglob("*")):
            parts = path.relative_to(place).parts
            hidden = any(part.startswith(".") for part in parts)
            if hidden or len(parts) < 2 or not path.is_file() or not is_picture_name(path.name):
                continue
            stem = _stem(path)
            if stem.endswith(MASK_ENDING):
                continue
            mask = path.with_name(f"{stem}{MASK_ENDING}.png")
            patient = parts[1] if len(parts) > 2 else stem
            yield PictureSource(
                path=path,
                name=str(path.relative_to(folder)),
                modality=shows,
                pathology=pathology_word(parts[0]),
                patient=f"{shows}/{patient}",
                mask=mask if mask.is_file() else None,
            )


def _of_table(folder: Path, modality: str, complaints: list[str]) -> Iterator[PictureSource]:
    with (folder / TABLE).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        if "path" not in names:
            raise InvalidValueError(f"{TABLE}: lacks the column path; known columns are {', '.join(COLUMNS)}")
        for line, row in enumerate(reader, start=2):
            cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
            try:
                yield _of_row(folder, cells, modality)
            except InvalidValueError as error:
                complaints.append(f"{TABLE} line {line}: {error.message}")


def _of_row(folder: Path, cells: Mapping[str, str], modality: str) -> PictureSource:
    path = _inside(folder, cells["path"], "path")
    shows = cells["modality"].lower() or modality
    return PictureSource(
        path=path,
        name=cells["path"],
        modality=shows,
        pathology=pathology_word(cells["pathology"]) if cells["pathology"] else NORMAL,
        patient=f"{shows}/{cells['patient'] or _stem(path)}",
        age=_number(cells["age"], "age"),
        sex=cells["sex"].lower(),
        severity=_number(cells["severity"], "severity"),
        sequence=cells["sequence"].lower(),
        mask=_inside(folder, cells["mask"], "mask") if cells["mask"] else None,
        split=cells["split"].lower(),
    )


def pathology_word(text: str) -> str:
    """``No_findings`` -> ``normal``, ``Covid-19`` -> ``covid-19``."""
    word = "_".join(text.strip().lower().split())
    return NORMAL if word in NORMAL_WORDS else word


def _inside(folder: Path, text: str, column: str) -> Path:
    """A file below the folder; a table must not point anywhere else."""
    path = (folder / text).resolve()
    if not text or not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise InvalidValueError(f"{column}: {text!r} names no file in the folder")
    return path


def _number(text: str, column: str) -> float | None:
    try:
        number = float(text) if text else None
    except ValueError:
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise InvalidValueError(f"{column}: {text!r} must be a number or empty")
    return number


def _stem(path: Path) -> str:
    return path.name[: -len(".nii.gz")] if path.name.lower().endswith(".nii.gz") else path.stem
