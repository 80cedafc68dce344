"""Makes docs/volume_synthesis.png, three planes of a phantom of each type, and docs/volume_synthesis_learned.png, drawn
brains of every sequence: on the left by the VAE-GAN, then two by the diffusion.

    python docs/make_volume_pictures.py
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.previews import preview_png
from medsynth_app.synthesis.weights import SHIPPED_FOLDER, WeightsStore
from medsynth_app.synthesis.writing import marked_png

DOCS = Path(__file__).parent
SHOWN = (
    {"volume_type": "ct_chest", "pathology": "nodule"},
    {"volume_type": "ct_abdomen", "pathology": "liver_tumor", "contrast_agent": True},
    {"volume_type": "ct_head", "pathology": "intracerebral_haemorrhage"},
    {"volume_type": "mri_brain", "pathology": "tumor"},
    {"volume_type": "mri_heart"},
    {"volume_type": "mri_spine", "pathology": "disc_herniation"},
)


LEARNED = (("vae_gan", 1), ("diffusion", 1), ("diffusion", 2))
SEQUENCES = ("flair", "t1", "t1ce", "t2")


def main() -> None:
    phantoms()
    learned()


def learned() -> None:
    store, rows, mark = WeightsStore((SHIPPED_FOLDER,)), [], None
    for sequence in SEQUENCES:
        planes = []
        for name, seed in LEARNED:
            row = CATALOGUE.row("volume_synthesis", name)
            conditions = row.conditions.parse({"volume_type": "mri_brain", "sequence": sequence})
            result = row.build(store).generate(GenerationRequest(seed, conditions))
            planes.append(np.asarray(Image.open(io.BytesIO(preview_png(result)))))
            mark = result.mark
        rows.append(np.concatenate(planes, axis=1))
    assert mark is not None
    (DOCS / "volume_synthesis_learned.png").write_bytes(marked_png(np.concatenate(rows), mark))


def phantoms() -> None:
    row = CATALOGUE.row("volume_synthesis", "phantom")
    generator, rows = row.build(WeightsStore()), []
    for conditions in SHOWN:
        result = generator.generate(GenerationRequest(1, row.conditions.parse(conditions)))
        rows.append(np.asarray(Image.open(io.BytesIO(preview_png(result)))))
    left, right = np.concatenate(rows[:3]), np.concatenate(rows[3:])
    (DOCS / "volume_synthesis.png").write_bytes(marked_png(np.concatenate([left, right], axis=1), result.mark))


if __name__ == "__main__":
    main()
