"""One cross-check from images and answers to a record: where the tumour lies, and whether the symptoms fit.

    T1-like volume + label map + intake -> registration -> site report -> occupancy -> score -> hospitals

A plain library call. What goes wrong with the registration makes the answer ``not_assessable`` with its reasons;
only input that contradicts itself is an error. No voxel is ever changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np

from medsynth_app import __version__
from medsynth_app.clinical.hospitals.search import HospitalAnswer, HospitalDirectory, HospitalQuery
from medsynth_app.clinical.intake.form import Answer, Intake
from medsynth_app.clinical.intake.red_flags import RedFlag, raised_flags
from medsynth_app.clinical.knowledge.symptom_model import SymptomKind
from medsynth_app.clinical.scoring.cross_check import (
    ConcordanceClass,
    CrossCheckCase,
    CrossChecker,
    CrossCheckResult,
)
from medsynth_app.clinical.scoring.cross_check_case import case_from_mask
from medsynth_app.clinical.site.located_cache import ContentCache, content_key
from medsynth_app.clinical.site.site_report import SiteConfiguration, SiteReport, describe_site
from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.imaging.atlas.atlas import Atlas
from medsynth_app.imaging.atlas.brain_regions import SIDED_REGIONS, Lobe, Side
from medsynth_app.imaging.atlas.header_trust import side_is_known
from medsynth_app.imaging.atlas.registration import (
    GateResult,
    Registration,
    RegistrationConfiguration,
    register_to_atlas,
)
from medsynth_app.imaging.pictures import draw_labels, draw_registration
from medsynth_app.imaging.volume import Volume
from medsynth_app.plain_values import plain
from medsynth_app.vocabulary import LABEL_NAMES, RESEARCH_NOTICE

MOST_NAMED_REGIONS = 8
"""Most regions named below the picture of the regions."""
NEAR_KM = 500.0
"""Hospitals that are farther away, or nobody knows where, are listed only where there is none nearer."""
_LEAST_LOBE_PERCENT = 5.0
TIMED_OUT = "registration_time_limit"
"""Warning: the search for the atlas was broken off, the fixed affine of BraTS was taken."""


@dataclass(frozen=True)
class Place:
    """Where hospitals are looked for.

    Attributes:
        latitude: degrees north; None where no place is given.
        longitude: degrees east.
        country: ISO code to stay within; anywhere where empty.
    """

    latitude: float | None = None
    longitude: float | None = None
    country: str = ""


@dataclass(frozen=True)
class AssessmentTools:
    """What every cross-check uses; made once.

    Attributes:
        atlas: names of places.
        checker: the score with its knowledge base and lesion library.
        red_flags: urgent signs of the knowledge base.
        directory: hospitals; None leaves them out.
        knowledge_version: of the knowledge base, for the record.
        registration: how heads are brought to the atlas.
        site: where the site report draws its lines.
        least_share_percent: a region holding less of the tumour does not choose services.
        placed: masks that were laid on the atlas already; None keeps none.
    """

    atlas: Atlas
    checker: CrossChecker
    red_flags: tuple[RedFlag, ...] = ()
    directory: HospitalDirectory | None = None
    knowledge_version: str = ""
    registration: RegistrationConfiguration = RegistrationConfiguration()
    site: SiteConfiguration = SiteConfiguration()
    least_share_percent: float = 5.0
    placed: ContentCache[PlacedTumor] | None = None


@dataclass(frozen=True)
class LookHereBox:
    """A box on the patient's image around a site that the symptoms point to and the mask leaves out.

    Attributes:
        region: region code.
        side: its side.
        probability: of the suspected site, as in the score.
        symptoms: the unexplained symptoms that point there.
        start_voxel: first voxel of the box along (X, Y, Z).
        stop_voxel: one past its last voxel.
        center_mm: its middle, RAS mm of the patient.
    """

    region: str
    side: str
    probability: float
    symptoms: tuple[str, ...]
    start_voxel: tuple[int, int, int]
    stop_voxel: tuple[int, int, int]
    center_mm: tuple[float, float, float]


@dataclass(frozen=True)
class LocatedTumor:
    """A label map on the atlas.

    Attributes:
        volume: the registered image, (1, X, Y, Z).
        labels: (X, Y, Z) values of ``TumorLabel`` and 0.
        registration: of the image; one that failed has a gate that says so.
        atlas_labels: (X, Y, Z) atlas on the image's grid; None where the registration failed.
        report: the site.
        content: hash of all that decided it; empty where nobody asked.
    """

    volume: Volume
    labels: np.ndarray
    registration: Registration
    atlas_labels: np.ndarray | None
    report: SiteReport
    content: str = ""


@dataclass(frozen=True)
class PlacedTumor:
    """All of a cross-check that needs no answer of the patient: worked out once for an image and its mask.

    Attributes:
        located: the mask on the atlas.
        case: its occupancies, without symptoms.
    """

    located: LocatedTumor
    case: CrossCheckCase


@dataclass(frozen=True)
class Assessment:
    """The whole answer.

    Attributes:
        site: where the tumour lies.
        cross_check: whether the symptoms fit.
        look_here: boxes around suspected sites outside the mask.
        red_flags: urgent signs, whatever the score says.
        hospitals: the directory's list; None without a directory.
        warnings: what was doubtful about image, mask or answers.
        versions: of all that the answer rests on.
        seconds: wall time of each step.
        located: images and atlas, for pictures; not part of the record.
    """

    site: SiteReport
    cross_check: CrossCheckResult
    look_here: tuple[LookHereBox, ...]
    red_flags: tuple[RedFlag, ...]
    hospitals: HospitalAnswer | None
    warnings: tuple[str, ...]
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    located: LocatedTumor = field(repr=False)

    @property
    def concordance(self) -> ConcordanceClass:
        """The class."""
        return self.cross_check.concordance

    def as_dict(self) -> dict[str, Any]:
        """JSON values; nothing of the patient but the findings."""
        return {
            "concordance": self.concordance.value,
            "reasons": self.reasons,
            "cross_check": self.cross_check.as_dict(),
            "site": {"status": "proposed", **self.site.to_json()},
            "look_here": plain(self.look_here),
            "red_flags": plain(self.red_flags),
            "hospitals": plain(self.hospitals),
            "warnings": list(self.warnings),
            "versions": dict(self.versions),
            "seconds": dict(self.seconds),
            "notice": RESEARCH_NOTICE,
        }

    @property
    def reasons(self) -> list[str]:
        """Why the class was given: the site's sentences where it cannot be assessed, then the score's codes."""
        return [*self.site.reasons, *(reason.value for reason in self.cross_check.reasons)]


def assess(
    volume: Volume,
    labels: np.ndarray,
    intake: Intake,
    tools: AssessmentTools,
    *,
    place: Place = Place(),
    today: date | None = None,
) -> Assessment:
    """Cross-check a patient's answers with a segmented tumour.

    Args:
        volume: (1, X, Y, Z), skull-stripped and T1-like, any orientation.
        labels: (X, Y, Z) label map on the same grid, values of ``TumorLabel`` and 0; it is not changed.
        intake: the answers.
        tools: atlas, score and directory.
        place: where hospitals are looked for.
        today: day from which the age of the hospital data counts; the current day by default.

    Raises:
        InvalidValueError: the shapes differ, unknown label values, or answers the knowledge base does not know.
    """
    _check_labels(labels, volume)
    clock = _Clock()
    placed = _placed(volume, labels, tools, clock.lap)
    located = placed.located
    result = tools.checker.assess(_answered(placed.case, intake, tools))
    clock.lap("score")
    flags = raised_flags(intake, tools.red_flags, _lobes(located.report))
    hospitals = _find_hospitals(located.report, result, intake, flags, place, tools, today or date.today())
    clock.lap("hospitals")
    return Assessment(
        site=located.report,
        cross_check=result,
        look_here=_look_here(located, result),
        red_flags=flags,
        hospitals=hospitals,
        warnings=_warnings(intake, result, located),
        versions=_versions(tools),
        seconds=clock.seconds(),
        located=located,
    )


def locate_tumor(
    volume: Volume,
    labels: np.ndarray,
    atlas: Atlas,
    registration: RegistrationConfiguration = RegistrationConfiguration(),
    site: SiteConfiguration = SiteConfiguration(),
    on_step: Callable[[str], None] = lambda step: None,
) -> LocatedTumor:
    """Lay a label map on the atlas; a registration that fails or raises leaves the site not assessable.

    Args:
        volume: (1, X, Y, Z) T1-like image.
        labels: (X, Y, Z) label map on its grid.
        atlas: the atlas.
        registration: how.
        site: where the report draws its lines.
        on_step: called with the name of each step that is done.
    """
    found = _registered(volume, labels, registration)
    on_step("registration")
    usable = found.assessable and bool(labels.any())
    atlas_labels = found.labels_on_patient_grid(atlas) if usable else None
    report = describe_site(labels, found, atlas, site, atlas_labels=atlas_labels)
    on_step("site")
    return LocatedTumor(volume, labels, found, atlas_labels, report)


def draw_pictures(located: LocatedTumor) -> dict[str, bytes]:
    """PNG files for the report: ``mask`` always; ``regions`` and ``registration`` where the site is assessable."""
    known = located.registration.side_known
    pictures = {"mask": draw_labels(located.volume, located.labels, side_known=known)}
    if located.atlas_labels is not None:
        regions = np.where(located.labels > 0, located.atlas_labels, 0)
        pictures["regions"] = draw_labels(
            located.volume, regions, side_known=known, legend=_region_legend(regions, known)
        )
        pictures["registration"] = draw_registration(
            located.volume, located.atlas_labels, tumor=located.labels > 0, side_known=known
        )
    return pictures


def _region_legend(regions: np.ndarray, side_known: bool) -> dict[int, str]:
    """Codes of the largest regions in the picture, largest first: codes read the same in every language."""
    counts = np.bincount(regions[regions > 0].ravel(), minlength=1)
    legend = {}
    for label in np.argsort(-counts, kind="stable")[:MOST_NAMED_REGIONS].tolist():
        if counts[label]:
            region = SIDED_REGIONS[label - 1]
            letter = {Side.LEFT: " L", Side.RIGHT: " R"}.get(region.side, "") if side_known else ""
            legend[label] = f"{region.region.code}{letter}"
    return legend


# ------------------------------------------------------------------------------------------- the steps


def _check_labels(labels: np.ndarray, volume: Volume) -> None:
    if labels.shape != volume.spatial_shape:
        raise InvalidValueError(
            f"labels: shape {labels.shape} differs from the image {volume.spatial_shape}", code="shape_mismatch"
        )
    strange = set(np.unique(labels).tolist()) - {0, *LABEL_NAMES.values()}
    if strange:
        raise InvalidValueError(
            f"labels: hold {sorted(strange)[:5]}, allowed are 0 and {sorted(LABEL_NAMES.values())}",
            code="unknown_label",
        )


def _lobes(report: SiteReport) -> frozenset[Lobe]:
    """Lobes that hold a part of the tumour worth naming."""
    lobe_of = {site.region.code: site.region.lobe for site in SIDED_REGIONS}
    return frozenset(lobe_of[row.code] for row in report.regions if row.percent_of_tumor >= _LEAST_LOBE_PERCENT)


def _warnings(intake: Intake, result: CrossCheckResult, located: LocatedTumor) -> tuple[str, ...]:
    """Each doubt once, the intake's first: it uses the words of the form, and knows "both sides" from no answer."""
    both = {f"side_missing:{code.partition(':')[2]}" for code in intake.warnings if code.startswith("side_both:")}
    of_score = [code for code in result.warnings if code not in both]
    of_registration = [TIMED_OUT] if located.registration.timed_out else []
    return tuple(dict.fromkeys([*intake.warnings, *of_score, *of_registration, *located.report.warnings]))


def _registered(volume: Volume, labels: np.ndarray, configuration: RegistrationConfiguration) -> Registration:
    started = time.perf_counter()
    try:
        return register_to_atlas(volume, labels, configuration)
    except MedSynthError as error:
        reason = error.message
    except RuntimeError:
        # what SimpleITK raises; its text holds file names and is of no help to a reader
        reason = "the registration found no answer for this image"
    gate = GateResult("registration", 0.0, "a head that can be registered", False, reason)
    return Registration(
        matrix=np.eye(4),
        displacement=None,
        patient_affine=volume.affine,
        patient_shape=volume.spatial_shape,
        start="none",
        gates=(gate,),
        side_known=side_is_known(volume),
        seconds=time.perf_counter() - started,
    )


def _placed(
    volume: Volume, labels: np.ndarray, tools: AssessmentTools, on_step: Callable[[str], None]
) -> PlacedTumor:
    """The mask on the atlas, from memory where this very image and mask were there before."""
    key = content_key(volume, labels, tools.atlas.version, tools.registration, tools.site)
    kept = tools.placed.get(key) if tools.placed is not None else None
    if kept is not None:
        on_step("registration")
        on_step("site")
        return kept
    located = locate_tumor(volume, labels, tools.atlas, tools.registration, tools.site, on_step=on_step)
    placed = PlacedTumor(replace(located, content=key), _unanswered(located, tools))
    # one that failed or was broken off may do better with more time
    if tools.placed is not None and located.atlas_labels is not None and not located.registration.timed_out:
        tools.placed.keep(key, placed)
    return placed


def _answered(case: CrossCheckCase, intake: Intake, tools: AssessmentTools) -> CrossCheckCase:
    return replace(
        case,
        symptoms=intake.reported_symptoms(tools.checker.definitions),
        handedness=intake.handedness,
        age_years=intake.age_years,
        post_operative=intake.post_operative,
    )


def _unanswered(located: LocatedTumor, tools: AssessmentTools) -> CrossCheckCase:
    if located.atlas_labels is None:
        return CrossCheckCase(
            occupancy=np.zeros(len(tools.checker.sites)),
            symptoms=(),
            registration_passed=located.registration.assessable,
        )
    return case_from_mask(
        located.labels,
        located.atlas_labels,
        tools.checker.sites,
        (),
        spacing_mm=located.volume.spacing.tolist(),
        image_side_known=located.registration.side_known,
        smallest_component_ml=tools.site.least_component_ml,
    )


def _find_hospitals(
    site: SiteReport,
    result: CrossCheckResult,
    intake: Intake,
    flags: tuple[RedFlag, ...],
    place: Place,
    tools: AssessmentTools,
    today: date,
) -> HospitalAnswer | None:
    if tools.directory is None:
        return None
    regions = [row.code for row in site.regions if row.percent_of_tumor >= tools.least_share_percent]
    query = HospitalQuery(
        regions=tuple(dict.fromkeys(regions)),
        concordance=result.concordance,
        latitude=place.latitude,
        longitude=place.longitude,
        seizures=reports_seizures(intake, tools),
        child=intake.is_child,
        red_flags=flags,
        country=place.country,
    )
    if place.latitude is None:
        return tools.directory.find(query, today)
    near = tools.directory.find(replace(query, max_distance_km=NEAR_KM), today)
    return near if near.hospitals else tools.directory.find(query, today)


def reports_seizures(intake: Intake, tools: AssessmentTools) -> bool:
    """Whether the patient has a symptom of irritation, which is what a seizure is."""
    definitions = tools.checker.definitions
    present = [each.symptom for each in intake.answers if each.answer is Answer.YES]
    return any(definitions[symptom].kind is SymptomKind.IRRITATIVE for symptom in present)


def _look_here(located: LocatedTumor, result: CrossCheckResult) -> tuple[LookHereBox, ...]:
    boxes = []
    for suspected in result.suspected_sites:
        box = _box_of(located, suspected.region, Side(suspected.side))
        if box is not None:
            start, stop = box
            affine = located.volume.affine
            middle = affine[:3, :3] @ ((np.array(start) + np.array(stop) - 1) / 2) + affine[:3, 3]
            x, y, z = (round(float(value), 1) for value in middle)
            boxes.append(
                LookHereBox(
                    suspected.region, suspected.side, round(suspected.probability, 3), suspected.symptoms,
                    start, stop, (x, y, z),
                )
            )  # fmt: skip
    return tuple(boxes)


def _box_of(
    located: LocatedTumor, region: str, side: Side
) -> tuple[tuple[int, int, int], tuple[int, int, int]] | None:
    """First and last-but-one voxel of a region on the patient's image; None outside the field of view."""
    if located.atlas_labels is None:
        return None
    label = _label_of(region, side)
    places = np.argwhere(located.atlas_labels == label)
    if not len(places):
        return None
    return _triple(places.min(axis=0)), _triple(places.max(axis=0) + 1)


def _triple(values: Sequence[int] | np.ndarray) -> tuple[int, int, int]:
    x, y, z = (int(value) for value in values)
    return x, y, z


def _label_of(region: str, side: Side) -> int:
    return next(each.label for each in SIDED_REGIONS if each.key == (region, side))


def _versions(tools: AssessmentTools) -> dict[str, str]:
    return {
        "medsynth": __version__,
        "atlas": tools.atlas.version,
        "knowledge_base": tools.knowledge_version,
        **tools.checker.versions(),
    }


class _Clock:
    """Seconds between the laps."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name] = round(now - self._last, 3)
        self._last = now

    def seconds(self) -> dict[str, float]:
        return {**self._laps, "total": round(time.perf_counter() - self._start, 3)}
