"""``medsynth benchmark``: every speed and quality claim, measured side by side in one run."""

from __future__ import annotations

import typer

from medsynth_app.commands.support.lazy_group import CommandPlace, lazy_group

COMMANDS = {
    "active-learning": CommandPlace(
        "medsynth_app.commands.benchmarks.active_learning", "active_learning",
        "Mean validation Dice for each number of labels, with intervals over seeds, and how many labels are saved.",
    ),
    "correction": CommandPlace(
        "medsynth_app.commands.benchmarks.correction", "correction",
        "Dice after each stroke of a simulated annotator, who always corrects the largest error.",
    ),
    "preparation": CommandPlace(
        "medsynth_app.commands.benchmarks.preparation", "preparation",
        "Cold and warm: seconds by stage; for made studies landmark errors and Dice against the truth too.",
    ),
    "tumor-quality": CommandPlace(
        "medsynth_app.commands.benchmarks.tumor_quality", "tumor_quality",
        "KID and Frechet distance of drawn patients to real ones, sequence by sequence, beside the real-vs-real floor.",
    ),
    "volume-quality": CommandPlace(
        "medsynth_app.commands.benchmarks.volume_quality", "volume_quality",
        "Reconstruction of held-out volumes; KID, Frechet distance and anatomy of made ones, beside real-vs-real.",
    ),
    "synthesis-utility": CommandPlace(
        "medsynth_app.commands.benchmarks.synthesis_utility", "synthesis_utility",
        "Dice on real cases after training on few real, few real + synthetic, synthetic only, and all real cases.",
    ),
    "image-quality": CommandPlace(
        "medsynth_app.commands.benchmarks.images", "image_quality",
        "Distances to real pictures beside their floor, variety, adherence to the pathology, seconds a picture.",
    ),
    "image-utility": CommandPlace(
        "medsynth_app.commands.benchmarks.images", "image_utility",
        "A classifier that learned from synthetic pictures only, beside one of as many real ones, tested on real ones.",
    ),
    "skin-course": CommandPlace(
        "medsynth_app.commands.benchmarks.skin_course", "skin_course",
        "How near drawn lesions are to real ones, how well held-out ones are found again, how monotone walks are.",
    ),
    "cross-check": CommandPlace(
        "medsynth_app.commands.benchmarks.clinical", "cross_check",
        "How well the score tells a tumour's own symptoms from other sites', on simulated patients.",
    ),
    "stories": CommandPlace(
        "medsynth_app.commands.benchmarks.clinical", "stories",
        "How well patients' own stories are understood: recall, precision, polarity, side, and what is refused.",
    ),
    "calibration": CommandPlace(
        "medsynth_app.commands.benchmarks.clinical", "calibration",
        "Fit the constants that turn the score into a probability, for the knowledge base as it is now.",
    ),
    "registration": CommandPlace(
        "medsynth_app.commands.benchmarks.clinical", "registration",
        "How long heads take to the atlas, which quality gates fail, and whether tumours keep their side.",
    ),
    "hospitals": CommandPlace(
        "medsynth_app.commands.benchmarks.clinical", "hospitals",
        "How long an import and a look-up take in a directory of invented hospitals.",
    ),
    "segmentation": CommandPlace(
        "medsynth_app.commands.benchmarks.segmentation", "segmentation",
        "Seconds from request to last byte, beside MONAI Label's stock inference with the same weights.",
    ),
}
"""Name -> where it lives, in the order of the help."""

application = typer.Typer(
    cls=lazy_group(COMMANDS), help="Measure MedSynth's claims on this machine.", no_args_is_help=True
)


@application.callback()
def _group() -> None:
    """Measure MedSynth's claims on this machine."""
