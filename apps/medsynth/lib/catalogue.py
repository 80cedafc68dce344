"""Which models this server offers: one row per name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.train import TrainTask

from lib.infers.segmentation import BrainTumorSegmentationInferTask
from lib.infers.tumor_case import TumorCaseSynthesisInferTask
from lib.settings import Settings
from lib.trainers.segmentation import BrainTumorSegmentationTrainTask
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork

SEGMENTATION = "brain_tumor_segmentation"


def segmentation_network(settings: Settings) -> CurrentNetwork:
    """Weights published by training here, else the shipped ones."""
    paths: list[Path] = [settings.model_folder / f"{SEGMENTATION}.safetensors"]
    if settings.use_shipped_weights:
        paths.append(SHIPPED_WEIGHTS)
    return CurrentNetwork(paths)


def build_infer_tasks(settings: Settings) -> dict[str, InferTask]:
    """Inference tasks by name; segmentation first, because Slicer runs the first model that lists a label."""
    rows: dict[str, Callable[[], InferTask]] = {
        SEGMENTATION: lambda: BrainTumorSegmentationInferTask(segmentation_network(settings)),
        "tumor_case_synthesis": TumorCaseSynthesisInferTask,
    }
    return {name: rows[name]() for name in rows if name in settings.models}


def build_train_tasks(settings: Settings) -> dict[str, TrainTask]:
    """Trainers by name."""
    rows: dict[str, Callable[[], TrainTask]] = {
        SEGMENTATION: lambda: BrainTumorSegmentationTrainTask(
            segmentation_network(settings), settings.model_folder / SEGMENTATION
        )
    }
    return {name: rows[name]() for name in rows if name in settings.trainers}
