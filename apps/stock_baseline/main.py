"""The yardstick of ``medsynth benchmark segmentation``: the same weights served the stock MONAI Label way.

``BasicInferTask`` as its documentation shows it: fp32, sliding window 128x128x128 with overlap 0.5, softmax and
argmax over the full volume. Not for use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from monai.inferers import Inferer, SlidingWindowInferer
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    EnsureChannelFirstd,
    EnsureTyped,
    LoadImaged,
    NormalizeIntensityd,
    Orientationd,
)
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.tasks.infer.basic_infer import BasicInferTask
from monailabel.transform.post import Restored

from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS
from medsynth_app.segmentation.weights import load_weights
from medsynth_app.vocabulary import LABEL_NAMES


class StockSegmentation(BasicInferTask):
    """Every choice as in MONAI Label's sample applications."""

    def __init__(self) -> None:
        super().__init__(
            path=None,
            network=load_weights(SHIPPED_WEIGHTS)[0],
            type=InferType.SEGMENTATION,
            labels=dict(LABEL_NAMES),
            dimension=3,
            description="stock",
            roi_size=(128, 128, 128),
            load_strict=True,
        )

    def is_valid(self) -> bool:
        """The network is given, not loaded from a path."""
        return True

    def pre_transforms(self, data: dict[str, Any] | None = None) -> Sequence[Callable[..., Any]]:
        """Whole volume, as the sample applications do it."""
        return [
            LoadImaged(keys="image"),
            EnsureTyped(keys="image"),
            EnsureChannelFirstd(keys="image"),
            Orientationd(keys="image", axcodes="RAS"),
            NormalizeIntensityd(keys="image", nonzero=True, channel_wise=True),
        ]

    def inferer(self, data: dict[str, Any] | None = None) -> Inferer:
        """Sliding window with half overlap."""
        return SlidingWindowInferer(roi_size=self.roi_size, overlap=0.5, sw_batch_size=1)

    def inverse_transforms(self, data: dict[str, Any] | None = None) -> list[Any]:
        """All transforms are undone; the default (None) would leave LPS images flipped."""
        return []

    def post_transforms(self, data: dict[str, Any] | None = None) -> Sequence[Callable[..., Any]]:
        """Softmax, then argmax."""
        return [
            EnsureTyped(keys="pred"),
            Activationsd(keys="pred", softmax=True),
            AsDiscreted(keys="pred", argmax=True),
            Restored(keys="pred", ref_image="image"),
        ]


class StockBaseline(MONAILabelApp):
    """An application with the one task."""

    def init_infers(self) -> dict[str, InferTask]:
        """The one task."""
        return {"brain_tumor_segmentation": StockSegmentation()}
