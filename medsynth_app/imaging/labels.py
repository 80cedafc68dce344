"""Label maps that come from viewers: read, brought to MedSynth's values, checked against the image's grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.imaging.geometry import corner_distance, reorient
from medsynth_app.imaging.marking import SyntheticMark, mark_synthetic
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import BRATS_ENHANCING_VALUE, LABEL_NAMES, TumorLabel

GRID_TOLERANCE_MM = 0.5


def canonical_labels(labels: np.ndarray, name: str = "label") -> np.ndarray:
    """Label values of any BraTS year -> MedSynth's 0..3 (enhancing tumour 4 becomes 3).

    Args:
        labels: integer-valued array of any shape.
        name: how errors call it.

    Raises:
        InvalidValueError: a value that is none of 0, 1, 2, 3, 4; or both 3 and 4 are there.
    """
    values = np.unique(labels)
    allowed = {0, *LABEL_NAMES.values(), BRATS_ENHANCING_VALUE}
    strange = [float(v) for v in values if float(v) not in allowed]
    if strange:
        raise InvalidValueError(f"{name}: holds the values {strange[:5]}, allowed are {sorted(allowed)}")
    if {3, BRATS_ENHANCING_VALUE} <= {int(v) for v in values}:
        raise InvalidValueError(f"{name}: holds both 3 and 4; either may mean enhancing tumour, not both")
    result = labels.astype(np.uint8)
    result[result == BRATS_ENHANCING_VALUE] = TumorLabel.ENHANCING_TUMOR
    return result


def renumber(labels: np.ndarray, segment_names: Sequence[str], name: str = "label") -> np.ndarray:
    """Labels numbered in the order of a viewer's segments -> MedSynth's values, matched by name.

    3D Slicer writes segment i of its list with value i + 1, whatever the server's numbers are.

    Args:
        labels: values 0..len(segment_names).
        segment_names: names of the segments in the viewer's order.
        name: how errors call it.

    Raises:
        InvalidValueError: a segment that has voxels has a name no tumour label has, or a value has no segment.
    """
    table = np.zeros(len(segment_names) + 1, dtype=np.uint8)
    present = {int(v) for v in np.unique(labels)} - {0}
    strange = sorted(v for v in present if v > len(segment_names))
    if strange:
        raise InvalidValueError(f"{name}: value {strange[0]} has no segment, {len(segment_names)} are named")
    for position, segment in enumerate(segment_names, start=1):
        key = str(segment).strip().lower().replace(" ", "_")
        if key in LABEL_NAMES:
            table[position] = LABEL_NAMES[key]
        elif position in present:
            raise InvalidValueError(
                f"{name}: segment {str(segment)[:40]!r} is none of {', '.join(LABEL_NAMES)}",
                code="unknown_label",
            )
    return table[labels.astype(np.int64)]


def read_submitted_label(
    path: Path, image: Volume, segment_names: Sequence[str] | None = None, name: str = "label"
) -> np.ndarray:
    """A label file on the grid of its image.

    Args:
        path: NIfTI or NRRD.
        image: the image it belongs to; only its grid is used.
        segment_names: the viewer's segments in their order, where it told them.
        name: how errors call it.

    Returns:
        (X, Y, Z) uint8, values 0..3, in the voxel order of ``image``.

    Raises:
        InvalidValueError: wrong grid or unknown values; says how they differ.
        UnsupportedKindError: not readable.
    """
    values = read_on_grid(path, image, name)
    if segment_names and not _is_canonical(segment_names):
        return renumber(values, segment_names, name)
    return canonical_labels(values, name)


def read_on_grid(path: Path, image: Volume, name: str = "label") -> np.ndarray:
    """The values of a label map, in the voxel order of its image; not yet brought to MedSynth's.

    Args, raises:
        as ``read_submitted_label``; values may be any.

    Returns:
        (X, Y, Z), as stored.
    """
    label = read_volume(path, name)
    if label.array.shape[0] != 1:
        raise InvalidValueError(f"{name}: must be one label map, has {label.array.shape[0]} channels")
    if _grid_distance(label, image) > GRID_TOLERANCE_MM:
        label = _to_voxel_order(label, image)
    distance = _grid_distance(label, image)
    if distance > GRID_TOLERANCE_MM:
        raise InvalidValueError(
            f"{name}: lies on another grid than its image: shape {label.spatial_shape} against "
            f"{image.spatial_shape}"
            + (f", corners {distance:.1f} mm apart" if np.isfinite(distance) else ""),
            code="wrong_grid",
        )
    return label.array[0]


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
