"""Curves and pictures of a training: TensorBoard always, mlflow where its tracking URI is given."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from PIL import Image

from medsynth_app.imaging.label_writing import SEGMENT_COLORS

LABEL_COLORS = ListedColormap([(0, 0, 0, 0), *((*color, 0.55) for color in SEGMENT_COLORS.values())])
EXPERIMENT = "brain_tumor_segmentation"


class Tracker:
    """Receives figures and pictures of one run. Use as a context, or call ``close``.

    Args:
        folder: TensorBoard's event files go into its ``tensorboard`` folder.
        mlflow_uri: for example ``sqlite:///mlflow.db``; None = no mlflow. A file store is refused by mlflow 3.
        parameters: stored with an mlflow run.
    """

    def __init__(
        self, folder: Path, mlflow_uri: str | None = None, parameters: dict[str, Any] | None = None
    ) -> None:
        # Both take seconds to import; only a training needs them.
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

        self._writer = SummaryWriter(str(folder / "tensorboard"))
        self._mlflow: Any = None
        if mlflow_uri:
            import mlflow  # noqa: PLC0415

            mlflow.set_tracking_uri(mlflow_uri)
            mlflow.set_experiment(EXPERIMENT)
            mlflow.start_run(run_name=folder.name)
            mlflow.log_params(parameters or {})
            self._mlflow = mlflow

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def figures(self, step: int, values: dict[str, float]) -> None:
        """Add a point to each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        if self._mlflow:
            self._mlflow.log_metrics(values, step=step)

    def picture(self, step: int, name: str, png: bytes) -> None:
        """Add a picture."""
        array = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
        self._writer.add_image(name, array, step, dataformats="HWC")
        if self._mlflow:
            self._mlflow.log_image(array, f"{name}/{step:06d}.png")

    def close(self) -> None:
        """Write what is buffered."""
        self._writer.close()
        if self._mlflow:
            self._mlflow.end_run()


def validation_picture(rows: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]]) -> bytes:
    """A PNG with one row a case: the slice with most reference tumour, the reference, the prediction.

    Args:
        rows: name, image (X, Y, Z), reference and predicted label map (X, Y, Z), values 0..3.
    """
    figure = Figure(figsize=(9, 3 * len(rows)), facecolor="black")
    FigureCanvasAgg(figure)
    for row, (name, image, reference, predicted) in enumerate(rows):
        level = int((reference > 0).sum(axis=(0, 1)).argmax())
        for column, (title, labels) in enumerate(
            ((name, None), ("reference", reference), ("prediction", predicted))
        ):
            axes = figure.add_subplot(len(rows), 3, 3 * row + column + 1)
            axes.set_axis_off()
            axes.set_title(title, color="white", fontsize=9)
            axes.imshow(image[:, :, level].T, cmap="gray", origin="lower")
            if labels is not None:
                axes.imshow(
                    labels[:, :, level].T,
                    cmap=LABEL_COLORS,
                    vmin=0,
                    vmax=3,
                    origin="lower",
                    interpolation="nearest",
                )
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return buffer.getvalue()
