"""What a training leaves for the memorisation audit: embeddings of its pictures beside the generator's weights."""

from __future__ import annotations

from pathlib import Path

from medsynth_app.synthesis.privacy import FEWEST_HELD_OUT, TrainingReference, reference_name
from medsynth_app.synthesis.skin.dataset import Lesions
from medsynth_app.synthesis.skin.models import GENERATOR, weights_file


def store_reference(training: Lesions, held_out: Lesions, folder: Path) -> Path | None:
    """Keep the embeddings of the training pictures beside the generator's weights; no picture is kept.

    Args:
        training: the pictures that the generator saw.
        held_out: of other lesions; their distances to the training pictures are the audit's yardstick.
        folder: of the weights.

    Returns:
        The file; None where fewer than 3 pictures are held out, and the audit stays unavailable.
    """
    if len(held_out.images) < FEWEST_HELD_OUT:
        return None
    path = weights_file(folder, reference_name(GENERATOR))
    training_side, held_out_side = (part.images.transpose(0, 2, 3, 1) for part in (training, held_out))
    TrainingReference.of(training_side, held_out_side).save(path)
    return path
