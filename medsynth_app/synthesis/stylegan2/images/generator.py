"""``image_synthesis`` by StyleGAN2: one pass from a drawn latent and a class to a picture."""

from __future__ import annotations

from medsynth_app import __version__
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.options import Option
from medsynth_app.synthesis.conditions import ConditionTable
from medsynth_app.synthesis.data.arrays import as_shown
from medsynth_app.synthesis.generator import GenerationRequest, ReportProgress, Synthetic, unheard
from medsynth_app.synthesis.phantoms.images.request import IMAGE_MODALITIES, NORMAL
from medsynth_app.synthesis.stylegan2.generator import sample_picture
from medsynth_app.synthesis.stylegan2.images.model import load_picture_model
from medsynth_app.synthesis.weights import WeightsStore

NAME = "image_synthesis.stylegan2"
DEFAULT_TRUNCATION = 0.8
PICTURE_CONDITIONS = ConditionTable(
    (
        Option("modality", IMAGE_MODALITIES[0], "Kind of picture.", IMAGE_MODALITIES),
        Option("pathology", NORMAL, "Disease that is shown: one that the weights have learned."),
        Option(
            "truncation",
            DEFAULT_TRUNCATION,
            "0 = the mean picture, 1 = all the variety.",
            minimum=0,
            maximum=1,
        ),
    )
)


class StyleGAN2PictureGenerator:
    """Pictures of the modalities and pathologies that the weights have learned.

    Args:
        store: where the weights are.
    """

    def __init__(self, store: WeightsStore) -> None:
        self.store = store

    def generate(self, request: GenerationRequest, progress: ReportProgress = unheard) -> Synthetic:
        """One picture: (R, R) uint8, in colour (R, R, 3).

        Raises:
            InvalidValueError: no weights (code ``weights_missing``), a modality or pathology that they have not
                learned, or a truncation outside 0..1.
        """
        model = load_picture_model(self.store)
        modality, pathology = str(request.conditions["modality"]), str(request.conditions["pathology"])
        label = model.classes.number(modality, pathology)
        picture = sample_picture(
            model.generator, request.seed, label, float(request.conditions["truncation"])
        )
        progress(1.0)
        return Synthetic(
            array=as_shown(picture, modality in model.classes.grey),
            affine=None,
            mark=SyntheticMark(NAME, __version__, request.seed, dict(request.conditions), model.weights_hash),
            facts={"modality": modality, "pathology": pathology},
        )
