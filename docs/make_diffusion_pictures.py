"""Makes docs/image_diffusion.png from the shipped weights: a row for each modality, conditions changing along it.

python docs/make_diffusion_pictures.py [WEIGHTS_FOLDER]
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.weights import SHIPPED_FOLDER, WeightsStore
from medsynth_app.synthesis.writing import marked_png

DOCS = Path(__file__).parent
PIXELS, CAPTION = 128, 16
LEFT, RIGHT = {"lesion_position": [0.38, 0.5]}, {"lesion_position": [0.62, 0.5]}
MILD, SEVERE = {"severity": 0.1}, {"severity": 0.9}
BLEEDING, TUMOUR = {"pathology": "haemorrhage"}, {"pathology": "tumour"}
BENIGN, MALIGNANT = {"pathology": "benign"}, {"pathology": "malignant"}
PNEUMONIA, COVID = {"pathology": "pneumonia"}, {"pathology": "covid-19"}
ROWS: dict[str, list[dict[str, Any]]] = {
    "chest_xray": [{}, {}, PNEUMONIA | MILD, PNEUMONIA | SEVERE, COVID | MILD, COVID | SEVERE],
    "ct": [{}, {}, BLEEDING | LEFT, BLEEDING | RIGHT, BLEEDING | MILD, BLEEDING | SEVERE],
    "mri": [
        {"sequence": "flair"}, {"sequence": "t2"},
        *(TUMOUR | LEFT | {"sequence": name} for name in ("flair", "t1", "t1ce", "t2")),
    ],
    "ultrasound": [{}, {}, BENIGN | LEFT, BENIGN | RIGHT, MALIGNANT | MILD, MALIGNANT | SEVERE],
    "retina": [{} for _ in range(6)],
}  # fmt: skip


def main() -> None:
    folders = (Path(sys.argv[1]), SHIPPED_FOLDER) if len(sys.argv) > 1 else (SHIPPED_FOLDER,)
    row = CATALOGUE.row("image_synthesis", "diffusion")
    generator, rows = row.build(WeightsStore(folders)), []
    for modality, columns in ROWS.items():
        cells = []
        for column, given in enumerate(columns):
            # The first two differ by their seed, later pairs by their condition only.
            seed = (
                1 + column
                if modality == "retina" or column < 2
                else 10 + (column // 2 if modality != "mri" else 0)
            )
            conditions = row.conditions.parse({"modality": modality, **given})
            result = generator.generate(GenerationRequest(seed, conditions))
            cells.append(captioned(result.array, given.get("pathology", "normal"), given))
        rows.append(np.concatenate(cells, axis=1))
    (DOCS / "image_diffusion.png").write_bytes(marked_png(np.concatenate(rows), result.mark))


def captioned(picture: np.ndarray, pathology: str, given: dict[str, Any]) -> np.ndarray:
    """The picture above what was asked for."""
    words = [pathology, given.get("sequence", "")]
    words += [f"{given['severity']:g}"] if "severity" in given else []
    words += [f"at {given['lesion_position'][0]:g}"] if "lesion_position" in given else []
    cell = Image.new("RGB", (PIXELS, PIXELS + CAPTION))
    cell.paste(Image.fromarray(picture).convert("RGB"), (0, 0))
    ImageDraw.Draw(cell).text((3, PIXELS + 2), " ".join(word for word in words if word), fill=(230, 230, 230))
    return np.asarray(cell)


if __name__ == "__main__":
    main()
