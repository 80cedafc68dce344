"""Every word and number that more than one room of the house uses, once.

Sequence names, tumour labels and regions follow the BraTS challenge (Menze 2015, Bakas 2018). The one
departure is the number of enhancing tumour: BraTS stores 4 (until 2022) or 3, MedSynth always 3, because
3D Slicer maps the v-th label name to voxel value v and therefore needs contiguous values.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, IntEnum

RESEARCH_NOTICE = (
    "Research and education only. Not a medical device. Not for diagnosis or treatment decisions."
)


class Modality(str, Enum):
    """An MRI sequence of a brain-tumour case. The order of definition is the channel order (as in MSD)."""

    FLAIR = "flair"
    T1 = "t1"
    T1CE = "t1ce"
    T2 = "t2"

    @property
    def file_suffixes(self) -> tuple[str, ...]:
        """Endings of a file's stem that mark this sequence: BraTS 2018-2021 naming, then BraTS 2023."""
        return _FILE_SUFFIXES[self]


def t1_and_t1ce(modalities: Sequence[str]) -> tuple[int, int] | None:
    """Places of T1 and T1ce among the channels named, or None where one of them is absent."""
    if not {Modality.T1.value, Modality.T1CE.value} <= set(modalities):
        return None
    return modalities.index(Modality.T1.value), modalities.index(Modality.T1CE.value)


_FILE_SUFFIXES = {
    Modality.FLAIR: ("_flair", "-t2f"),
    Modality.T1: ("_t1", "-t1n"),
    Modality.T1CE: ("_t1ce", "-t1c"),
    Modality.T2: ("_t2", "-t2w"),
}

LABEL_FILE_SUFFIXES = ("_seg", "-seg")

FILE_WORDS: dict[Modality, tuple[str, ...]] = {
    Modality.FLAIR: ("flair", "t2f", "t2flair", "t2_flair", "fla"),
    Modality.T1: ("t1", "t1n", "t1w", "t1pre"),
    Modality.T1CE: ("t1ce", "t1c", "t1gd", "t1_ce", "t1_gd", "t1wce", "t1w_ce", "t1wgd", "t1post", "t1km"),
    Modality.T2: ("t2", "t2w"),
}
"""The last word of an image file's name, in small letters, that tells its sequence: BraTS of every year, TCGA,
UPENN-GBM, UCSF-PDGM, EGD, RHUH-GBM. ``_`` inside a word stands for ``_``, ``-``, a space or nothing. Whether contrast
agent was given must be said by the word itself: ``CT1`` may be a CT and ``T1_post`` an operation."""

LABEL_FILE_WORDS = (
    "seg", "segm", "segmentation", "segmentations", "dseg", "label", "labels", "gt", "ground_truth",
    "tumor_seg", "tumor_segm", "tumor_segmentation", "tumor_mask", "glistrboost_manuallycorrected",
)  # fmt: skip
"""The same for a tumour's label map. ``mask`` alone is as often the brain's."""


class TumorLabel(IntEnum):
    """Voxel values of a MedSynth label map; 0 is background."""

    NECROTIC_CORE = 1
    EDEMA = 2
    ENHANCING_TUMOR = 3

    @property
    def label_name(self) -> str:
        """The public name, for example ``necrotic_core``."""
        return self.name.lower()


BRATS_ENHANCING_VALUE = 4
"""The value that BraTS 2018-2021 files use for enhancing tumour."""

LABEL_NAMES: dict[str, int] = {label.label_name: int(label) for label in TumorLabel}


class TumorRegion(str, Enum):
    """The nested regions that BraTS evaluates."""

    WHOLE_TUMOR = "WT"
    TUMOR_CORE = "TC"
    ENHANCING_TUMOR = "ET"

    @property
    def labels(self) -> tuple[int, ...]:
        """Voxel values whose union is the region."""
        return _REGION_LABELS[self]


_REGION_LABELS = {
    TumorRegion.WHOLE_TUMOR: (1, 2, 3),
    TumorRegion.TUMOR_CORE: (1, 3),
    TumorRegion.ENHANCING_TUMOR: (3,),
}
