"""Makes medsynth_app/web/cards/TASK-GENERATOR.png: a small example on the card of every generator of the page.

python docs/make_card_pictures.py [WEIGHTS_FOLDER]
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from medsynth_app.synthesis.catalogue import CATALOGUE, CatalogueRow
from medsynth_app.synthesis.generator import GenerationRequest, Synthetic
from medsynth_app.synthesis.previews import preview_png
from medsynth_app.synthesis.weights import WeightsStore
from medsynth_app.synthesis.writing import marked_png

FOLDER = Path(__file__).parents[1] / "medsynth_app" / "web" / "cards"
SIDE = 88
CONDITIONS = {
    "tumor_case_synthesis": {"volume_ml": 60},
    "volume_synthesis": {"volume_type": "mri_brain"},
    "image_synthesis": {"modality": "mri", "pathology": "tumour"},
    "skin_lesion_synthesis": {"lesion_class": "melanoma"},
}


def example(row: CatalogueRow, store: WeightsStore, photograph: Path) -> None:
    known = {record["name"] for record in row.conditions.described()}
    wanted = {name: value for name, value in CONDITIONS.get(row.task, {}).items() if name in known}
    image = photograph if row.takes_image == "needed" else None
    made = row.build(store).generate(GenerationRequest(3, row.conditions.parse(wanted), image=image))
    picture = shown(made).convert("RGB")
    side = min(picture.size)
    small = picture.crop((0, 0, side, side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    (FOLDER / f"{row.task}-{row.generator}.png").write_bytes(marked_png(np.asarray(small), made.mark))


def shown(made: Synthetic) -> Image.Image:
    if made.is_picture:
        return Image.fromarray(made.frames[-1] if made.frames else made.array)
    if made.label is None or not made.channels:
        return Image.open(io.BytesIO(preview_png(made)))
    # A case of several sequences: T1ce where the tumour is largest.
    height = int((made.label > 0).sum(axis=(0, 1)).argmax())
    plane = made.array[made.channels.index("t1ce"), 25:215, 25:215, height].T.astype(float)
    return Image.fromarray(np.uint8(255 * np.clip(plane / np.percentile(plane[plane > 0], 99.5), 0, 1)))


def main() -> None:
    store = WeightsStore.of(sys.argv[1] if len(sys.argv) > 1 else None)
    FOLDER.mkdir(exist_ok=True)
    lesion = CATALOGUE.row("skin_lesion_synthesis")
    photograph = FOLDER / "photograph.png"
    drawn = lesion.build(store).generate(GenerationRequest(5, lesion.conditions.parse({"lesion_class": "nevus"})))
    photograph.write_bytes(marked_png(drawn.array, drawn.mark))
    for row in CATALOGUE.rows:
        example(row, store, photograph)
    photograph.unlink()


if __name__ == "__main__":
    main()
