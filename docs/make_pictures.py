"""Makes the pictures of this folder from the sample cases and the shipped weights.

    python docs/make_pictures.py
"""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from medsynth_app.imaging.geometry import reorient
from medsynth_app.imaging.studies.cases import find_cases
from medsynth_app.imaging.volume import Volume
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork
from medsynth_app.segmentation.inference import segment
from medsynth_app.segmentation.training.tracking import LABEL_COLORS

DOCS = Path(__file__).parent
CASE = "MedSynth_001"


def main() -> None:
    network, configuration, _ = CurrentNetwork([SHIPPED_WEIGHTS]).get()
    case = next(c for c in find_cases(DOCS.parent / "sample-data" / "studies") if c.name == CASE)
    volume = case.read(configuration.modalities)
    found = segment(volume, network).labels
    images = reorient(volume).array
    labels = reorient(Volume(found[None], volume.affine)).array[0]
    level = int((labels > 0).sum(axis=(0, 1)).argmax())
    figure = Figure(figsize=(12.5, 3.2), facecolor="black")
    FigureCanvasAgg(figure)
    names = [*configuration.modalities, "segmentation"]
    for column, name in enumerate(names):
        axes = figure.add_axes((column / len(names), 0, 1 / len(names), 0.9))
        axes.set_axis_off()
        axes.set_title(name, color="white", fontsize=11)
        image = images[column if column < len(images) else 0]
        # Radiological view: the patient's left is on the right.
        axes.imshow(np.flipud(image[::-1, :, level].T), cmap="gray")
        if name == "segmentation":
            axes.imshow(np.flipud(labels[::-1, :, level].T), cmap=LABEL_COLORS, vmin=0, vmax=3, interpolation="nearest")
    figure.savefig(DOCS / "segmentation.png", dpi=80, facecolor="black")


if __name__ == "__main__":
    main()
