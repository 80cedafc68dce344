"""``image_synthesis`` by procedure: a picture of one of six modalities, from a seed, without weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medsynth_app import __version__
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.synthesis.generator import GenerationRequest, ReportProgress, Synthetic, unheard
from medsynth_app.synthesis.phantoms.images.chest_xray import paint_chest_xray
from medsynth_app.synthesis.phantoms.images.ct import paint_ct
from medsynth_app.synthesis.phantoms.images.lesions import Painting
from medsynth_app.synthesis.phantoms.images.mammography import paint_mammography
from medsynth_app.synthesis.phantoms.images.mri import paint_mri
from medsynth_app.synthesis.phantoms.images.request import ImageRequest
from medsynth_app.synthesis.phantoms.images.retina import paint_retina
from medsynth_app.synthesis.phantoms.images.ultrasound import paint_ultrasound

NAME = "image_synthesis.phantom"
LABELS = {"lesion": 1}
PAINTERS: dict[str, Callable[[ImageRequest, int], Painting]] = {
    "chest_xray": paint_chest_xray,
    "ct": paint_ct,
    "mri": paint_mri,
    "mammography": paint_mammography,
    "ultrasound": paint_ultrasound,
    "retina": paint_retina,
}


class ImagePhantomGenerator:
    """Pictures of six modalities."""

    def generate(self, request: GenerationRequest, progress: ReportProgress = unheard) -> Synthetic:
        """Make one picture: (H, W) uint8, of a retina (H, W, 3), with a mask of its lesion where there is one.

        Raises:
            InvalidValueError: conditions that are impossible together, or a lesion outside of its organ.
        """
        asked = ImageRequest.from_conditions(request.conditions)
        painting = PAINTERS[asked.modality](asked, request.seed)
        progress(1.0)
        label = None if painting.lesion is None else (painting.lesion > 0.5).astype(np.uint8)
        facts = {"modality": asked.modality, "pathology": asked.pathology}
        return Synthetic(
            array=np.rint(255.0 * np.clip(painting.picture, 0.0, 1.0)).astype(np.uint8),
            affine=None,
            mark=SyntheticMark(NAME, __version__, request.seed, dict(request.conditions)),
            label=label,
            label_names=LABELS if label is not None else {},
            facts=facts if label is None else {**facts, "lesion_share": round(float(label.mean()), 5)},
        )
