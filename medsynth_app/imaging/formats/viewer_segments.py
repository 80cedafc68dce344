"""The segments that a label file itself names: 3D Slicer's ``.seg.nrrd`` convention.

Each segment has a name, the voxel value that it is stored with and, where segments overlap, the layer (channel) it lies
in. Only these tell what a value means: Slicer numbers segments in the order in which they were made, and a deleted one
may leave its voxels behind.
Convention: vtkMRMLSegmentationStorageNode of 3D Slicer; files of before 2020 have a layer a segment and no value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.formats.nrrd_header import read_nrrd_header
from medsynth_app.vocabulary import LABEL_NAMES, TumorLabel

_MAGIC = b"NRRD"
_FIELD = re.compile(r"Segment(\d{1,4})_(ID|Name|LabelValue|Layer)")
_TABLE_PREFIX = "Segmentation_"
_LARGEST_VALUE = 65535
_OTHER_NAMES = {
    "necrosis": TumorLabel.NECROTIC_CORE, "ncr": TumorLabel.NECROTIC_CORE,
    "oedema": TumorLabel.EDEMA, "peritumoral_edema": TumorLabel.EDEMA, "peritumoral_oedema": TumorLabel.EDEMA,
    "peritumoural_oedema": TumorLabel.EDEMA, "ed": TumorLabel.EDEMA,
    "enhancing_tumour": TumorLabel.ENHANCING_TUMOR, "et": TumorLabel.ENHANCING_TUMOR,
}  # fmt: skip
"""What BraTS and British readers call them."""
SCRIBBLES = ("foreground_scribbles", "background_scribbles")
"""Segments that MONAI Label's viewers add for strokes; never part of a label."""


@dataclass(frozen=True)
class Segment:
    """A segment of a label file.

    Attributes:
        name: as the reader wrote it.
        value: of its voxels.
        layer: channel of the file in which they lie.
    """

    name: str
    value: int
    layer: int


def label_of_name(name: str) -> TumorLabel | None:
    """The label that a segment's name means, whatever its case and word breaks; None for any other name."""
    key = re.sub(r"[\s_-]+", "_", name.strip().lower())
    return TumorLabel(LABEL_NAMES[key]) if key in LABEL_NAMES else _OTHER_NAMES.get(key)


def is_scribble(name: str) -> bool:
    """Whether a segment holds a viewer's strokes."""
    return re.sub(r"[\s_-]+", "_", name.strip().lower()) in SCRIBBLES


def read_segments(path: Path, name: str) -> tuple[Segment, ...] | None:
    """The segments that a file names, in its order.

    Args:
        path: any label file.
        name: how errors call it.

    Returns:
        None where the file has no table of segments (NIfTI, plain NRRD).

    Raises:
        InvalidValueError: the table cannot be read in one way (422).
    """
    pairs = read_nrrd_header(path, name).pairs if _is_nrrd(path) else {}
    rows: dict[int, dict[str, str]] = {}
    for key, value in pairs.items():
        found = _FIELD.fullmatch(key)
        if found:
            rows.setdefault(int(found[1]), {})[found[2]] = value
    if not rows and not any(key.startswith(_TABLE_PREFIX) for key in pairs):
        return None
    oldest_form = not any({"LabelValue", "Layer"} & row.keys() for row in rows.values())
    segments = tuple(_segment(index, rows[index], place if oldest_form else 0, name)
                     for place, index in enumerate(sorted(rows)))  # fmt: skip
    places = [(segment.layer, segment.value) for segment in segments]
    twice = next((segment for segment in segments if places.count((segment.layer, segment.value)) > 1), None)
    if twice is not None:
        raise InvalidValueError(
            f"{name}: several of its segments have the value {twice.value} in layer {twice.layer}, "
            f"{twice.name[:40]!r} among them; which of them is meant cannot be told"
        )
    return segments


def _segment(index: int, row: Mapping[str, str], layer: int, name: str) -> Segment:
    return Segment(
        name=row.get("Name") or row.get("ID") or f"Segment{index}",
        value=_whole(row.get("LabelValue", "1"), 1, f"Segment{index}_LabelValue", name),
        layer=_whole(row.get("Layer", str(layer)), 0, f"Segment{index}_Layer", name),
    )


def _whole(text: str, least: int, field: str, name: str) -> int:
    word = text.strip()
    if not re.fullmatch(r"\d{1,5}", word) or not least <= int(word) <= _LARGEST_VALUE:
        raise InvalidValueError(
            f"{name}: {field}: {text[:20]!r} must be a whole number from {least} to {_LARGEST_VALUE}"
        )
    return int(word)


def _is_nrrd(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
