"""Label maps as the files that viewers ask for."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.labels import write_label
from medsynth_app.vocabulary import TumorLabel

RESULT_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".seg.nrrd")

SEGMENT_COLORS = {
    TumorLabel.NECROTIC_CORE: (0.85, 0.25, 0.25),
    TumorLabel.EDEMA: (0.35, 0.75, 0.40),
    TumorLabel.ENHANCING_TUMOR: (0.95, 0.85, 0.30),
}
"""RGB in 0..1."""


def write_result(labels: np.ndarray, affine: np.ndarray, path: Path, *, compress: bool = True) -> None:
    """Store a label map by the ending of ``path``.

    Args:
        labels: (X, Y, Z) uint8, values 0..3.
        affine: (4, 4) voxel -> RAS mm.
        path: ends with one of ``RESULT_ENDINGS``.
        compress: gzip the voxels of a NRRD file.

    Raises:
        InvalidValueError: another ending.
    """
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        write_label(labels, affine, path)
    elif name.endswith(".seg.nrrd"):
        path.write_bytes(_nrrd_bytes(labels, affine, compress, _segment_fields(labels)))
    elif name.endswith(".nrrd"):
        path.write_bytes(_nrrd_bytes(labels, affine, compress, {}))
    else:
        raise InvalidValueError(
            f"result_extension: {path.suffix!r} must be one of {', '.join(RESULT_ENDINGS)}"
        )


def _nrrd_bytes(labels: np.ndarray, affine: np.ndarray, compress: bool, fields: dict[str, str]) -> bytes:
    """A NRRD file (format 5, attached data), in left-posterior-superior space as ITK writes it.

    The space directions are the columns of the affine: rows would be wrong for permuted and oblique images.
    """
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    directions = " ".join(_vector(lps[:3, axis]) for axis in range(3))
    sizes = " ".join(str(n) for n in labels.shape)
    header = [
        "NRRD0005",
        "type: unsigned char",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {sizes}",
        f"space directions: {directions}",
        "kinds: domain domain domain",
        f"encoding: {'gzip' if compress else 'raw'}",
        f"space origin: {_vector(lps[:3, 3])}",
        *(f"{key}:={value}" for key, value in fields.items()),
    ]
    voxels = labels.astype(np.uint8).tobytes(order="F")
    body = gzip.compress(voxels, compresslevel=1, mtime=0) if compress else voxels
    return ("\n".join(header) + "\n\n").encode("ascii") + body


def _vector(values: np.ndarray) -> str:
    return "(" + ",".join(repr(float(v)) for v in values) + ")"


def _segment_fields(labels: np.ndarray) -> dict[str, str]:
    """3D Slicer's segmentation fields (its ``.seg.nrrd`` convention): one layer, a segment a label."""
    extent = " ".join(f"0 {n - 1}" for n in labels.shape)
    fields = {
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
    }
    for index, label in enumerate(TumorLabel):
        color = " ".join(f"{c:g}" for c in SEGMENT_COLORS[label])
        fields |= {
            f"Segment{index}_ID": label.label_name,
            f"Segment{index}_Name": label.label_name,
            f"Segment{index}_LabelValue": str(int(label)),
            f"Segment{index}_Layer": "0",
            f"Segment{index}_Color": color,
            f"Segment{index}_Extent": extent,
        }
    return fields
