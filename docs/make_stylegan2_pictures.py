"""Makes docs/image_stylegan2.png from the shipped weights: a row for each modality, every picture of another seed.

python docs/make_stylegan2_pictures.py [WEIGHTS_FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
from make_diffusion_pictures import captioned

from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.stylegan2.images.model import load_picture_model
from medsynth_app.synthesis.weights import SHIPPED_FOLDER, WeightsStore
from medsynth_app.synthesis.writing import marked_png

DOCS = Path(__file__).parent
COLUMNS = 6


def main() -> None:
    store = WeightsStore((Path(sys.argv[1]), SHIPPED_FOLDER) if len(sys.argv) > 1 else (SHIPPED_FOLDER,))
    row = CATALOGUE.row("image_synthesis", "stylegan2")
    generator, classes, rows = row.build(store), load_picture_model(store).classes, []
    for modality in classes.modalities:
        shown = sorted(classes.pathologies(modality), key=lambda pathology: pathology != "normal")
        cells = []
        for column in range(COLUMNS):
            pathology = shown[column * len(shown) // COLUMNS]
            conditions = row.conditions.parse({"modality": modality, "pathology": pathology})
            result = generator.generate(GenerationRequest(column, conditions))
            cells.append(captioned(result.array, pathology, {}))
        rows.append(np.concatenate(cells, axis=1))
    (DOCS / "image_stylegan2.png").write_bytes(marked_png(np.concatenate(rows), result.mark))


if __name__ == "__main__":
    main()
