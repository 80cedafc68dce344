"""Which models this server offers: one row per name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.train import TrainTask

from lib.activelearning.assessment import CaseAssessment
from lib.activelearning.discordant import DiscordanceOf, DiscordantFirstStrategy
from lib.activelearning.random import RandomStrategy
from lib.activelearning.ranked import MostDiverseStrategy, MostUncertainStrategy, UncertainAndDiverseStrategy
from lib.activelearning.strategy import RankingStrategy
from lib.infers.correction import BrainTumorEditInferTask, BrainTumorScribblesInferTask
from lib.infers.generator import GeneratorInferTask
from lib.infers.segmentation import BrainTumorSegmentationInferTask
from lib.model_history import ModelHistory
from lib.settings import Settings
from lib.trainers.segmentation import BrainTumorSegmentationTrainTask
from lib.trainers.synthesis import SynthesisTrainTask
from medsynth_app.library.hosts import tumor_finder
from medsynth_app.segmentation.correction.session import OpenCases
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork
from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.weights import SHIPPED_FOLDER, WeightsStore

SEGMENTATION = "brain_tumor_segmentation"
SCRIBBLES, EDIT = "brain_tumor_scribbles", "brain_tumor_edit"


def segmentation_network(settings: Settings) -> CurrentNetwork:
    """Weights published by training here, else the shipped ones."""
    paths: list[Path] = [settings.model_folder / f"{SEGMENTATION}.safetensors"]
    if settings.use_shipped_weights:
        paths.append(SHIPPED_WEIGHTS)
    return CurrentNetwork(paths)


def synthesis_weights(settings: Settings) -> WeightsStore:
    """The generators' weights: those trained here, then the shipped ones."""
    trained_here = settings.model_folder / "synthesis"
    return WeightsStore((trained_here, SHIPPED_FOLDER) if settings.use_shipped_weights else (trained_here,))


def model_history(settings: Settings) -> ModelHistory:
    """Every segmentation model that was served or tried here."""
    return ModelHistory(settings.model_folder / SEGMENTATION / "history", segmentation_network(settings))


def build_strategies(assessment: CaseAssessment, discordance_of: DiscordanceOf) -> dict[str, RankingStrategy]:
    """How the next case is chosen, by name; the first one is what viewers offer first."""
    return {
        "uncertain_and_diverse": UncertainAndDiverseStrategy(assessment),
        "most_uncertain": MostUncertainStrategy(assessment),
        "most_diverse": MostDiverseStrategy(assessment),
        "discordant_first": DiscordantFirstStrategy(assessment, discordance_of),
        "random": RandomStrategy(),
    }


def build_infer_tasks(settings: Settings) -> dict[str, InferTask]:
    """Inference tasks by name; segmentation first, because Slicer runs the first model that lists a label."""
    network, open_cases = segmentation_network(settings), OpenCases()
    rows: dict[str, Callable[[], InferTask]] = {
        SEGMENTATION: lambda: BrainTumorSegmentationInferTask(network),
        SCRIBBLES: lambda: BrainTumorScribblesInferTask(network, open_cases),
        EDIT: lambda: BrainTumorEditInferTask(network, open_cases),
        **{
            task: partial(GeneratorInferTask, task, synthesis_weights(settings), tumor_finder(network))
            for task in CATALOGUE.tasks
        },
    }
    return {name: rows[name]() for name in rows if name in settings.models}


def build_train_tasks(settings: Settings) -> dict[str, TrainTask]:
    """Trainers by name."""
    rows: dict[str, Callable[[], TrainTask]] = {
        SEGMENTATION: lambda: BrainTumorSegmentationTrainTask(
            segmentation_network(settings), settings.model_folder / SEGMENTATION, model_history(settings)
        ),
        **{
            name: partial(SynthesisTrainTask, CATALOGUE.trainer(name), settings.model_folder / "synthesis")
            for name in CATALOGUE.trainer_names
        },
    }
    return {name: rows[name]() for name in rows if name in settings.trainers}
