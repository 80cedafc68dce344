"""Which generators there are: one row each. A new generator is one new file and one line in ``CATALOGUE``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.options import Option
from medsynth_app.synthesis.conditions import Conditions
from medsynth_app.synthesis.generator import Generator
from medsynth_app.synthesis.image_diffusion.generator import ImageDiffusionGenerator
from medsynth_app.synthesis.image_diffusion.request import DIFFUSION_CONDITIONS
from medsynth_app.synthesis.image_diffusion.weights import NAME as DIFFUSION_WEIGHTS
from medsynth_app.synthesis.latent_flow import generator as latent_flow
from medsynth_app.synthesis.measures import standing
from medsynth_app.synthesis.measures.standing import EXPERIMENTAL, READY, SIMPLEST, UNMEASURED, Standing
from medsynth_app.synthesis.phantoms import generator as phantoms
from medsynth_app.synthesis.phantoms.images import generator as image_phantoms
from medsynth_app.synthesis.phantoms.images.request import IMAGE_CONDITIONS, IMAGE_MODALITIES
from medsynth_app.synthesis.phantoms.request import PHANTOM_CONDITIONS, VOLUME_KINDS
from medsynth_app.synthesis.skin import catalogue as skin_training
from medsynth_app.synthesis.skin import generator as skin
from medsynth_app.synthesis.skin import models as skin_models
from medsynth_app.synthesis.stylegan2.images import model as picture_model
from medsynth_app.synthesis.stylegan2.images.generator import PICTURE_CONDITIONS, StyleGAN2PictureGenerator
from medsynth_app.synthesis.trainers import images as image_training
from medsynth_app.synthesis.trainers.volumes import TRAINER_OPTIONS, train_volume_synthesis
from medsynth_app.synthesis.training.loop import ReportTraining
from medsynth_app.synthesis.tumor import catalogue as tumor
from medsynth_app.synthesis.tumor.learned import generator as learned_tumor
from medsynth_app.synthesis.tumor.learned import training as learned_tumor_training
from medsynth_app.synthesis.vae_gan import generator as vae_gan
from medsynth_app.synthesis.weights import SHIPPED_FOLDER, WeightsStore, read_kinds, read_origin

DISCLAIMER = "Synthetic images are for research and education; they show no patient."


@dataclass(frozen=True)
class CatalogueRow:
    """One generator of one task.

    Attributes:
        task: public model name, for example ``volume_synthesis``.
        generator: which of the task's generators; the first row of a task is its default.
        description: one sentence.
        conditions: what it accepts.
        build: makes the generator; weights are only read when it generates.
        kind_condition: condition that names what is made (``volume_type``, ``modality``); empty where there is one
            kind only.
        kinds: the values of that condition.
        weights: kind (empty text where there is one kind only) -> name of its weights; empty where none are needed.
        trained_on: what a generator without weights was made from.
        takes_image / takes_label: whether a file is its input: ``no``, ``optional`` or ``needed``.
        is_picture: answers pictures, else volumes.
        reference: weights whose training images that audit compares with; empty = those in ``weights``.
        measured: kind -> what was found out about the shipped weights.
    """

    task: str
    generator: str
    description: str
    conditions: Conditions
    build: Callable[[WeightsStore], Generator]
    kind_condition: str = ""
    kinds: tuple[str, ...] = ()
    weights: Mapping[str, str] = field(default_factory=dict)
    trained_on: str = ""
    takes_image: str = "no"
    takes_label: str = "no"
    is_picture: bool = False
    reference: str = ""
    measured: Mapping[str, Standing] = field(default_factory=dict)

    def weights_of(self, conditions: Mapping[str, Any]) -> str | None:
        """Name of the weights that a request with these conditions uses; None for none."""
        return self.weights.get(str(conditions.get(self.kind_condition, "")))

    def reference_of(self, conditions: Mapping[str, Any]) -> str | None:
        """Name of the weights whose training images an image of these conditions is compared with; None for none."""
        return self.reference or self.weights_of(conditions)

    def described(self, store: WeightsStore) -> dict[str, Any]:
        """The row as the catalogue route answers it."""
        return {
            "task": self.task,
            "generator": self.generator,
            "description": self.description,
            "status": self._status(store),
            "kind_condition": self.kind_condition,
            "kinds": [self._kind(kind, store) for kind in (self.kinds or ("",))],
            "conditions": self.conditions.described(),
            "needs_weights": bool(self.weights),
            "takes_image": self.takes_image,
            "takes_label": self.takes_label,
            "result": "picture" if self.is_picture else "volume",
        }

    def standing(self, kind: str, store: WeightsStore) -> Standing:
        """How good what it makes of a kind was found to be."""
        if not self.weights:
            return SIMPLEST
        path = store.find(self.weights[kind]) if kind in self.weights else None
        is_shipped = path is not None and path.parent == SHIPPED_FOLDER
        return self.measured.get(kind, UNMEASURED) if is_shipped else UNMEASURED

    def _status(self, store: WeightsStore) -> str:
        found = {self.standing(kind, store).status for kind in (self.kinds or ("",))}
        return READY if READY in found else EXPERIMENTAL

    def _kind(self, kind: str, store: WeightsStore) -> dict[str, Any]:
        found = self.standing(kind, store)
        told = {"kind": kind, "status": found.status, "figure": found.figure}
        if not self.weights:
            return {**told, "ready": True, "trained_on": self.trained_on, "weights_sha256": None}
        path = store.find(self.weights[kind]) if kind in self.weights else None
        if path is None or kind not in (read_kinds(path) or (kind,)):
            return {**told, "ready": False, "trained_on": "no weights on this server", "weights_sha256": None}
        trained_on, digest = read_origin(path)
        return {**told, "ready": True, "trained_on": trained_on, "weights_sha256": digest}


@dataclass(frozen=True)
class TrainingRequest:
    """One training.

    Attributes:
        data: folder with the user's images.
        folder: where checkpoints and results go; the same folder goes on with an earlier run.
        options: what the row's table parsed.
        publish_to: folder that takes the finished weights; None = they stay in ``folder``.
        device: ``cpu`` or ``cuda``; None = the best there is.
    """

    data: Path
    folder: Path
    options: Mapping[str, Any]
    publish_to: Path | None = None
    device: str | None = None


@dataclass(frozen=True)
class TrainerRow:
    """One trainer.

    Attributes:
        task: the same name as the generators it trains.
        description: one sentence.
        options: what it accepts.
        train: runs it; returns final figures with JSON values.
    """

    task: str
    description: str
    options: Sequence[Option]
    train: Callable[[TrainingRequest, ReportTraining], dict[str, Any]]


class Catalogue:
    """Rows by task and generator.

    Args:
        rows: generators.
        trainers: trainers.
    """

    def __init__(self, rows: Iterable[CatalogueRow], trainers: Iterable[TrainerRow] = ()) -> None:
        self.rows = tuple(rows)
        self._trainers = {row.task: row for row in trainers}

    @property
    def tasks(self) -> tuple[str, ...]:
        """Public model names, in order."""
        return tuple(dict.fromkeys(row.task for row in self.rows))

    @property
    def trainer_names(self) -> tuple[str, ...]:
        """Names of the trainers, in order."""
        return tuple(self._trainers)

    def of_task(self, task: str) -> tuple[CatalogueRow, ...]:
        """The generators of a task.

        Raises:
            NotFoundError: there is no such task; lists them.
        """
        rows = tuple(row for row in self.rows if row.task == task)
        if not rows:
            raise NotFoundError(f"model: there is no {task[:60]!r}, known are {', '.join(self.tasks)}")
        return rows

    def row(self, task: str, generator: str = "") -> CatalogueRow:
        """One generator; the task's first one where none is named.

        Raises:
            NotFoundError: no such task.
            InvalidValueError: no such generator; lists them.
        """
        rows = self.of_task(task)
        if not generator:
            return rows[0]
        for row in rows:
            if row.generator == generator:
                return row
        known = ", ".join(row.generator for row in rows)
        raise InvalidValueError(f"generator: {str(generator)[:60]!r} must be one of {known}")

    def trainer(self, task: str) -> TrainerRow:
        """The trainer of a task.

        Raises:
            NotFoundError: there is none; lists them.
        """
        if task not in self._trainers:
            raise NotFoundError(f"trainer: there is no {task[:60]!r}, known are {', '.join(self._trainers)}")
        return self._trainers[task]

    def described(self, store: WeightsStore) -> dict[str, Any]:
        """Everything, as ``/medsynth/api/synthesis`` answers it."""
        return {
            "notice": DISCLAIMER,
            "generators": [row.described(store) for row in self.rows],
            "trainers": [{"task": row.task, "description": row.description} for row in self._trainers.values()],
        }


TUMOR_ROWS = (
    CatalogueRow(
        task=tumor.TASK,
        generator="growth_model",
        description="A labelled four-sequence brain-tumour case, grown in a template brain.",
        conditions=tumor.TumorConditions(),
        build=lambda store: tumor.TumorCaseGenerator(),
        trained_on="no weights: the ICBM 152 template, a growth model and sequence physics",
        takes_label="optional",
    ),
    CatalogueRow(
        task=tumor.TASK,
        generator=learned_tumor.GENERATOR,
        description="A labelled four-sequence brain-tumour case whose contrast and texture were learned.",
        conditions=learned_tumor.LearnedConditions(),
        build=learned_tumor.LearnedTumorCaseGenerator,
        weights={"": learned_tumor_training.WEIGHTS_NAME},
        measured={"": standing.LEARNED_TUMORS},
        takes_label="optional",
    ),
)
TUMOR_TRAINER = TrainerRow(
    task=tumor.TASK,
    description="Learn how tumour cases look from your own labelled cases: contrast, then texture by rectified flow.",
    options=learned_tumor_training.TRAINER_OPTIONS,
    train=lambda asked, report: learned_tumor_training.train_tumor_appearance(
        asked.data, asked.folder, asked.options, asked.publish_to, asked.device, report
    ),
)

VOLUME_ROWS = (
    CatalogueRow(
        task="volume_synthesis",
        generator="phantom",
        description="A CT or MR volume that shows nobody.",
        conditions=PHANTOM_CONDITIONS,
        build=lambda store: phantoms.PhantomGenerator(),
        kind_condition="volume_type",
        kinds=VOLUME_KINDS,
        trained_on="no weights: procedural anatomy; heads hold the ICBM 152 template brain",
    ),
    CatalogueRow(
        task="volume_synthesis",
        generator="vae_gan",
        description="A volume decoded from a drawn code of an autoencoder.",
        conditions=vae_gan.LEARNED_CONDITIONS,
        build=vae_gan.VaeGenerator,
        kind_condition="volume_type",
        kinds=VOLUME_KINDS,
        weights={kind: vae_gan.weights_name("vae_gan", kind) for kind in VOLUME_KINDS},
        measured={"mri_brain": standing.BRAINS_BY_VAE_GAN, "ct_head": standing.HEADS_BY_ONE_PERSON},
    ),
    CatalogueRow(
        task="volume_synthesis",
        generator="diffusion",
        description="A volume by rectified flow of an autoencoder's codes.",
        conditions=latent_flow.CONDITIONS,
        build=latent_flow.FlowGenerator,
        kind_condition="volume_type",
        kinds=VOLUME_KINDS,
        weights={kind: vae_gan.weights_name("diffusion", kind) for kind in VOLUME_KINDS},
        measured={"mri_brain": standing.BRAINS_BY_DIFFUSION, "ct_head": standing.HEADS_BY_ONE_PERSON},
    ),
)
VOLUME_TRAINER = TrainerRow(
    task="volume_synthesis",
    description="Train a volume generator on your own NIfTI, NRRD or DICOM volumes: stage vae, then diffusion.",
    options=TRAINER_OPTIONS,
    train=lambda asked, report: train_volume_synthesis(
        asked.data, asked.folder, asked.options, asked.publish_to, asked.device, report
    ),
)

IMAGE_ROWS = (
    CatalogueRow(
        task="image_synthesis",
        generator="phantom",
        description="A radiograph, CT or MR slice, mammogram, ultrasound or fundus picture that shows nobody.",
        conditions=IMAGE_CONDITIONS,
        build=lambda store: image_phantoms.ImagePhantomGenerator(),
        kind_condition="modality",
        kinds=IMAGE_MODALITIES,
        trained_on="no weights: procedural anatomy; head slices hold the ICBM 152 template brain",
        is_picture=True,
    ),
    CatalogueRow(
        task="image_synthesis",
        generator="diffusion",
        description="A picture from noise that keeps to its conditions; one network for all modalities.",
        conditions=DIFFUSION_CONDITIONS,
        build=ImageDiffusionGenerator,
        kind_condition="modality",
        kinds=IMAGE_MODALITIES,
        weights=dict.fromkeys(IMAGE_MODALITIES, DIFFUSION_WEIGHTS),
        measured=standing.PICTURES_BY_DIFFUSION,
        takes_label="optional",
        is_picture=True,
    ),
    CatalogueRow(
        task="image_synthesis",
        generator=picture_model.GENERATOR_NAME,
        description="A picture of a modality and pathology in one pass of a StyleGAN2 network.",
        conditions=PICTURE_CONDITIONS,
        build=StyleGAN2PictureGenerator,
        kind_condition="modality",
        kinds=IMAGE_MODALITIES,
        weights=dict.fromkeys(IMAGE_MODALITIES, picture_model.WEIGHTS),
        measured=standing.PICTURES_BY_STYLEGAN2,
        is_picture=True,
    ),
)

IMAGE_TRAINER = TrainerRow(
    task="image_synthesis",
    description="Train a picture generator on your own PNG, JPEG, DICOM or NIfTI pictures in class folders or a table.",
    options=image_training.TRAINER_OPTIONS,
    train=lambda asked, report: image_training.train_image_synthesis(
        asked.data, asked.folder, asked.options, asked.publish_to, asked.device, report
    ),
)

SKIN_ROWS = (
    CatalogueRow(
        task=skin.SYNTHESIS,
        generator="stylegan2",
        description="A nevus or melanoma that nobody has, as a dermatoscopic picture.",
        conditions=skin.SYNTHESIS_CONDITIONS,
        build=skin.SkinLesionSynthesis,
        weights={"": skin_models.GENERATOR},
        measured={"": standing.SKIN_LESIONS},
        is_picture=True,
    ),
    CatalogueRow(
        task=skin.INVERSION,
        generator="stylegan2",
        description="A dermatoscopic photograph found again in the generator.",
        conditions=skin.INVERSION_CONDITIONS,
        build=skin.SkinLesionInversion,
        weights={"": skin_models.ENCODER},
        measured={"": standing.SKIN_PHOTOGRAPHS},
        takes_image="needed",
        is_picture=True,
        reference=skin_models.GENERATOR,
    ),
    CatalogueRow(
        task=skin.PROGRESSION,
        generator="stylegan2",
        description=f"The course of a skin lesion from a photograph. {skin.SIMULATION_NOTICE}",
        conditions=skin.PROGRESSION_CONDITIONS,
        build=skin.SkinLesionProgression,
        weights={"": skin_models.DIRECTIONS},
        measured={"": standing.SKIN_COURSES},
        takes_image="needed",
        is_picture=True,
        reference=skin_models.GENERATOR,
    ),
)
SKIN_TRAINER = TrainerRow(
    task=skin_training.TRAINER,
    description="Train the course of a skin lesion on HAM10000's layout, stage by stage.",
    options=skin_training.TRAINER_OPTIONS,
    train=lambda asked, report: skin_training.train_stage(
        asked.data, asked.folder, asked.options, asked.publish_to, report
    ),
)

CATALOGUE = Catalogue(
    rows=(*TUMOR_ROWS, *VOLUME_ROWS, *IMAGE_ROWS, *SKIN_ROWS),
    trainers=(TUMOR_TRAINER, VOLUME_TRAINER, IMAGE_TRAINER, SKIN_TRAINER),
)
"""Every generator that MedSynth offers."""
