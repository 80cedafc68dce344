"""Makes the pictures of docs/skin_progression.md from drawn lesions: photographs of patients may not be shown here.

    python docs/make_skin_pictures.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from medsynth_app import __version__
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.synthesis.data.arrays import picture_grid, to_network, to_pictures
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.skin.dataset import CLASSES
from medsynth_app.synthesis.skin.directions import CLASS_DIRECTION
from medsynth_app.synthesis.skin.generator import PROGRESSION_CONDITIONS, SkinLesionProgression
from medsynth_app.synthesis.skin.inversion import invert
from medsynth_app.synthesis.skin.models import CourseModels
from medsynth_app.synthesis.stylegan2.generator import sample_picture
from medsynth_app.synthesis.weights import SHIPPED_FOLDER, WeightsStore
from medsynth_app.synthesis.writing import marked_png

DOCS = Path(__file__).parent
TRUNCATION = 0.8
SAMPLES, INVERTED, WALKED = range(10), range(20, 26), 79
REFINEMENT_STEPS = 100
WALKS = {
    "skin_walk.png": {"alpha_to": 5},
    "skin_curve.png": {"alpha_to": 5, "picture": "curve"},
    "skin_walk_melanoma.png": {"alpha_to": 2.5, "direction": CLASS_DIRECTION},
}
STORE = WeightsStore((SHIPPED_FOLDER,))


def main() -> None:
    models = CourseModels.load(STORE)

    def lesion(seed: int, kind: int) -> np.ndarray:
        return sample_picture(models.generator, seed, kind, TRUNCATION)

    drawn = [lesion(seed, kind) for kind in range(len(CLASSES)) for seed in SAMPLES]
    store("skin_samples.png", picture_grid(np.stack(drawn), len(SAMPLES)), models)

    targets = to_network(np.stack([lesion(seed, seed % len(CLASSES)) for seed in INVERTED]))
    rows = [targets]
    for steps in (0, REFINEMENT_STEPS):
        found = [
            invert(target[None], models.generator, models.encoder, models.judge.features, steps) for target in targets
        ]
        rows.append(torch.cat([one.reconstruction for one in found]))
        print(f"{steps} steps: squared error {np.mean([one.squared_error for one in found]):.4f}")
    store("skin_inversion.png", picture_grid(to_pictures(torch.cat(rows)), len(INVERTED)), models)

    with TemporaryDirectory() as folder:
        photograph = Path(folder) / "lesion.png"
        Image.fromarray(lesion(WALKED, 0)).save(photograph)
        for name, asked in WALKS.items():
            conditions = PROGRESSION_CONDITIONS.parse({"refinement_steps": REFINEMENT_STEPS, "steps": 7, **asked})
            result = SkinLesionProgression(STORE).generate(GenerationRequest(0, conditions, photograph))
            (DOCS / name).write_bytes(marked_png(result.array, result.mark))


def store(name: str, picture: Image.Image, models: CourseModels) -> None:
    mark = SyntheticMark("skin_lesion_synthesis", __version__, 0, {}, models.weights_hash)
    (DOCS / name).write_bytes(marked_png(np.asarray(picture), mark))


if __name__ == "__main__":
    main()
