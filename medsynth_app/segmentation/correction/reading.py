"""Scribbles as viewers send them: one label map that holds the labels, and strokes as further segments.

3D Slicer exports every segment of its list, value i + 1 for segment i, and names them in ``label_info``; two of them
are ``foreground_scribbles`` (of ``selected_label_name``) and ``background_scribbles``. The page names strokes
``<label>_scribbles``, so that several labels are corrected at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.segmentation.correction.session import labels_under
from medsynth_app.segmentation.correction.strokes import BACKGROUND, LABEL_VALUES, Strokes, no_strokes
from medsynth_app.vocabulary import LABEL_NAMES

SUFFIX = "_scribbles"
FOREGROUND_STROKES, BACKGROUND_STROKES = f"foreground{SUFFIX}", f"{BACKGROUND}{SUFFIX}"
STOCK_VALUES = {
    **LABEL_NAMES,
    BACKGROUND_STROKES: len(LABEL_NAMES) + 1,
    FOREGROUND_STROKES: len(LABEL_NAMES) + 2,
}
"""What MONAI Label's own clients send without ``label_info``."""


@dataclass(frozen=True)
class Scribbles:
    """What an annotator sees and drew.

    Attributes:
        labels: (X, Y, Z) uint8, values 0..3; None where the file holds strokes alone.
        strokes: on the same grid.
    """

    labels: np.ndarray | None
    strokes: Strokes


def read_scribbles(
    values: np.ndarray, label_info: Sequence[Mapping[str, object]] | None, selected: str | None
) -> Scribbles:
    """Take labels and strokes apart.

    Args:
        values: (X, Y, Z) integer-valued, of the file.
        label_info: ``{"name", "id"}`` of each segment; MONAI Label's fixed values where there is none.
        selected: name of the label that ``foreground_scribbles`` belong to.

    Raises:
        InvalidValueError: a value without a name, an unknown name, foreground strokes without a label, or no stroke.
    """
    names = _names(label_info)
    labels, strokes = np.zeros(values.shape, dtype=np.uint8), no_strokes(values.shape)
    for value in np.unique(values):
        name = names.get(int(value))
        if value == 0:
            continue
        if name is None:
            raise InvalidValueError(
                f"label: value {float(value):g} has no name in label_info; named are "
                f"{', '.join(f'{n} = {v}' for v, n in sorted(names.items()))}",
                code="unknown_label",
            )
        here = values == value
        if name in LABEL_NAMES:
            labels[here] = LABEL_NAMES[name]
        else:
            strokes[here] = _stroke_value(name, selected)
    marked = strokes >= 0
    if not marked.any():
        raise InvalidValueError(
            f"label: holds no stroke; draw {FOREGROUND_STROKES} or {BACKGROUND_STROKES}", code="no_strokes"
        )
    return Scribbles(labels_under(labels, marked) if labels.any() else None, Strokes(strokes))


def _names(label_info: Sequence[Mapping[str, object]] | None) -> dict[int, str]:
    if not label_info:
        return {value: name for name, value in STOCK_VALUES.items()}
    names = {}
    for position, row in enumerate(label_info, start=1):
        if not isinstance(row, Mapping) or not isinstance(row.get("name"), str):
            raise InvalidValueError('label_info: must be a list of {"name": ..., "id": ...}')
        value = row.get("id", row.get("idx", position))
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 255:
            raise InvalidValueError(f"label_info: id {str(value)[:20]} of {str(row['name'])[:40]!r} must be 0 to 255")
        names[int(value)] = str(row["name"]).strip().lower().replace(" ", "_")
    return names


def _stroke_value(name: str, selected: str | None) -> int:
    if name == FOREGROUND_STROKES:
        chosen = str(selected or "").strip().lower().replace(" ", "_")
        if chosen not in LABEL_NAMES:
            raise InvalidValueError(
                f"selected_label_name: {str(selected)[:40]!r} must be one of {', '.join(LABEL_NAMES)}",
                code="unknown_label",
            )
        return LABEL_NAMES[chosen]
    label = name.removesuffix(SUFFIX)
    if not name.endswith(SUFFIX) or label not in LABEL_VALUES:
        raise InvalidValueError(
            f"label: segment {name[:40]!r} is neither a label ({', '.join(LABEL_NAMES)}) nor strokes "
            f"({FOREGROUND_STROKES}, {', '.join(n + SUFFIX for n in LABEL_VALUES)})",
            code="unknown_label",
        )
    return LABEL_VALUES[label]
