"""Label maps that come from viewers: read, brought to MedSynth's values, checked against the image's grid."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.imaging.formats.viewer_segments import Segment, is_scribble, label_of_name, read_segments
from medsynth_app.imaging.geometry import corner_distance, reorient
from medsynth_app.imaging.provenance.marking import SyntheticMark, mark_synthetic
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import BRATS_ENHANCING_VALUE, LABEL_NAMES, TumorLabel

logger = logging.getLogger(__name__)

GRID_TOLERANCE_MM = 0.5
LATTICE_TOLERANCE_VOXELS = 0.1
"""A cropped label whose voxels lie further beside those of its image is of another image."""
WHOLE_TOLERANCE = 0.01
"""A value so close to a whole number is that number, rounded by the slope of a 16-bit header."""
_ALLOWED_VALUES = {0, *LABEL_NAMES.values(), BRATS_ENHANCING_VALUE}
_LARGEST_VALUE = 2**31 - 1


@dataclass(frozen=True)
class SubmittedLabel:
    """A label map that came from outside, on the grid of its image.

    Attributes:
        labels: (X, Y, Z) uint8, values 0..3, in the voxel order of the image.
        warnings: what was left out or decided on the way, in words for the user.
    """

    labels: np.ndarray
    warnings: tuple[str, ...] = ()


def whole_values(labels: np.ndarray, name: str = "label") -> np.ndarray:
    """Values that are whole numbers but for rounding, as an integer array of the same shape.

    A program that stores a label map in 16 bits with a slope writes 1 as 1.0000153.

    Raises:
        InvalidValueError: a value is further than ``WHOLE_TOLERANCE`` from a whole number.
    """
    if labels.dtype.kind in "bui":
        return labels
    nearest = np.rint(labels)
    # NaN and infinity compare false.
    with np.errstate(invalid="ignore"):
        fits = (np.abs(labels - nearest) <= WHOLE_TOLERANCE) & (np.abs(nearest) <= _LARGEST_VALUE)
    if not fits.all():
        strange = [float(value) for value in np.unique(labels[~fits])[:5]]
        raise InvalidValueError(f"{name}: holds the values {strange}, allowed are {sorted(_ALLOWED_VALUES)}")
    return nearest.astype(np.int32)


def canonical_labels(labels: np.ndarray, name: str = "label") -> np.ndarray:
    """Label values of any BraTS year -> MedSynth's 0..3 (enhancing tumour 4 becomes 3).

    Args:
        labels: array of any shape; values within ``WHOLE_TOLERANCE`` of a whole number are that number.
        name: how errors call it.

    Raises:
        InvalidValueError: a value that is none of 0, 1, 2, 3, 4; or both 3 and 4 are there.
    """
    labels = whole_values(labels, name)
    values = np.unique(labels)
    strange = [float(v) for v in values if int(v) not in _ALLOWED_VALUES]
    if strange:
        raise InvalidValueError(f"{name}: holds the values {strange[:5]}, allowed are {sorted(_ALLOWED_VALUES)}")
    if {3, BRATS_ENHANCING_VALUE} <= {int(v) for v in values}:
        raise InvalidValueError(f"{name}: holds both 3 and 4; either may mean enhancing tumour, not both")
    result = labels.astype(np.uint8)
    result[result == BRATS_ENHANCING_VALUE] = TumorLabel.ENHANCING_TUMOR
    return result


def renumber(labels: np.ndarray, segment_names: Sequence[str], name: str = "label") -> np.ndarray:
    """Labels numbered in the order of a viewer's segments -> MedSynth's values, matched by name.

    3D Slicer exports segment i of its list with value i + 1, whatever the server's numbers are.

    Args:
        labels: values 0..len(segment_names).
        segment_names: names of the segments in the viewer's order.
        name: how errors call it.

    Raises:
        InvalidValueError: a segment that has voxels has a name no tumour label has, or a value has no segment.
    """
    labels = whole_values(labels, name)
    table = np.zeros(len(segment_names) + 1, dtype=np.uint8)
    present = {int(v) for v in np.unique(labels)} - {0}
    strange = sorted(v for v in present if not 0 < v <= len(segment_names))
    if strange:
        raise InvalidValueError(f"{name}: value {strange[0]} has no segment, {len(segment_names)} are named")
    for position, segment in enumerate(segment_names, start=1):
        label = label_of_name(str(segment))
        if label is not None:
            table[position] = label
        elif position in present:
            raise _unknown_segment(str(segment), name)
    return table[labels.astype(np.int64)]


def flattened(layers: np.ndarray, segments: Sequence[Segment], name: str = "label") -> SubmittedLabel:
    """One label map of the segments that a file names itself.

    Where segments overlap, the one with the higher label value wins (as in a DICOM SEG object).

    Args:
        layers: (C, X, Y, Z), a channel for each layer.
        segments: names, values and layers by the file's own table.
        name: how errors call it.

    Raises:
        InvalidValueError: a segment with voxels has a name no tumour label has, or lies in a layer that is not there;
            or there are voxels and no segment at all.
    """
    layers = whole_values(layers, name)
    if not segments and layers.any():
        raise InvalidValueError(f"{name}: holds voxels, but its header names no segment", code="unknown_label")
    missing = next((segment for segment in segments if segment.layer >= len(layers)), None)
    if missing is not None:
        raise InvalidValueError(
            f"{name}: segment {missing.name[:40]!r} lies in layer {missing.layer}, the file has {len(layers)}"
        )
    result, overlap = np.zeros(layers.shape[1:], dtype=np.uint8), np.zeros(layers.shape[1:], dtype=bool)
    warnings: list[str] = []
    left = layers != 0
    for segment in segments:
        mask = layers[segment.layer] == segment.value
        left[segment.layer] &= ~mask
        label = label_of_name(segment.name)
        if label is not None:
            overlap |= mask & (result != 0) & (result != label)
            result[mask] = np.maximum(result[mask], np.uint8(label))
        elif mask.any():
            if not is_scribble(segment.name):
                raise _unknown_segment(segment.name, name)
            warnings.append(f"{name}: the strokes of {segment.name[:40]!r} are no label and were left out")
    warnings += [*_residues(layers, left, name), *_unnamed(segments, name)]
    return SubmittedLabel(result, (*warnings, *overlap_warning(overlap, name)))


def _unnamed(segments: Sequence[Segment], name: str) -> list[str]:
    """What is said of labels that no segment of the file's table can be: deleted, or renamed to nothing known."""
    named = {label_of_name(segment.name) for segment in segments}
    absent = [label.label_name for label in TumorLabel if label not in named]
    return [f"{name}: the file names no segment {', '.join(absent)}; the label holds none of it"] if absent else []


def _residues(layers: np.ndarray, left: np.ndarray, name: str) -> list[str]:
    """What is said of voxels that belong to no segment of the file's table."""
    values, counts = np.unique(layers[left], return_counts=True)
    return [
        f"{name}: {count} voxels of the value {value} belong to no segment that the file names (a deleted segment?); "
        "they became background"
        for value, count in zip(values[:5].tolist(), counts.tolist())
    ]


def overlap_warning(overlap: np.ndarray, name: str) -> tuple[str, ...]:
    """What is said of voxels (bool mask) that several segments claim."""
    count = int(overlap.sum())
    if not count:
        return ()
    order = " over ".join(label.label_name for label in sorted(TumorLabel, reverse=True))
    return (f"{name}: segments overlap in {count} voxels; a voxel has one label, taken was {order}",)


def _unknown_segment(segment: str, name: str) -> InvalidValueError:
    return InvalidValueError(
        f"{name}: segment {segment[:40]!r} is none of {', '.join(LABEL_NAMES)}", code="unknown_label"
    )


def read_submitted_label(
    path: Path, image: Volume, segment_names: Sequence[str] | None = None, name: str = "label"
) -> np.ndarray:
    """The voxels of ``read_label``; what it warns of goes to the log. Raises as that."""
    found = read_label(path, image, segment_names, name)
    for warning in found.warnings:
        logger.warning("%s", warning)
    return found.labels


def read_label(
    path: Path, image: Volume, segment_names: Sequence[str] | None = None, name: str = "label"
) -> SubmittedLabel:
    """A label file on the grid of its image.

    Names and values in the file itself decide (3D Slicer's ``.seg.nrrd``); such a file may also be cropped to its
    segments and hold several layers. Else the viewer's list of names decides, else the values are BraTS's.

    Args:
        path: NIfTI or NRRD.
        image: the image it belongs to; only its grid is used.
        segment_names: the viewer's segments in their order, where it told them.
        name: how errors call it.

    Raises:
        InvalidValueError: wrong grid, unknown values or names; says how they differ.
        UnsupportedKindError: not readable.
    """
    label, segments = _read(path, name)
    label = _on_grid(label, image, name, may_be_cropped=segments is not None)
    return _decoded(label.array, segments, segment_names, name)


def read_label_volume(path: Path, name: str = "label") -> tuple[Volume, tuple[str, ...]]:
    """A label file on its own grid: (1, X, Y, Z) uint8 of values 0..3, and warnings. Raises as ``read_label``."""
    label, segments = _read(path, name)
    found = _decoded(label.array, segments, None, name)
    return Volume(found.labels[None], label.affine), found.warnings


def read_on_grid(path: Path, image: Volume, name: str = "label") -> np.ndarray:
    """The values of a label map in the voxels of its image, not yet brought to MedSynth's.

    Args:
        path, image, name: as of ``read_label``.

    Returns:
        (X, Y, Z) int; stored values within .01 of a whole number are that number.

    Raises:
        InvalidValueError: several channels, another grid, or a value that is no whole number.
        UnsupportedKindError: not readable.
    """
    label = read_volume(path, name)
    if label.array.shape[0] != 1:
        raise InvalidValueError(f"{name}: must be one label map, has {label.array.shape[0]} channels")
    return whole_values(_on_grid(label, image, name, may_be_cropped=False).array[0], name)


def _read(path: Path, name: str) -> tuple[Volume, tuple[Segment, ...] | None]:
    label = read_volume(path, name, may_be_thin=True)
    segments = read_segments(path, name)
    if segments is None and label.array.shape[0] != 1:
        raise InvalidValueError(f"{name}: must be one label map, has {label.array.shape[0]} channels")
    return label, segments


def _decoded(
    layers: np.ndarray,
    segments: Sequence[Segment] | None,
    segment_names: Sequence[str] | None,
    name: str,
) -> SubmittedLabel:
    if segments is not None:
        return flattened(layers, segments, name)
    if segment_names and not _is_canonical(segment_names):
        return SubmittedLabel(renumber(layers[0], segment_names, name))
    return SubmittedLabel(canonical_labels(layers[0], name))


def _on_grid(label: Volume, image: Volume, name: str, *, may_be_cropped: bool) -> Volume:
    """The label in the voxels of its image, by flips, permutations and padding only.

    Raises:
        InvalidValueError: it lies on another grid.
    """
    if _grid_distance(label, image) > GRID_TOLERANCE_MM:
        label = _to_voxel_order(label, image)
    if may_be_cropped and label.spatial_shape != image.spatial_shape:
        label = padded(label, image) or label
    distance = _grid_distance(label, image)
    if distance > GRID_TOLERANCE_MM:
        raise InvalidValueError(
            f"{name}: lies on another grid than its image: shape {label.spatial_shape} against "
            f"{image.spatial_shape}"
            + (f", corners {distance:.1f} mm apart" if np.isfinite(distance) else ""),
            code="wrong_grid",
        )
    return label


def padded(label: Volume, image: Volume) -> Volume | None:
    """A label of another extent on the lattice of its image, background outside what it holds.

    None where the voxels of both do not coincide, or labelled voxels lie outside the image.
    """
    steps = np.linalg.inv(image.affine) @ label.affine
    start = np.rint(steps[:3, 3]).astype(int)
    if np.abs(steps[:3, 3] - start).max() > LATTICE_TOLERANCE_VOXELS:
        return None
    # Over the whole label the directions may drift apart by no more than that either.
    drift = np.abs(steps[:3, :3] - np.eye(3)) @ np.array(label.spatial_shape)
    if drift.max() > LATTICE_TOLERANCE_VOXELS:
        return None
    shape = np.array(image.spatial_shape)
    low, high = np.clip(start, 0, shape), np.clip(start + label.spatial_shape, 0, shape)
    high = np.maximum(low, high)
    taken = (slice(None), *(slice(a, b) for a, b in zip(low - start, high - start)))
    place = (slice(None), *(slice(a, b) for a, b in zip(low, high)))
    cut = label.array[taken]
    if np.count_nonzero(cut) != np.count_nonzero(label.array):
        return None
    array = np.zeros((len(label.array), *image.spatial_shape), dtype=label.array.dtype)
    array[place] = cut
    return Volume(array, image.affine)


def _grid_distance(label: Volume, image: Volume) -> float:
    """How far the corners of two grids are apart in mm; infinite where the shapes differ."""
    if label.spatial_shape != image.spatial_shape:
        return float("inf")
    return corner_distance(label.affine, image.affine, image.spatial_shape)


def _to_voxel_order(label: Volume, image: Volume) -> Volume:
    axes = nib.orientations.aff2axcodes(image.affine)
    return reorient(label, axes) if nib.orientations.aff2axcodes(label.affine) != axes else label


def _is_canonical(segment_names: Sequence[str]) -> bool:
    """Whether the viewer's segments are the server's labels in the server's order."""
    return [str(n).strip().lower() for n in segment_names] == list(LABEL_NAMES)


def write_label(
    labels: np.ndarray, affine: np.ndarray, path: Path, mark: SyntheticMark | None = None
) -> None:
    """Store a label map; the file appears whole or not at all.

    Args:
        labels: (X, Y, Z) uint8.
        affine: (4, 4) voxel -> RAS mm.
        path: ``.nii.gz``.
        mark: that of the image, where that is synthetic.
    """
    # NIfTI stores the first axis fastest: in that order already, nibabel writes ten times faster.
    image = nib.Nifti1Image(np.asfortranarray(labels, dtype=np.uint8), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    if corner_distance(image.get_qform(), affine, labels.shape) > GRID_TOLERANCE_MM:  # type: ignore[arg-type]
        # A qform cannot hold shear; a wrong one would contradict the sform.
        image.set_qform(None, code=0)
    if mark is not None:
        mark_synthetic(image, mark)
    with whole_file(path) as beside:
        nib.save(image, beside)
