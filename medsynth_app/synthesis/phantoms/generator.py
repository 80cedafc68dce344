"""``volume_synthesis`` by procedure: anatomy, disease, scanner, all from a seed, without weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medsynth_app import __version__
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.generator import GenerationRequest, ReportProgress, Synthetic, unheard
from medsynth_app.synthesis.phantoms.abdomen import paint_abdomen
from medsynth_app.synthesis.phantoms.acquisition import acquire
from medsynth_app.synthesis.phantoms.canvas import Canvas, Tissue
from medsynth_app.synthesis.phantoms.chest import paint_chest
from medsynth_app.synthesis.phantoms.head import paint_head
from medsynth_app.synthesis.phantoms.heart import paint_heart
from medsynth_app.synthesis.phantoms.request import VolumeRequest
from medsynth_app.synthesis.phantoms.spine import paint_spine_mr
from medsynth_app.synthesis.phantoms.tissues import ct_tissues, mr_tissues

NAME = "volume_synthesis.phantom"
Painter = Callable[[Canvas, VolumeRequest, np.random.Generator], None]
PAINTERS: dict[str, Painter] = {
    "ct_chest": paint_chest,
    "ct_abdomen": paint_abdomen,
    "ct_head": paint_head,
    "mri_brain": paint_head,
    "mri_heart": paint_heart,
    "mri_spine": paint_spine_mr,
}
WARPS = {"ct_head": 0.35, "mri_brain": 0.35, "mri_spine": 0.5}
"""Types whose warp is weaker: skulls and spines are stiff."""


class PhantomGenerator:
    """Volumes of six kinds."""

    def generate(self, request: GenerationRequest, progress: ReportProgress = unheard) -> Synthetic:
        """Make one volume: (1, X, Y, Z) int16, HU in CT, levels from 0 in MR, axes right, anterior, superior.

        Raises:
            InvalidValueError: conditions that are impossible together or in this body.
        """
        asked = VolumeRequest.from_conditions(request.conditions)
        canvas = paint(asked, request.seed)
        progress(0.8)
        image = acquire(canvas.image, asked, request.seed)
        progress(1.0)
        voxel_ml = float(np.prod(asked.spacing_mm)) / 1000.0
        counts = np.bincount(canvas.label.ravel(), minlength=max(canvas.labels.values()) + 1)
        volumes = {name: round(float(counts[value]) * voxel_ml, 3) for name, value in canvas.labels.items()}
        return Synthetic(
            array=image[None],
            affine=_affine(canvas),
            mark=SyntheticMark(NAME, __version__, request.seed, dict(request.conditions)),
            label=canvas.label,
            label_names=canvas.labels,
            window=asked.kind.window,
            facts={"volumes_ml": volumes, "unit": "HU" if asked.kind.modality == "ct" else "arbitrary"},
        )


def paint(request: VolumeRequest, seed: int) -> Canvas:
    """The body without the scanner's part: values in HU or shares of the signal of water, and its labels."""
    canvas = Canvas(
        seed,
        request.shape,
        request.spacing_mm,
        request.center_mm,
        _tissues(request),
        request.kind.labels,
        WARPS.get(request.volume_type, 1.0),
    )
    PAINTERS[request.volume_type](canvas, request, stream(seed, "anatomy"))
    return canvas


def _tissues(request: VolumeRequest) -> dict[str, Tissue]:
    if request.kind.modality == "mr":
        return mr_tissues(request.sequence, request.contrast_agent)
    # Trabecular bone loses some seven tenths of a per cent of its density a year, in women more after fifty.
    lost = 0.006 * max(request.age - 35, 0) + (0.004 * max(request.age - 50, 0) if request.female else 0.0)
    return ct_tissues(request.contrast_agent, max(0.35, 1.0 - lost))


def _affine(canvas: Canvas) -> np.ndarray:
    affine = np.diag([*canvas.spacing_mm, 1.0])
    affine[:3, 3] = [float(axis[0]) for axis in canvas.axes_mm]
    return affine
