"""The brain regions that MedSynth tells apart: names, lobe, eloquence and ICD-10 site, once.

About forty regions a side, fine enough to separate what symptoms separate (face, hand and leg area of the
motor cortex) and coarse enough for an affine registration. Lobes and eloquent areas follow common
neurosurgical use (Spetzler & Martin 1986, J Neurosurg 65:476; Sawaya 1998, Neurosurgery 42:1044).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from medsynth_app.errors import InvalidValueError


class Side(str, Enum):
    """The patient's side of a structure; midline structures have one label for both halves."""

    LEFT = "left"
    RIGHT = "right"
    MIDLINE = "midline"

    @property
    def mirrored(self) -> Side:
        """The other side; the midline stays."""
        return {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT, Side.MIDLINE: Side.MIDLINE}[self]


class Lobe(str, Enum):
    """The part of the brain a region belongs to; insular and limbic cortex count as lobes of their own."""

    FRONTAL = "frontal"
    TEMPORAL = "temporal"
    PARIETAL = "parietal"
    OCCIPITAL = "occipital"
    INSULAR = "insular"
    LIMBIC = "limbic"
    DEEP = "deep"
    CORPUS_CALLOSUM = "corpus_callosum"
    VENTRICLE = "ventricle"
    BRAINSTEM = "brainstem"
    CEREBELLUM = "cerebellum"


class Eloquence(str, Enum):
    """What is likely lost when a region is damaged; ``NONE`` where a loss is often compensated.

    Language areas are marked on both sides: imaging alone does not tell which hemisphere is dominant.
    """

    NONE = "none"
    MOTOR = "motor"
    SENSORY = "sensory"
    LANGUAGE = "language"
    VISUAL = "visual"
    DEEP = "deep"
    BRAINSTEM = "brainstem"


@dataclass(frozen=True)
class BrainRegion:
    """A kind of place in the brain, without its side.

    Attributes:
        code: stable identifier, used by the knowledge base of symptoms.
        name_en: English name.
        name_ko: Korean name.
        lobe: the part of the brain it belongs to.
        eloquence: the function that makes it eloquent.
        icd10_site: ICD-10 site of a malignant tumour there (C71.0 to C71.9).
        two_sided: whether left and right have a label each.
    """

    code: str
    name_en: str
    name_ko: str
    lobe: Lobe
    eloquence: Eloquence
    icd10_site: str
    two_sided: bool = True

    @property
    def is_eloquent(self) -> bool:
        """Whether damage is expected to cost a function."""
        return self.eloquence is not Eloquence.NONE


@dataclass(frozen=True)
class SidedRegion:
    """A region on one side: what one value of the atlas stands for.

    Attributes:
        label: voxel value in the atlas, 1 and up.
        region: what it is.
        side: where it is.
    """

    label: int
    region: BrainRegion
    side: Side

    @property
    def key(self) -> tuple[str, Side]:
        """(region code, side), the name other tables use."""
        return self.region.code, self.side

    @property
    def name_en(self) -> str:
        """For example ``left hand area of the motor cortex``."""
        side = "" if self.side is Side.MIDLINE else f"{self.side.value} "
        return side + self.region.name_en

    @property
    def name_ko(self) -> str:
        """For example ``왼쪽 손 운동피질``."""
        words = {Side.LEFT: "왼쪽 ", Side.RIGHT: "오른쪽 ", Side.MIDLINE: ""}
        return words[self.side] + self.region.name_ko


BRAIN_REGIONS: tuple[BrainRegion, ...] = (
    BrainRegion("M1_FACE", "face area of the motor cortex", "얼굴 운동피질",
                Lobe.FRONTAL, Eloquence.MOTOR, "C71.1"),
    BrainRegion("M1_HAND", "hand area of the motor cortex", "손 운동피질",
                Lobe.FRONTAL, Eloquence.MOTOR, "C71.1"),
    BrainRegion("M1_LEG", "leg area of the motor cortex", "다리 운동피질",
                Lobe.FRONTAL, Eloquence.MOTOR, "C71.1"),
    BrainRegion("SMA", "supplementary motor area", "보조운동영역",
                Lobe.FRONTAL, Eloquence.MOTOR, "C71.1"),
    BrainRegion("PFC_MED", "medial prefrontal cortex", "내측 전전두피질",
                Lobe.FRONTAL, Eloquence.NONE, "C71.1"),
    BrainRegion("PFC_DL", "dorsolateral prefrontal cortex", "배외측 전전두피질",
                Lobe.FRONTAL, Eloquence.NONE, "C71.1"),
    BrainRegion("ORBITO", "orbitofrontal cortex", "안와전두피질",
                Lobe.FRONTAL, Eloquence.NONE, "C71.1"),
    BrainRegion("BROCA", "inferior frontal gyrus (Broca)", "하전두이랑(브로카 영역)",
                Lobe.FRONTAL, Eloquence.LANGUAGE, "C71.1"),
    BrainRegion("S1", "primary sensory cortex", "일차 감각피질",
                Lobe.PARIETAL, Eloquence.SENSORY, "C71.3"),
    BrainRegion("SPL", "superior parietal lobule", "상두정소엽",
                Lobe.PARIETAL, Eloquence.NONE, "C71.3"),
    BrainRegion("IPL_SM", "supramarginal gyrus", "모서리위이랑",
                Lobe.PARIETAL, Eloquence.LANGUAGE, "C71.3"),
    BrainRegion("IPL_ANG", "angular gyrus", "각이랑",
                Lobe.PARIETAL, Eloquence.LANGUAGE, "C71.3"),
    BrainRegion("PRECUN", "precuneus", "쐐기앞소엽",
                Lobe.PARIETAL, Eloquence.NONE, "C71.3"),
    BrainRegion("STG_ANT", "anterior superior temporal gyrus", "상측두이랑 앞부분",
                Lobe.TEMPORAL, Eloquence.NONE, "C71.2"),
    BrainRegion("STG_POST", "posterior superior temporal gyrus (Wernicke)",
                "상측두이랑 뒷부분(베르니케 영역)",
                Lobe.TEMPORAL, Eloquence.LANGUAGE, "C71.2"),
    BrainRegion("HESCHL", "auditory cortex (Heschl)", "청각피질(헤슐이랑)",
                Lobe.TEMPORAL, Eloquence.NONE, "C71.2"),
    BrainRegion("MTG", "middle temporal gyrus", "중측두이랑",
                Lobe.TEMPORAL, Eloquence.NONE, "C71.2"),
    BrainRegion("ITG", "inferior temporal gyrus", "하측두이랑",
                Lobe.TEMPORAL, Eloquence.NONE, "C71.2"),
    BrainRegion("TPOLE", "temporal pole", "측두극",
                Lobe.TEMPORAL, Eloquence.NONE, "C71.2"),
    BrainRegion("MTL", "medial temporal lobe", "내측 측두엽(해마·편도)",
                Lobe.TEMPORAL, Eloquence.NONE, "C71.2"),
    BrainRegion("FUSI", "fusiform gyrus", "방추이랑",
                Lobe.TEMPORAL, Eloquence.NONE, "C71.2"),
    BrainRegion("OPTRAD", "optic radiation", "시각로부챗살",
                Lobe.TEMPORAL, Eloquence.VISUAL, "C71.2"),
    BrainRegion("OCC_CALC", "calcarine cortex", "새발톱고랑 시각피질",
                Lobe.OCCIPITAL, Eloquence.VISUAL, "C71.4"),
    BrainRegion("OCC_MED", "medial occipital cortex", "내측 후두피질",
                Lobe.OCCIPITAL, Eloquence.VISUAL, "C71.4"),
    BrainRegion("OCC_LAT", "lateral occipital cortex", "외측 후두피질",
                Lobe.OCCIPITAL, Eloquence.NONE, "C71.4"),
    BrainRegion("INS", "insula", "뇌섬엽",
                Lobe.INSULAR, Eloquence.NONE, "C71.0"),
    BrainRegion("CING_A", "anterior cingulate gyrus", "앞띠이랑",
                Lobe.LIMBIC, Eloquence.NONE, "C71.0"),
    BrainRegion("CING_P", "posterior cingulate gyrus", "뒤띠이랑",
                Lobe.LIMBIC, Eloquence.NONE, "C71.0"),
    BrainRegion("THAL", "thalamus", "시상",
                Lobe.DEEP, Eloquence.DEEP, "C71.0"),
    BrainRegion("BG", "basal ganglia", "기저핵",
                Lobe.DEEP, Eloquence.DEEP, "C71.0"),
    BrainRegion("IC_CST", "internal capsule and corticospinal tract", "속섬유막·피질척수로",
                Lobe.DEEP, Eloquence.MOTOR, "C71.0"),
    BrainRegion("HYPO", "hypothalamus and subthalamus", "시상하부",
                Lobe.DEEP, Eloquence.DEEP, "C71.0"),
    BrainRegion("CHIASM", "optic chiasm", "시각교차",
                Lobe.DEEP, Eloquence.VISUAL, "C71.9", two_sided=False),
    BrainRegion("CC_GENU", "genu of the corpus callosum", "뇌들보 무릎",
                Lobe.CORPUS_CALLOSUM, Eloquence.NONE, "C71.8", two_sided=False),
    BrainRegion("CC_BODY", "body of the corpus callosum", "뇌들보 몸통",
                Lobe.CORPUS_CALLOSUM, Eloquence.NONE, "C71.8", two_sided=False),
    BrainRegion("CC_SPLEN", "splenium of the corpus callosum", "뇌들보 팽대",
                Lobe.CORPUS_CALLOSUM, Eloquence.NONE, "C71.8", two_sided=False),
    BrainRegion("VENTRICLE", "lateral or third ventricle", "뇌실",
                Lobe.VENTRICLE, Eloquence.NONE, "C71.5"),
    BrainRegion("MIDBRAIN", "midbrain", "중뇌",
                Lobe.BRAINSTEM, Eloquence.BRAINSTEM, "C71.7"),
    BrainRegion("PONS", "pons", "다리뇌",
                Lobe.BRAINSTEM, Eloquence.BRAINSTEM, "C71.7"),
    BrainRegion("MEDULLA", "medulla oblongata", "숨뇌",
                Lobe.BRAINSTEM, Eloquence.BRAINSTEM, "C71.7"),
    BrainRegion("CBL_HEM", "cerebellar hemisphere", "소뇌 반구",
                Lobe.CEREBELLUM, Eloquence.NONE, "C71.6"),
    BrainRegion("VERMIS", "cerebellar vermis", "소뇌 벌레",
                Lobe.CEREBELLUM, Eloquence.NONE, "C71.6", two_sided=False),
)  # fmt: skip


def _with_sides(regions: tuple[BrainRegion, ...]) -> tuple[SidedRegion, ...]:
    pairs = [
        (region, side)
        for region in regions
        for side in ((Side.LEFT, Side.RIGHT) if region.two_sided else (Side.MIDLINE,))
    ]
    return tuple(SidedRegion(label, region, side) for label, (region, side) in enumerate(pairs, start=1))


SIDED_REGIONS: tuple[SidedRegion, ...] = _with_sides(BRAIN_REGIONS)
"""Every region on every side; ``SIDED_REGIONS[label - 1]`` is what voxel value ``label`` means."""

REGION_CODES: tuple[str, ...] = tuple(region.code for region in BRAIN_REGIONS)

_BY_CODE = {region.code: region for region in BRAIN_REGIONS}


def region_named(code: str) -> BrainRegion:
    """The region of that code.

    Raises:
        InvalidValueError: unknown code; the message lists the known ones.
    """
    if code not in _BY_CODE:
        raise InvalidValueError(
            f"region: {code!r} is not known; known are {', '.join(REGION_CODES)}", code="unknown_region"
        )
    return _BY_CODE[code]
