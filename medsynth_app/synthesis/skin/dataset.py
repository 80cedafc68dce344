"""HAM10000's nevi and melanomas (Tschandl, Rosendahl and Kittler, Sci Data 2018) as arrays, split by lesion.

A lesion has several pictures; all of them lie on the same side of the split, chosen by a hash of the lesion's id,
so that the split is the same on every machine and does not move when pictures are added.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from medsynth_app.errors import InvalidValueError, NotFoundError, UnsupportedKindError
from medsynth_app.imaging.studies.folder_entries import PICTURE_FORMATS
from medsynth_app.imaging.upright_picture import flattened, is_transparent, upright
from medsynth_app.synthesis.data.arrays import square_picture

logger = logging.getLogger(__name__)

CLASSES = ("nevus", "melanoma")
"""Class number = position."""
DIAGNOSES = {"nv": 0, "mel": 1}
"""Codes of HAM10000's column ``dx``."""
TABLES = ("metadata.csv", "ham10000_metadata.csv", "ham10000_metadata")
"""Names of the table, in small letters: ours, Kaggle's, Harvard Dataverse's."""
HELD_OUT_SHARE = 0.1
MASK_THRESHOLD = 127
ASPECT_TOLERANCE = 0.02
"""Masks may have another size than the picture, but not other proportions: those are of another picture, or turned."""


@dataclass(frozen=True)
class Lesions:
    """Dermatoscopic pictures.

    Attributes:
        images: (N, 3, R, R) uint8.
        labels: (N,) int64, 0 nevus, 1 melanoma.
        lesions: (N,) ids of lesions.
        names: (N,) ids of pictures.
        masks: (N, R, R) bool, the lesion; None where no masks were given.
    """

    images: np.ndarray
    labels: np.ndarray
    lesions: np.ndarray
    names: np.ndarray
    masks: np.ndarray | None = None

    def chosen(self, rows: np.ndarray) -> Lesions:
        """The pictures of these rows (indices or a mask)."""
        masks = None if self.masks is None else self.masks[rows]
        return Lesions(self.images[rows], self.labels[rows], self.lesions[rows], self.names[rows], masks)

    def split(self) -> tuple[Lesions, Lesions]:
        """Pictures to train on, and those of held-out lesions."""
        held = np.array([is_held_out(lesion) for lesion in self.lesions])
        return self.chosen(~held), self.chosen(held)

    def one_per_lesion(self) -> Lesions:
        """The first picture of each lesion."""
        _, rows = np.unique(self.lesions, return_index=True)
        return self.chosen(np.sort(rows))


def is_held_out(lesion: str) -> bool:
    """Whether a lesion is kept for measuring."""
    digest = hashlib.sha256(lesion.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < HELD_OUT_SHARE


def read_lesions(folder: Path, resolution: int, framing: str = "crop", masks: bool = False) -> Lesions:
    """Read nevi and melanomas.

    Args:
        folder: holds ``metadata.csv`` or ``HAM10000_metadata.csv`` (columns lesion_id, image_id, dx) and the pictures
            ``IMAGE_ID.jpg``, loose, in sub-folders or in zip archives; masks likewise as ``IMAGE_ID.png`` or
            ``IMAGE_ID_segmentation.png``. Capitals in endings do not matter.
        resolution: side of the result.
        framing: ``crop`` or ``pad``, see ``square_picture``.
        masks: read the lesion masks too; pictures without one, or with one of other proportions, are left out.

    Raises:
        NotFoundError: no table or no picture.
        InvalidValueError: the table lacks a column.
        UnsupportedKindError: a picture cannot be decoded.
    """
    rows = _read_table(_table_of(folder))
    images, labels, lesions, names, found_masks = [], [], [], [], []
    with _Sources(folder) as sources:
        for row in rows:
            name = row["image_id"]
            picture = sources.picture(f"{name}.jpg", "RGB") or sources.picture(f"{name}.jpeg", "RGB")
            mask = None
            if masks:
                mask = sources.picture(f"{name}.png", "L") or sources.picture(f"{name}_segmentation.png", "L")
            if picture is None or (masks and mask is None):
                continue
            if mask is not None and not _same_proportions(picture, mask):
                logger.warning(
                    "left out: mask of %s: has %s pixels, the picture %s; they must have the same proportions",
                    name, mask.size, picture.size,
                )  # fmt: skip
                continue
            images.append(np.asarray(square_picture(picture, resolution, framing)).transpose(2, 0, 1))
            if mask is not None:
                mask = mask.resize(picture.size, Image.Resampling.NEAREST)
                found_masks.append(np.asarray(square_picture(mask, resolution, framing)) > MASK_THRESHOLD)
            labels.append(DIAGNOSES[row["dx"]])
            lesions.append(row["lesion_id"])
            names.append(name)
    if not images:
        raise NotFoundError(f"{folder.name}: none of the table's pictures was found there")
    return Lesions(
        np.stack(images),
        np.array(labels, dtype=np.int64),
        np.array(lesions),
        np.array(names),
        np.stack(found_masks) if masks else None,
    )


def _table_of(folder: Path) -> Path:
    """The table, whatever it is called; ``metadata.csv`` where there is none, for the error to name."""
    named = {path.name.lower(): path for path in sorted(folder.iterdir())} if folder.is_dir() else {}
    return next((named[name] for name in TABLES if name in named), folder / TABLES[0])


def _same_proportions(picture: Image.Image, mask: Image.Image) -> bool:
    ratio = (mask.width / mask.height) / (picture.width / picture.height)
    return abs(ratio - 1) <= ASPECT_TOLERANCE


def _read_table(path: Path) -> list[dict[str, str]]:
    """Rows of nevi and melanomas."""
    if not path.is_file():
        raise NotFoundError(f"{path.name}: is needed beside the pictures (lesion_id, image_id, dx)")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = {"lesion_id", "image_id", "dx"} - set(reader.fieldnames or ())
        if missing:
            raise InvalidValueError(f"{path.name}: lacks the columns {', '.join(sorted(missing))}")
        return [row for row in reader if row["dx"] in DIAGNOSES]


class _Sources:
    """Files of a folder and of its zip archives by their last name; a context that closes the archives."""

    def __init__(self, folder: Path) -> None:
        self._archives = [zipfile.ZipFile(path) for path in sorted(folder.glob("*.zip"))]
        self._members = {
            Path(member).name.lower(): (archive, member)
            for archive in self._archives
            for member in archive.namelist()
        }
        self._files = {
            path.name.lower(): path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")
        }

    def __enter__(self) -> _Sources:
        return self

    def __exit__(self, *_: object) -> None:
        for archive in self._archives:
            archive.close()

    def picture(self, name: str, mode: str) -> Image.Image | None:
        """The decoded picture, upright, or None where there is no such file; transparent places are white."""
        name = name.lower()
        if name in self._files:
            content = self._files[name].read_bytes()
        elif name in self._members:
            archive, member = self._members[name]
            content = archive.read(member)
        else:
            return None
        try:
            seen = upright(Image.open(io.BytesIO(content), formats=PICTURE_FORMATS))
            paper = 0 if mode == "L" else 255  # in a mask, transparent is nothing
            if is_transparent(seen):
                logger.warning("%s: is transparent in places, which were made %s", name, "white" if paper else "black")
            return flattened(seen, mode, paper)
        except (UnidentifiedImageError, OSError) as error:
            raise UnsupportedKindError(f"{name}: cannot be decoded as a picture") from error
