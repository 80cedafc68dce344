"""Image and mask of one case, as the cross-check takes them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.labels import read_label
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.imaging.volume import Volume

T1_LIKE = ("t1", "t1ce", "t2", "flair")
"""Sequences that can be registered to the T1 template, the best first."""


@dataclass(frozen=True)
class TumorImages:
    """Image and mask of one case.

    Attributes:
        case: pseudonymous name.
        volume: (1, X, Y, Z) T1-like image.
        labels: (X, Y, Z) label map on its grid, values of ``TumorLabel`` and 0.
        tag: tag of the label where it comes from a datastore, else empty.
        notes: what a reader should know of the images.
    """

    case: str
    volume: Volume
    labels: np.ndarray
    tag: str = ""
    notes: tuple[str, ...] = ()

    @property
    def label_version(self) -> str:
        """Changes whenever a voxel of the mask does."""
        return label_version(self.labels)


def label_version(labels: np.ndarray) -> str:
    """Hash of a label map (X, Y, Z): the same voxels have the same version, whatever file holds them."""
    digest = hashlib.sha256(repr(labels.shape).encode())
    digest.update(np.ascontiguousarray(labels, dtype=np.uint8).tobytes())
    return digest.hexdigest()[:16]


def images_of_case(case: CaseFiles, label: Path, tag: str) -> TumorImages:
    """The T1-like sequence of a case and a label map on its grid.

    Args:
        case: its files.
        label: label file, BraTS values allowed.
        tag: the label's tag.

    Raises:
        InvalidValueError: the case has no sequence, or the label does not fit.
    """
    volume, notes = read_t1_like(case)
    found = read_label(label, volume)
    return TumorImages(case.name, volume, found.labels, tag, (*notes, *found.warnings))


def read_t1_like(case: CaseFiles) -> tuple[Volume, tuple[str, ...]]:
    """The sequence that fits the T1 template best, (1, X, Y, Z), and a note where it is not T1.

    Raises:
        InvalidValueError: the case has none of the four sequences.
    """
    for modality in T1_LIKE:
        if not case.missing([modality]):
            notes = () if modality == T1_LIKE[0] else (f"registered_by:{modality}",)
            return case.read([modality]), (*notes, *case.notes)
    raise InvalidValueError(
        f"{case.name}: has none of the sequences {', '.join(T1_LIKE)}", code="missing_sequence"
    )
