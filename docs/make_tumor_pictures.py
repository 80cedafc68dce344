"""Makes docs/tumor_case_synthesis.png: drawn patients of the cohort, FLAIR, T1, T1ce, T2 and label.

    python docs/make_tumor_pictures.py
"""

from pathlib import Path

import numpy as np

from medsynth_app.synthesis.tumor.cohort import drawn_request
from medsynth_app.synthesis.tumor.generator import TumorCase, generate_tumor_case
from medsynth_app.synthesis.writing import marked_png

DOCS = Path(__file__).parent
SEEDS = (5, 9, 4)
SPACING_MM = 1.0
GREY_OF_LABEL = np.array([0, 150, 70, 255], dtype=np.uint8)


def row_of(case: TumorCase) -> np.ndarray:
    """The slice with most tumour, cut to the brain, all sequences beside each other."""
    place = int((case.label > 0).sum(axis=(0, 1)).argmax())
    brain = (case.images.array > 0).any(axis=(0, 3))
    x, y = (np.flatnonzero(brain.any(axis=axis)) for axis in (1, 0))
    shown = []
    for channel in case.images.array.astype(np.float32):
        low, high = np.percentile(channel[channel > 0], (0.5, 99.7))
        shown.append(255.0 * np.clip((channel[:, :, place] - 0.7 * low) / (high - 0.7 * low), 0.0, 1.0))
    shown.append(GREY_OF_LABEL[case.label[:, :, place]].astype(np.float32))
    cut = (slice(x[0], x[0] + 150), slice(y[0], y[0] + 180))
    return np.concatenate([plane[cut].T for plane in shown], axis=1).astype(np.uint8)


def main() -> None:
    cases = [generate_tumor_case(drawn_request(seed, SPACING_MM)) for seed in SEEDS]
    picture = np.concatenate([row_of(case) for case in cases])
    (DOCS / "tumor_case_synthesis.png").write_bytes(marked_png(picture, cases[0].mark))


if __name__ == "__main__":
    main()
