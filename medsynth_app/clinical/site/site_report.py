"""Where a tumour lies: side, lobes, regions, distance to eloquent brain, pieces, ICD-10 site.

Everything is measured on the patient's own grid, in the patient's millilitres and millimetres; only the
names come from the atlas. A report edits no voxel, and one that cannot be trusted says why and stops there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from scipy.ndimage import label as connected_components
from scipy.spatial import cKDTree

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.atlas import Atlas
from medsynth_app.imaging.atlas.brain_regions import SIDED_REGIONS, Side, SidedRegion
from medsynth_app.imaging.atlas.registration import Registration
from medsynth_app.imaging.geometry import foreground_box
from medsynth_app.plain_values import plain
from medsynth_app.vocabulary import LABEL_NAMES, RESEARCH_NOTICE, TumorLabel, TumorRegion

CORE_LABELS = TumorRegion.TUMOR_CORE.labels


class TumorSide(str, Enum):
    """The side of a whole tumour, or of a piece of it."""

    LEFT = "left"
    RIGHT = "right"
    MIDLINE = "midline"
    BILATERAL = "bilateral"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class SiteConfiguration:
    """Where the report draws its lines.

    Attributes:
        least_component_ml: smaller connected pieces are counted but not described.
        one_sided_share: at least this share of a tumour on one side makes it one-sided, wherever it lies.
        midline_band_mm: else a tumour mostly within this distance of the midline is called midline.
        main_side_share: else at least this share on one side names that side as the tumour's; what reaches
            across is told apart from it. Bilateral is left for a tumour whose lesser side holds a third.
        midline_tolerance_mm: only tumour further across the midline than this counts as crossing, because the
            registration is that uncertain.
        least_crossing_ml: less tumour across the midline does not count as crossing.
        one_site_share: at least this share of the tumour in one ICD-10 site gives its code, else C71.8.
        least_region_share: regions that hold a smaller share of the tumour are left out of the list, unless
            the tumour fills that share of the region.
    """

    least_component_ml: float = 0.1
    one_sided_share: float = 0.85
    midline_band_mm: float = 10.0
    main_side_share: float = 2.0 / 3.0
    midline_tolerance_mm: float = 5.0
    least_crossing_ml: float = 0.5
    one_site_share: float = 0.6
    least_region_share: float = 0.005


@dataclass(frozen=True)
class LobeShare:
    """How much of the tumour lies in a lobe.

    Attributes:
        lobe: for example ``frontal``; ``outside`` is tumour that the atlas does not cover.
        side: ``left``, ``right``, ``midline`` or ``unknown``.
        tumor_ml: whole tumour there.
        percent_of_tumor: of the whole tumour, 0 to 100.
        percent_of_core: of the tumour core (without oedema), 0 to 100; 0 where there is no core.
    """

    lobe: str
    side: str
    tumor_ml: float
    percent_of_tumor: float
    percent_of_core: float


@dataclass(frozen=True)
class RegionShare:
    """How much of the tumour lies in a region, and how much of the region is tumour.

    Attributes:
        code: region code of ``brain_regions``.
        side: ``left``, ``right``, ``midline`` or ``unknown``.
        name_en: English name with side.
        name_ko: Korean name with side.
        lobe: its lobe.
        eloquence: ``none`` or what is at stake.
        tumor_ml: whole tumour there.
        core_ml: core there.
        percent_of_tumor: of the whole tumour, 0 to 100.
        percent_of_region: of the region's volume that is tumour, 0 to 100.
    """

    code: str
    side: str
    name_en: str
    name_ko: str
    lobe: str
    eloquence: str
    tumor_ml: float
    core_ml: float
    percent_of_tumor: float
    percent_of_region: float


@dataclass(frozen=True)
class EloquentDistance:
    """How far an eloquent region is.

    Attributes:
        code: region code.
        side: ``left``, ``right``, ``midline`` or ``unknown``.
        name_en: English name with side.
        name_ko: Korean name with side.
        eloquence: what is at stake; language counts in the dominant hemisphere, which imaging cannot tell.
        distance_mm: between the nearest voxel centres of region and whole tumour; 0 where they overlap.
        core_distance_mm: the same to the core; None without a core.
    """

    code: str
    side: str
    name_en: str
    name_ko: str
    eloquence: str
    distance_mm: float
    core_distance_mm: float | None


@dataclass(frozen=True)
class TumorComponent:
    """One connected piece of the whole tumour.

    Attributes:
        number: value of the piece in ``find_components``; 1 is the largest.
        volume_ml: its volume.
        core_ml: core in it.
        side: its side.
        lobe: the lobe that holds most of it, or None if not assessable.
        region: code of the region that holds most of it, or None.
        icd10_site: C71.x.
        center_mm: its centroid, RAS mm in the patient's coordinates.
        gap_mm: distance to the nearest voxel of the largest piece; 0 for that piece itself.
    """

    number: int
    volume_ml: float
    core_ml: float
    side: str
    lobe: str | None
    region: str | None
    icd10_site: str
    center_mm: tuple[float, float, float]
    gap_mm: float


@dataclass(frozen=True)
class QualityCheck:
    """A gate of the registration, as in ``registration.GateResult``."""

    name: str
    value: float
    allowed: str
    passed: bool
    meaning: str


@dataclass(frozen=True)
class SiteReport:
    """The site of a tumour.

    Attributes:
        assessable: whether sides and regions below may be used; if False they are empty.
        reasons: why not, one sentence each.
        quality: every check of the registration.
        side_known: whether the image's header tells left from right.
        side: of the whole tumour: where most of it lies (``SiteConfiguration``), not how far it reaches.
        percent_left: share of the whole tumour left of the midline, 0 to 100; None if the side is unknown.
        percent_right: the same, right.
        crosses_midline: whether it reaches across by more than the registration's uncertainty; None if not
            assessable.
        across_midline_ml: that volume.
        volumes_ml: per label name, and ``whole_tumor`` and ``tumor_core``.
        lobes: largest share first.
        regions: largest share first.
        eloquent: nearest first.
        components: pieces of at least the configured volume, largest first.
        small_components: number of smaller pieces.
        multifocal: whether there are two or more described pieces.
        icd10_site: C71.x of the whole tumour.
        atlas_version: hash of the atlas.
        warnings: what a reader must know.
        notice: what this is not.
    """

    assessable: bool
    reasons: tuple[str, ...]
    quality: tuple[QualityCheck, ...]
    side_known: bool
    side: str
    percent_left: float | None
    percent_right: float | None
    crosses_midline: bool | None
    across_midline_ml: float | None
    volumes_ml: dict[str, float]
    lobes: tuple[LobeShare, ...]
    regions: tuple[RegionShare, ...]
    eloquent: tuple[EloquentDistance, ...]
    components: tuple[TumorComponent, ...]
    small_components: int
    multifocal: bool
    icd10_site: str
    atlas_version: str
    warnings: tuple[str, ...] = ()
    notice: str = field(default=RESEARCH_NOTICE)

    def to_json(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers (three decimals) that fit ``site_report.schema.json``."""
        record: dict[str, Any] = plain(self, digits=3)
        return record


def describe_site(
    labels: np.ndarray,
    registration: Registration,
    atlas: Atlas,
    configuration: SiteConfiguration = SiteConfiguration(),
    *,
    atlas_labels: np.ndarray | None = None,
) -> SiteReport:
    """Describe where a tumour lies.

    Args:
        labels: (X, Y, Z) label map on the registered image's grid, values of ``TumorLabel`` and 0.
        registration: of the same image.
        atlas: the atlas it leads to.
        configuration: where the report draws its lines.
        atlas_labels: ``registration.labels_on_patient_grid(atlas)`` if the caller has it already.

    Returns:
        The report; an empty mask or a failed registration gives one that is not assessable.

    Raises:
        InvalidValueError: shape differs from the registered image's, or labels outside 0 to 3.
    """
    labels = _checked(labels, registration)
    reasons = registration.reasons
    if not labels.any():
        reasons = ("mask is empty: there is no tumour to describe", *reasons)
    if reasons:
        return _not_assessable(labels, registration, atlas, reasons, configuration)
    if atlas_labels is None:
        atlas_labels = registration.labels_on_patient_grid(atlas)
    tumor = _Tumor(labels, atlas_labels, registration)
    return _report(tumor, registration, atlas, configuration)


def region_occupancy(
    labels: np.ndarray, atlas_labels: np.ndarray
) -> dict[tuple[str, Side], tuple[float, float]]:
    """How much of every region is tumour core, and how much is oedema.

    Args:
        labels: (X, Y, Z) values of ``TumorLabel`` and 0.
        atlas_labels: (X, Y, Z) atlas labels on the same grid.

    Returns:
        (region code, side) -> (core, oedema) as fractions 0 to 1 of the region's volume. Every region of the
        atlas has an entry; one that is outside the field of view has (0, 0).

    Raises:
        InvalidValueError: the shapes differ.
    """
    if labels.shape != atlas_labels.shape:
        raise InvalidValueError(
            f"labels: shape {labels.shape} differs from the atlas labels' {atlas_labels.shape}",
            code="shape_mismatch",
        )
    size = len(SIDED_REGIONS) + 1
    total = np.bincount(atlas_labels.ravel(), minlength=size)
    inside = labels > 0
    values, places = labels[inside], atlas_labels[inside]
    core = np.bincount(places[np.isin(values, CORE_LABELS)], minlength=size)
    edema = np.bincount(places[values == TumorLabel.EDEMA], minlength=size)
    return {
        region.key: (_fraction(core[region.label], total[region.label]),
                     _fraction(edema[region.label], total[region.label]))
        for region in SIDED_REGIONS
    }  # fmt: skip


def find_components(labels: np.ndarray) -> np.ndarray:
    """The connected pieces of the whole tumour (voxels that touch at a corner belong together).

    Args:
        labels: (X, Y, Z), non-zero in the tumour.

    Returns:
        (X, Y, Z) int32: 0 background, 1 the largest piece, 2 the next, ...
    """
    components = np.zeros(labels.shape, np.int32)
    inside = labels > 0
    if not inside.any():
        return components
    box = foreground_box(inside).slices
    pieces, number = connected_components(inside[box], structure=np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=number + 1)[1:]
    rank = np.zeros(number + 1, np.int32)
    rank[1 + np.argsort(-sizes, kind="stable")] = np.arange(1, number + 1)
    components[box] = rank[pieces]
    return components


# ------------------------------------------------------------------------------------------ the tumour


class _Tumor:
    """The tumour's voxels as lists: every table below is a count over them."""

    def __init__(self, labels: np.ndarray, atlas_labels: np.ndarray, registration: Registration) -> None:
        affine = registration.patient_affine
        index = np.argwhere(labels > 0)
        where = tuple(index.T)
        self.voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0
        self.values = labels[where]
        self.core = np.isin(self.values, CORE_LABELS)
        self.places = atlas_labels[where]
        self.points = index @ affine[:3, :3].T + affine[:3, 3]
        self.mni_x = registration.to_mni(self.points)[:, 0]
        self.pieces = find_components(labels)[where]
        self.labels = labels
        self.atlas_labels = atlas_labels

    def part(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Atlas labels and MNI x of some of the voxels."""
        return self.places[keep], self.mni_x[keep]


def _report(
    tumor: _Tumor, registration: Registration, atlas: Atlas, configuration: SiteConfiguration
) -> SiteReport:
    known = registration.side_known
    across = _across_midline_ml(tumor, configuration)
    components, small = _components(tumor, known, configuration)
    left = 100.0 * float((tumor.mni_x <= 0).mean())
    return SiteReport(
        assessable=True,
        reasons=(),
        quality=_quality(registration),
        side_known=known,
        side=_side(tumor.mni_x, known, configuration).value,
        percent_left=left if known else None,
        percent_right=100.0 - left if known else None,
        crosses_midline=across >= configuration.least_crossing_ml,
        across_midline_ml=across,
        volumes_ml=_volumes(tumor.values, tumor.voxel_ml),
        lobes=_lobes(tumor, known),
        regions=_regions(tumor, known, configuration),
        eloquent=_eloquent_distances(tumor, registration, known),
        components=components,
        small_components=small,
        multifocal=len(components) > 1,
        icd10_site=_icd10_site(tumor.places[tumor.core] if tumor.core.any() else tumor.places, configuration),
        atlas_version=atlas.version,
        warnings=_warnings(registration, across >= configuration.least_crossing_ml, small),
    )


def _not_assessable(
    labels: np.ndarray,
    registration: Registration,
    atlas: Atlas,
    reasons: tuple[str, ...],
    configuration: SiteConfiguration,
) -> SiteReport:
    """Volumes need no atlas and are told; sites are not."""
    voxel_ml = abs(float(np.linalg.det(registration.patient_affine[:3, :3]))) / 1000.0
    sizes = np.bincount(find_components(labels).ravel())[1:] * voxel_ml
    described = int((sizes >= configuration.least_component_ml).sum())
    return SiteReport(
        assessable=False,
        reasons=reasons,
        quality=_quality(registration),
        side_known=registration.side_known,
        side=TumorSide.UNKNOWN.value,
        percent_left=None,
        percent_right=None,
        crosses_midline=None,
        across_midline_ml=None,
        volumes_ml=_volumes(labels[labels > 0], voxel_ml),
        lobes=(),
        regions=(),
        eloquent=(),
        components=(),
        small_components=len(sizes) - described,
        multifocal=described > 1,
        icd10_site="C71.9",
        atlas_version=atlas.version,
        warnings=_warnings(registration, False, 0),
    )


# ------------------------------------------------------------------------------------------ its tables


def _checked(labels: np.ndarray, registration: Registration) -> np.ndarray:
    if labels.shape != registration.patient_shape:
        raise InvalidValueError(
            f"labels: shape {labels.shape} differs from the registered image's {registration.patient_shape}",
            code="shape_mismatch",
        )
    allowed = (0, *LABEL_NAMES.values())
    found = np.unique(labels)
    strange = [value for value in found.tolist() if value not in allowed]
    if strange:
        raise InvalidValueError(f"labels: values {strange} are not allowed, allowed are {list(allowed)}")
    return labels.astype(np.uint8)


def _volumes(values: np.ndarray, voxel_ml: float) -> dict[str, float]:
    volumes = {name: float((values == value).sum()) * voxel_ml for name, value in LABEL_NAMES.items()}
    volumes["whole_tumor"] = len(values) * voxel_ml
    volumes["tumor_core"] = float(np.isin(values, CORE_LABELS).sum()) * voxel_ml
    return volumes


def _quality(registration: Registration) -> tuple[QualityCheck, ...]:
    return tuple(
        QualityCheck(gate.name, gate.value, gate.allowed, gate.passed, gate.meaning)
        for gate in registration.gates
    )


def _side(mni_x: np.ndarray, known: bool, configuration: SiteConfiguration) -> TumorSide:
    left = float((mni_x <= 0).mean())
    share = max(left, 1 - left)
    main = TumorSide.LEFT if left > 0.5 else TumorSide.RIGHT
    if share >= configuration.one_sided_share:
        return main if known else TumorSide.UNKNOWN
    if float((np.abs(mni_x) <= configuration.midline_band_mm).mean()) > 0.5:
        return TumorSide.MIDLINE
    if share >= configuration.main_side_share:
        return main if known else TumorSide.UNKNOWN
    return TumorSide.BILATERAL


def _across_midline_ml(tumor: _Tumor, configuration: SiteConfiguration) -> float:
    """Volume on the lesser side, counted from a few mm beyond the midline."""
    limit = configuration.midline_tolerance_mm
    left, right = (tumor.mni_x < -limit).sum(), (tumor.mni_x > limit).sum()
    return float(min(left, right)) * tumor.voxel_ml


def _side_word(region: SidedRegion, known: bool) -> str:
    return region.side.value if known or region.side is Side.MIDLINE else TumorSide.UNKNOWN.value


def _names(region: SidedRegion, known: bool) -> tuple[str, str]:
    return (region.name_en, region.name_ko) if known else (region.region.name_en, region.region.name_ko)


def _lobes(tumor: _Tumor, known: bool) -> tuple[LobeShare, ...]:
    whole = _counts(tumor.places)
    core = _counts(tumor.places[tumor.core])
    sums: dict[tuple[str, str], np.ndarray] = {}
    if whole[0]:
        sums["outside", TumorSide.UNKNOWN.value] = np.array([whole[0], core[0]])
    for region in SIDED_REGIONS:
        key = (region.region.lobe.value, _side_word(region, known))
        sums[key] = sums.get(key, np.zeros(2)) + (whole[region.label], core[region.label])
    rows = [
        LobeShare(
            lobe,
            side,
            float(counts[0]) * tumor.voxel_ml,
            100.0 * float(counts[0]) / len(tumor.places),
            100.0 * float(counts[1]) / max(1, int(tumor.core.sum())),
        )
        for (lobe, side), counts in sums.items()
        if counts[0] > 0
    ]
    return tuple(sorted(rows, key=lambda row: -row.tumor_ml))


def _regions(tumor: _Tumor, known: bool, configuration: SiteConfiguration) -> tuple[RegionShare, ...]:
    whole, core = _counts(tumor.places), _counts(tumor.places[tumor.core])
    sizes = _counts(tumor.atlas_labels.ravel())
    rows = []
    for group in _groups(known):
        region = group[0]
        inside, inside_core, size = (sum(int(c[r.label]) for r in group) for c in (whole, core, sizes))
        of_tumor, of_region = _fraction(inside, len(tumor.places)), _fraction(inside, size)
        if inside == 0 or max(of_tumor, of_region) < configuration.least_region_share:
            continue
        rows.append(
            RegionShare(
                region.region.code,
                _side_word(region, known),
                *_names(region, known),
                region.region.lobe.value,
                region.region.eloquence.value,
                inside * tumor.voxel_ml,
                inside_core * tumor.voxel_ml,
                100.0 * of_tumor,
                # With an unknown side the tumour sits in one of two regions of this size.
                100.0 * min(1.0, of_region * len(group)),
            )
        )
    return tuple(sorted(rows, key=lambda row: -row.tumor_ml))


def _groups(known: bool) -> list[list[SidedRegion]]:
    """Regions a side each; left and right together where the side is unknown."""
    if known:
        return [[region] for region in SIDED_REGIONS]
    by_code: dict[str, list[SidedRegion]] = {}
    for region in SIDED_REGIONS:
        by_code.setdefault(region.region.code, []).append(region)
    return list(by_code.values())


def _eloquent_distances(
    tumor: _Tumor, registration: Registration, known: bool
) -> tuple[EloquentDistance, ...]:
    to_tumor = _Distance(tumor.labels > 0, tumor.atlas_labels, registration.patient_affine)
    core = np.isin(tumor.labels, CORE_LABELS)
    to_core = _Distance(core, tumor.atlas_labels, registration.patient_affine) if core.any() else None
    rows = []
    for group in _groups(known):
        region, values = group[0], [r.label for r in group]
        if not region.region.is_eloquent or not to_tumor.reaches(values):
            continue
        rows.append(
            EloquentDistance(
                region.region.code,
                _side_word(region, known),
                *_names(region, known),
                region.region.eloquence.value,
                to_tumor.mm(values),
                to_core.mm(values) if to_core else None,
            )
        )
    return tuple(sorted(rows, key=lambda row: row.distance_mm))


class _Distance:
    """Distances in mm between a mask and regions of the atlas, by their border voxels alone."""

    def __init__(self, mask: np.ndarray, atlas_labels: np.ndarray, affine: np.ndarray) -> None:
        self.touched = set(np.unique(atlas_labels[mask]).tolist())
        self.tree = cKDTree(_border_points(mask.astype(np.uint8), affine)[1])
        self.labels, self.points = _border_points(atlas_labels, affine)

    def reaches(self, values: list[int]) -> bool:
        """Whether a region is in the field of view at all."""
        return bool(np.isin(self.labels, values).any())

    def mm(self, values: list[int]) -> float:
        """0 where the mask overlaps one of the regions, else the distance of the nearest voxel centres."""
        if self.touched.intersection(values):
            return 0.0
        return float(self.tree.query(self.points[np.isin(self.labels, values)])[0].min())


def _border_points(labels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and points (RAS mm) of the labelled voxels that have a neighbour of another label."""
    box = foreground_box(labels > 0, margin=1)
    inner = labels[box.slices]
    border = np.zeros(inner.shape, bool)
    for axis in range(3):
        differs = np.diff(inner, axis=axis) != 0
        before: list[slice] = [slice(None)] * 3
        after: list[slice] = [slice(None)] * 3
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        border[tuple(before)] |= differs
        border[tuple(after)] |= differs
    index = np.argwhere(border & (inner > 0))
    points = (index + np.array(box.start)) @ affine[:3, :3].T + affine[:3, 3]
    return inner[tuple(index.T)], points


def _nearest_mm(tree: cKDTree, points: np.ndarray) -> float:
    return float(tree.query(points)[0].min())


def _components(
    tumor: _Tumor, known: bool, configuration: SiteConfiguration
) -> tuple[tuple[TumorComponent, ...], int]:
    """The described pieces, and how many smaller ones there are."""
    sizes = np.bincount(tumor.pieces)[1:] * tumor.voxel_ml
    described = np.flatnonzero(sizes >= configuration.least_component_ml) + 1
    largest = cKDTree(tumor.points[tumor.pieces == 1]) if len(described) > 1 else None
    return tuple(
        _component(tumor, int(number), largest, known, configuration) for number in described
    ), len(sizes) - len(described)


def _component(
    tumor: _Tumor, number: int, largest: cKDTree | None, known: bool, configuration: SiteConfiguration
) -> TumorComponent:
    own = tumor.pieces == number
    places, mni_x = tumor.part(own)
    region = _main_region(places)
    gap = 0.0 if number == 1 or largest is None else _nearest_mm(largest, tumor.points[own])
    x, y, z = tumor.points[own].mean(axis=0).tolist()
    return TumorComponent(
        number=number,
        volume_ml=float(own.sum()) * tumor.voxel_ml,
        core_ml=float((own & tumor.core).sum()) * tumor.voxel_ml,
        side=_side(mni_x, known, configuration).value,
        lobe=_main_lobe(places),
        region=region,
        icd10_site=_icd10_site(places, configuration),
        center_mm=(x, y, z),
        gap_mm=gap,
    )


def _main_region(places: np.ndarray) -> str | None:
    counts = _counts(places)[1:]
    return SIDED_REGIONS[int(counts.argmax())].region.code if counts.any() else None


def _main_lobe(places: np.ndarray) -> str | None:
    sums: dict[str, int] = {}
    for region, count in zip(SIDED_REGIONS, _counts(places)[1:].tolist()):
        sums[region.region.lobe.value] = sums.get(region.region.lobe.value, 0) + count
    return max(sums, key=lambda lobe: sums[lobe]) if any(sums.values()) else None


def _icd10_site(places: np.ndarray, configuration: SiteConfiguration) -> str:
    """The site that holds enough of the voxels, else C71.8 (overlapping); C71.9 if none is in the atlas."""
    sums: dict[str, int] = {}
    for region, count in zip(SIDED_REGIONS, _counts(places)[1:].tolist()):
        sums[region.region.icd10_site] = sums.get(region.region.icd10_site, 0) + count
    inside = sum(sums.values())
    if inside == 0:
        return "C71.9"
    site = max(sums, key=lambda code: sums[code])
    return site if sums[site] >= configuration.one_site_share * inside else "C71.8"


def _counts(places: np.ndarray) -> np.ndarray:
    """Voxels per atlas label, index 0 is outside the atlas."""
    return np.bincount(places, minlength=len(SIDED_REGIONS) + 1)


def _fraction(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole > 0 else 0.0


def _warnings(registration: Registration, crosses: bool, small: int) -> tuple[str, ...]:
    warnings = []
    if not registration.side_known:
        warnings.append("left and right cannot be told: the image's header is missing or made up")
    if crosses:
        warnings.append("the tumour reaches across the midline; mass effect may shift the midline itself")
    if small:
        warnings.append(f"{small} piece(s) of the mask are smaller than the least volume and not described")
    return tuple(warnings)
