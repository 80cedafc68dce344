"""What a viewer or script may set for segmentation and for its training; one table each."""

from __future__ import annotations

from collections.abc import Mapping

from medsynth_app.options import Option, OptionValue
from medsynth_app.precision import PRECISIONS
from medsynth_app.preparation.pipeline import MODES
from medsynth_app.segmentation.correction.graph_cut import CutConfiguration
from medsynth_app.segmentation.inference import InferenceConfiguration
from medsynth_app.segmentation.training.losses import LOSSES
from medsynth_app.segmentation.transforms import CleaningConfiguration

_INFERENCE = InferenceConfiguration()

INFERENCE_OPTIONS = (
    Option(
        "result", "label_map",
        "label_map, or uncertainty: entropy of the classes in per cent, intervals of the volumes, where to look first.",
        ("label_map", "uncertainty"),
    ),
    Option("precision", "auto", "Arithmetic of the network; auto takes bf16 where it is native.", PRECISIONS),
    Option("test_time_augmentation", False, "Average with the mirrored image: twice the time."),
    Option(
        "whole_brain", False, "Full resolution everywhere, not only where a pass at 2 mm suspects tumour: slower."
    ),
    Option(
        "preparation", "auto", "auto: raw studies are co-registered and the brain is cut out; none: taken as they are.",
        MODES,
    ),
    Option(
        "missing_sequence", "refuse",
        "What happens to a case that lacks sequences; blank: any but all may be missing, with a worse result.",
        ("refuse", "blank"),
    ),
    Option("largest_component_only", False, "Keep only the largest connected tumour."),
    Option(
        "minimum_component_ml", _INFERENCE.cleaning.minimum_component_ml,
        "Connected tumours smaller than this are removed, except the largest.", minimum=0.0, maximum=1000.0,
    ),
    Option(
        "minimum_enhancing_ml", _INFERENCE.cleaning.minimum_enhancing_ml,
        "Less enhancing tumour than this in all is taken for none.", minimum=0.0, maximum=1000.0,
    ),
    Option(
        "minimum_uptake", _INFERENCE.cleaning.minimum_uptake,
        "Enhancing foci that took up less contrast agent become core; deviations of healthy tissue; 0 = not tested.",
        minimum=0.0, maximum=100.0,
    ),
    Option(
        "vessel_uptake", _INFERENCE.cleaning.vessel_uptake,
        "Enhancing foci at the border of the tumour, without core, that are as bright are vessels; 0 = not tested.",
        minimum=0.0, maximum=100.0,
    ),
    Option(
        "memory_limit_gb", 0.0,
        "A pass that needs more is cut into windows; 0 = half of the free memory.",
        minimum=0.0, maximum=10000.0,
    ),
)  # fmt: skip

TRAINING_OPTIONS = (
    Option("max_epochs", 50, "Passes over the labelled cases.", minimum=1, maximum=10000),
    Option("patches_per_case", 4, "Patches drawn from each case in an epoch.", minimum=1, maximum=1000),
    Option("learning_rate", 3e-4, "Peak of the learning-rate schedule.", minimum=1e-7, maximum=0.1),
    Option("patch_size", "96,96,96", "Sides of a training patch in voxels, multiples of 32."),
    Option("loss", "region_dice_ce", "Training loss.", tuple(LOSSES)),
    Option("val_split", 0.2, "Share of the labelled cases kept for validation.", minimum=0.0, maximum=0.9),
    Option(
        "patience", 0, "Validations without gain until training stops; 0 = never.", minimum=0, maximum=1000
    ),
    Option("from_scratch", False, "Start from fresh weights instead of the current ones."),
    Option("seed", 0, "Makes a run repeatable.", minimum=0, maximum=2**31 - 1),
)


_CUT = CutConfiguration()

CORRECTION_OPTIONS = (
    Option("reach_mm", _CUT.reach_mm, "Nothing farther from a stroke changes.", minimum=1, maximum=60),
    Option(
        "result", "auto", "label_map: all labels; auto: only the selected one where 3D Slicer's Scribbles panel asks.",
        ("auto", "label_map"),
    ),
)  # fmt: skip


def cut_configuration(values: Mapping[str, OptionValue]) -> CutConfiguration:
    """The typed record of parsed ``CORRECTION_OPTIONS``."""
    return CutConfiguration(reach_mm=int(values["reach_mm"]))


def inference_configuration(values: Mapping[str, OptionValue]) -> InferenceConfiguration:
    """The typed record of parsed ``INFERENCE_OPTIONS``."""
    return InferenceConfiguration(
        precision=str(values["precision"]),
        test_time_augmentation=bool(values["test_time_augmentation"]),
        whole_brain=bool(values["whole_brain"]),
        memory_limit_gb=float(values["memory_limit_gb"]),
        cleaning=CleaningConfiguration(
            largest_component_only=bool(values["largest_component_only"]),
            minimum_component_ml=float(values["minimum_component_ml"]),
            minimum_enhancing_ml=float(values["minimum_enhancing_ml"]),
            minimum_uptake=float(values["minimum_uptake"]),
            vessel_uptake=float(values["vessel_uptake"]),
        ),
    )
