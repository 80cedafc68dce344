"""``ms.show``: an image or volume as a matplotlib figure."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.geometry import reorient
from medsynth_app.imaging.volume import Volume
from medsynth_app.library.generation import Generated
from medsynth_app.segmentation.whole_study.study_segmentation import StudySegmentation

LABEL_COLORS = ("#d55e00", "#56b4e9", "#f0e442", "#009e73", "#cc79a7")
"""Of Okabe and Ito's palette, which colour-blind readers tell apart."""
SURFACE_VOXELS = 64
"""Largest side of the grid on which a surface is found: finer ones take seconds and look the same."""


def show(
    image: np.ndarray | Volume | Generated | StudySegmentation, title: str = "", *, label: np.ndarray | None = None,
    affine: np.ndarray | None = None, channel: int = 0,
) -> Figure:  # fmt: skip
    """Draw a picture, or a volume as three planes, their maximum intensity projections and a surface.

    Args:
        image: a picture (H, W) or (H, W, 3), a volume (X, Y, Z) or (C, X, Y, Z), or what ``ms.generate`` or
            ``ms.segment`` answered (of the latter the mask is shown).
        title: above the figure.
        label: mask to outline, (H, W) or (X, Y, Z); that of a generated image by default.
        affine: (4, 4) voxel -> RAS mm; 1 mm voxels in RAS order by default.
        channel: which one of a volume with several.

    Returns:
        The figure; a notebook shows it, ``figure.savefig(path)`` stores it.

    Raises:
        InvalidValueError: no image, or a label of another shape.
    """
    array, label, affine, is_volume = _taken_apart(image, label, affine)
    if array.ndim not in (2, 3, 4):
        raise InvalidValueError(f"image: has {array.ndim} axes, allowed are 2 to 4")
    if not is_volume:
        return _picture(array, label, title)
    return _volume(array, label, affine, channel, title)


def _taken_apart(
    image: np.ndarray | Volume | Generated | StudySegmentation, label: np.ndarray | None, affine: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, bool]:
    """Array, label, affine, and whether it is a volume."""
    if isinstance(image, StudySegmentation):
        return image.labels.astype(np.float32), image.labels, image.affine, True
    if isinstance(image, Generated):
        return image.array, image.label if label is None else label, image.affine, image.affine is not None
    if isinstance(image, Volume):
        return image.array, label, image.affine, True
    array = np.asarray(image)
    return array, label, affine, array.ndim == 4 or (array.ndim == 3 and array.shape[2] not in (3, 4))


def _picture(image: np.ndarray, label: np.ndarray | None, title: str) -> Figure:
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(image, cmap=None if image.ndim == 3 else "gray")
    if label is not None:
        _check(label.shape, image.shape[:2])
        _outline(axes, label)
    axes.set_axis_off()
    figure.suptitle(title)
    return figure


def _volume(
    image: np.ndarray, label: np.ndarray | None, affine: np.ndarray | None, channel: int, title: str
) -> Figure:
    array = image if image.ndim == 4 else image[None]
    if not 0 <= channel < len(array):
        raise InvalidValueError(f"channel: {channel} must be 0 to {len(array) - 1}")
    mask = np.zeros(array.shape[1:], np.uint8) if label is None else np.asarray(label)
    _check(mask.shape, array.shape[1:])
    stack = np.stack([array[channel].astype(np.float32), mask.astype(np.float32)])
    turned = reorient(Volume(stack, np.eye(4) if affine is None else affine))
    values, labels = turned.array[0], np.rint(turned.array[1]).astype(np.uint8)
    figure = Figure(figsize=(12, 7), layout="constrained")
    grid = figure.add_gridspec(2, 4)
    low, high = (float(v) for v in np.percentile(values, (0.5, 99.7)))
    at = _cut(labels)
    names = ("sagittal", "coronal", "axial")
    for row, projected in enumerate((False, True)):
        for column, axis in enumerate((2, 1, 0)):
            axes = figure.add_subplot(grid[row, column])
            plane = values.max(axis=axis) if projected else values.take(at[axis], axis)
            spacing = np.delete(turned.spacing, axis)
            # Rows run down, the patient's right is on the left.
            top = float(np.percentile(plane, 99.7)) if projected else high
            axes.imshow(plane.T[::-1, ::-1], cmap="gray", vmin=low, vmax=max(top, low + 1e-6),
                        aspect=float(spacing[1] / spacing[0]))  # fmt: skip
            if not projected and labels.any():
                _outline(axes, labels.take(at[axis], axis).T[::-1, ::-1])
            axes.set_title(f"{names[axis]} maximum" if projected else names[axis], fontsize=9)
            axes.set_axis_off()
    _surface(figure.add_subplot(grid[:, 3], projection="3d"), values, labels, turned.spacing)
    figure.suptitle(title)
    return figure


def _surface(axes: Any, values: np.ndarray, labels: np.ndarray, spacing: np.ndarray) -> None:
    """Points of the surface of what is labelled, else of what is brighter than the background."""
    step = max(1, int(np.ceil(max(values.shape) / SURFACE_VOXELS)))
    thin = (slice(None, None, step),) * 3
    solid = labels[thin] > 0 if labels.any() else values[thin] > values.min() + 0.15 * float(np.ptp(values))
    rim = solid & ~ndimage.binary_erosion(solid)
    points = np.argwhere(rim) * spacing * step
    if len(points):
        axes.scatter(*points.T, s=2, c=points[:, 1], cmap="bone", alpha=0.6, linewidths=0)
        axes.set_box_aspect(np.maximum(np.ptp(points, axis=0), 1.0))
    axes.set_title("surface", fontsize=9)
    axes.set_axis_off()


def _outline(axes: Any, label: np.ndarray) -> None:
    for value in np.unique(label[label > 0]):
        color = LABEL_COLORS[(int(value) - 1) % len(LABEL_COLORS)]
        axes.contour(label == value, levels=[0.5], colors=[color], linewidths=1.0)


def _cut(labels: np.ndarray) -> tuple[int, ...]:
    """Where most is labelled along each axis, else the middle."""
    if not labels.any():
        return tuple(side // 2 for side in labels.shape)
    filled = labels > 0
    return tuple(int(filled.sum(axis=tuple(a for a in range(3) if a != axis)).argmax()) for axis in range(3))


def _check(label: tuple[int, ...], image: tuple[int, ...]) -> None:
    if label != image:
        raise InvalidValueError(f"label: shape {label} differs from the image {image}")
