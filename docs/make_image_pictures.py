"""Makes docs/image_synthesis.png: normal and sick phantoms of each modality, a modality a row.

    python docs/make_image_pictures.py
"""

from pathlib import Path

import numpy as np

from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.phantoms.images.request import MODALITIES, NORMAL
from medsynth_app.synthesis.weights import WeightsStore
from medsynth_app.synthesis.writing import marked_png

DOCS = Path(__file__).parent
PIXELS = 112


def main() -> None:
    row = CATALOGUE.row("image_synthesis", "phantom")
    generator, rows = row.build(WeightsStore()), []
    for modality, kind in MODALITIES.items():
        pictures = []
        for seed, pathology in enumerate((NORMAL, *kind.pathologies), start=1):
            asked = {"modality": modality, "pathology": pathology, "severity": 0.7, "size": PIXELS}
            result = generator.generate(GenerationRequest(seed, row.conditions.parse(asked)))
            grey = result.array.ndim == 2
            pictures.append(np.repeat(result.array[..., None], 3, axis=2) if grey else result.array)
        rows.append(np.concatenate(pictures, axis=1))
    left, right = np.concatenate(rows[:3]), np.concatenate(rows[3:])
    (DOCS / "image_synthesis.png").write_bytes(marked_png(np.concatenate([left, right], axis=1), result.mark))


if __name__ == "__main__":
    main()
