"""What a training will take, and whether it should start from weights that are there; said before it begins.

The memory is a rule of thumb: the cases as they are kept, and for a step what was measured with ``subpixel_unet`` of
width 32 on patches of 96 voxels a side (3.1 GB with 32 cases, one patch a step). The advice is what was seen here: the
network took some 15,000 updates of 25 cases from the beginning, and 2,000 to 5,000 more to gain from something new.
"""

from __future__ import annotations

from collections.abc import Sequence

from medsynth_app.segmentation.training.labelled_case import LabelledCase
from medsynth_app.segmentation.training.loop import TrainingConfiguration

PROCESS_GB = 0.8
STEP_GB = 1.3
"""Of one patch of 96 voxels a side at width 32, with gradients."""
FEW_CASES = 50
FROM_THE_BEGINNING = 10_000
"""Updates below which a network that starts from nothing has not learned its cases."""


def memory_gb(cases: Sequence[LabelledCase], configuration: TrainingConfiguration) -> float:
    """About how much memory a training takes, in GB."""
    kept = sum(case.image.nbytes + case.label.nbytes for case in cases) / 1e9
    x, y, z = configuration.patch_size
    patches = configuration.batch_size * x * y * z / 96**3
    return PROCESS_GB + kept + STEP_GB * patches * configuration.network.width / 32


def advice(cases: Sequence[LabelledCase], configuration: TrainingConfiguration, *, tuned: bool) -> list[str]:
    """Sentences for the user.

    Args:
        cases: that are trained on.
        configuration: of the training.
        tuned: whether it starts from weights that are trained already.
    """
    said = [f"{len(cases)} cases, about {memory_gb(cases, configuration):.1f} GB of memory while training"]
    if not tuned and len(cases) < FEW_CASES:
        said.append(
            f"advice: with fewer than {FEW_CASES} cases start from trained weights (--initial-weights shipped) and "
            "give 2,000 to 5,000 updates"
        )
    elif not tuned and configuration.steps < FROM_THE_BEGINNING:
        said.append(
            f"advice: from the beginning a network needs {FROM_THE_BEGINNING:,} updates or more; "
            f"{configuration.steps:,} are asked for"
        )
    return said
