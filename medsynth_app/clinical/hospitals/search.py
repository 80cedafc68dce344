"""From brain regions to hospitals: what the site wants, and who offers it how near.

    score = 0.60 service match + 0.15 level + 0.25 exp(-km / 50)

Service match is the weighted share of wanted services that are offered, each times the confidence of the
entry and its recency. Of many hospitals nothing but the type is published: their services are unknown, not absent, and
the type stands in for them, by name (`RankedHospital.proxy`). Among equals the nearest comes first. Every term is
shown. Only region codes, three yes/no facts and a place reach this
module: no patient field. The list is a directory in order, not advice; where the cross-check says that the
site is doubtful only general services are asked for, and urgent signs come before any hospital.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from threading import Lock

import numpy as np

from medsynth_app.clinical.hospitals.repository import (
    Hospital,
    HospitalColumns,
    HospitalRepository,
    RegionService,
    Service,
    check_place,
    great_circle_km,
)
from medsynth_app.clinical.intake.red_flags import EMERGENCY_EN, EMERGENCY_KO, RedFlag
from medsynth_app.clinical.scoring.cross_check import ConcordanceClass
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.brain_regions import region_named
from medsynth_app.vocabulary import RESEARCH_NOTICE

ORDER_NOTICE = "Listed by the terms shown, from the data and dates shown. Not a recommendation."
OTHER_LEVEL_SCORE = 0.2
"""Score of a hospital whose level of care is unknown."""
SITE_DOUBTFUL = frozenset({ConcordanceClass.DISCORDANT, ConcordanceClass.NOT_ASSESSABLE})
"""Classes for which the site must not choose the services."""


@dataclass(frozen=True)
class RankingConfiguration:
    """Numbers of the ranking.

    Attributes:
        service_share: weight of the service match.
        level_share: weight of the level of care.
        distance_share: weight of the distance term.
        distance_scale_km: distance at which the distance term has fallen to 1/e.
        level_scores: HIRA code -> 0 to 1; others count as `OTHER_LEVEL_SCORE`.
        level_proxies: HIRA code -> service match supposed where no service of a hospital is known.
        keep_invented: list the project's invented hospitals also where real ones were imported.
        yearly_fading: what an entry loses in recency per year of age.
        least_recency: recency of very old and undated entries.
    """

    service_share: float = 0.60
    level_share: float = 0.15
    distance_share: float = 0.25
    distance_scale_km: float = 50.0
    level_scores: tuple[tuple[str, float], ...] = (("01", 1.0), ("11", 0.7), ("21", 0.4))
    level_proxies: tuple[tuple[str, float], ...] = (("01", 0.6), ("11", 0.3), ("21", 0.1))
    keep_invented: bool = False
    yearly_fading: float = 0.1
    least_recency: float = 0.5


@dataclass(frozen=True)
class HospitalQuery:
    """What is asked of the directory.

    Attributes:
        regions: region codes of the site, most occupied first.
        concordance: class of the cross-check; None where only the regions are known.
        latitude: degrees north of the patient; None where no place is given.
        longitude: degrees east of the patient.
        seizures: the patient reports seizures.
        child: the patient is under 18.
        red_flags: urgent signs that were raised.
        country: ISO code to stay within; anywhere where empty.
        max_distance_km: leave out hospitals further away and those of unknown place; needs a place.
        limit: most hospitals listed, 1 to 100.
    """

    regions: tuple[str, ...] = ()
    concordance: ConcordanceClass | None = None
    latitude: float | None = None
    longitude: float | None = None
    seizures: bool = False
    child: bool = False
    red_flags: tuple[RedFlag, ...] = ()
    country: str = ""
    max_distance_km: float | None = None
    limit: int = 10

    def __post_init__(self) -> None:
        for code in self.regions:
            region_named(code)
        if (self.latitude is None) != (self.longitude is None):
            raise InvalidValueError("latitude, longitude: only one is given; allowed: both or none")
        if self.latitude is not None and self.longitude is not None:
            check_place(self.latitude, self.longitude)
        if not 1 <= self.limit <= 100:
            raise InvalidValueError(f"limit: {self.limit}; allowed: 1 to 100")
        if self.max_distance_km is not None and not self.max_distance_km > 0:
            raise InvalidValueError(f"max_distance_km: {self.max_distance_km}; allowed: above 0")
        if self.max_distance_km is not None and self.latitude is None:
            raise InvalidValueError("max_distance_km: given without latitude and longitude; allowed: with a place")

    @property
    def site_is_doubtful(self) -> bool:
        """Whether only general services may be asked for."""
        return self.concordance in SITE_DOUBTFUL


@dataclass(frozen=True)
class WantedService:
    """A service that the site wants.

    Attributes:
        code: service code.
        name_en: English name.
        name_ko: Korean name.
        weight: 0 to 1.
        reasons_en: why, English.
        reasons_ko: why, Korean.
    """

    code: str
    name_en: str
    name_ko: str
    weight: float
    reasons_en: tuple[str, ...]
    reasons_ko: tuple[str, ...]


@dataclass(frozen=True)
class RankingTerms:
    """The terms of one score, each between 0 and 1 before its weight.

    Attributes:
        service_match: weighted share of wanted services offered, times confidence and recency.
        level: score of the level of care.
        distance: exp(-km / scale); 0 where the distance is unknown.
        recency: of the hospital's entry.
    """

    service_match: float
    level: float
    distance: float
    recency: float


@dataclass(frozen=True)
class RankedHospital:
    """A hospital in the list.

    Attributes:
        hospital: the hospital with its source, licence and date.
        score: 0 to 1.
        terms: what the score is made of.
        distance_km: great-circle distance; None where a place is unknown.
        offered: wanted services it offers.
        missing: wanted services that it is known not to offer.
        unknown: wanted services of which nothing is known: neither offered nor missing.
        proxy: what stands in for unknown services, for example ``level 01 (tertiary)``; empty where nothing does.
    """

    hospital: Hospital
    score: float
    terms: RankingTerms
    distance_km: float | None
    offered: tuple[str, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    proxy: str = ""


LEVEL_NAMES = {"01": "tertiary general hospital", "11": "general hospital", "21": "hospital"}
"""HIRA's types of hospital."""


@dataclass(frozen=True)
class HospitalAnswer:
    """The answer of the directory.

    Attributes:
        emergency_en: what to do first, English; empty where no urgent sign was raised.
        emergency_ko: what to do first, Korean.
        red_flags: the urgent signs.
        general_only: the site is doubtful, so only general services were asked for.
        wanted: the services asked for, most wanted first.
        hospitals: the list.
        notice: that this is a directory.
        research_notice: that this is research only.
    """

    emergency_en: str
    emergency_ko: str
    red_flags: tuple[RedFlag, ...]
    general_only: bool
    wanted: tuple[WantedService, ...]
    hospitals: tuple[RankedHospital, ...]
    notice: str = ORDER_NOTICE
    research_notice: str = RESEARCH_NOTICE


@dataclass(frozen=True)
class _Loaded:
    """What the directory keeps in memory; ``levels`` and ``proxies`` hold what each hospital's level counts."""

    columns: HospitalColumns
    levels: np.ndarray
    proxies: np.ndarray
    services: tuple[Service, ...]
    region_services: tuple[RegionService, ...]


class HospitalDirectory:
    """Ranks all hospitals at once from columns in memory; reads them again after an import.

    Args:
        repository: where the hospitals are.
        configuration: numbers of the ranking.
    """

    def __init__(
        self, repository: HospitalRepository, configuration: RankingConfiguration = RankingConfiguration()
    ) -> None:
        self._repository = repository
        self._configuration = configuration
        self._lock = Lock()
        self._state: tuple[int, int] | None = None
        self._loaded: _Loaded | None = None

    def find(self, query: HospitalQuery, today: date) -> HospitalAnswer:
        """List the hospitals that fit best.

        Args:
            query: what is wanted and where.
            today: the day from which the age of the data counts.
        """
        loaded = self._current()
        wanted = wanted_services(query, loaded.services, loaded.region_services)
        ranking = _Ranking(loaded, query, wanted, self._configuration, today)
        best = ranking.best()
        hospitals = self._repository.hospitals(tuple(loaded.columns.ids[best]))
        return HospitalAnswer(
            emergency_en=EMERGENCY_EN if query.red_flags else "",
            emergency_ko=EMERGENCY_KO if query.red_flags else "",
            red_flags=query.red_flags,
            general_only=query.site_is_doubtful,
            wanted=wanted,
            hospitals=tuple(ranking.ranked(at, hospital) for at, hospital in zip(best, hospitals)),
        )

    def refresh(self) -> None:
        """Read the hospitals now rather than at the next question, for example when a server starts."""
        self._current()

    def _current(self) -> _Loaded:
        state = self._repository.hospital_state()
        with self._lock:
            if self._loaded is None or state != self._state:
                self._loaded, self._state = self._load(), state
            return self._loaded

    def _load(self) -> _Loaded:
        columns = self._repository.hospital_columns(with_invented=self._configuration.keep_invented)
        scores = dict(self._configuration.level_scores)
        proxies = dict(self._configuration.level_proxies)
        return _Loaded(
            columns=columns,
            levels=np.array(
                [scores.get(level, OTHER_LEVEL_SCORE) for level in columns.levels], dtype=np.float64
            ),
            proxies=np.array([proxies.get(level, 0.0) for level in columns.levels], dtype=np.float64),
            services=self._repository.services(),
            region_services=self._repository.region_services(),
        )


def wanted_services(
    query: HospitalQuery, services: Iterable[Service], region_services: Iterable[RegionService]
) -> tuple[WantedService, ...]:
    """What the care of a site wants: the highest weight where several regions want the same.

    A doubtful site wants general services only.
    """
    known = {service.code: service for service in services}
    if query.site_is_doubtful:
        reason = ("the site is doubtful: general assessment", "위치가 불확실함: 일반 평가")
        wants = [
            RegionService("ALWAYS", code, 1.0, *reason) for code, service in known.items() if service.general
        ]
    else:
        asked = {"ALWAYS", *query.regions} | ({"SEIZURE"} if query.seizures else set())
        asked |= {"CHILD"} if query.child else set()
        wants = [want for want in region_services if want.region in asked]
    grouped: dict[str, list[RegionService]] = {}
    for want in sorted(wants, key=lambda each: -each.weight):
        grouped.setdefault(want.service, []).append(want)
    found = [
        WantedService(
            code, known[code].name_en, known[code].name_ko, same[0].weight,
            tuple(dict.fromkeys(each.reason_en for each in same)),
            tuple(dict.fromkeys(each.reason_ko for each in same)),
        )
        for code, same in grouped.items()
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda each: (-each.weight, each.code)))


class _Ranking:
    """One query against all hospitals; every array has one entry per hospital."""

    def __init__(
        self,
        loaded: _Loaded,
        query: HospitalQuery,
        wanted: Sequence[WantedService],
        configuration: RankingConfiguration,
        today: date,
    ) -> None:
        self._columns, self._level, self._proxy = loaded.columns, loaded.levels, loaded.proxies
        self._query, self._wanted, self._configuration = query, wanted, configuration
        self._recency = _recency(self._columns.updated, today, configuration)
        self._match = self._service_match()
        self._km = self._distances()
        self._near = np.nan_to_num(np.exp(-self._km / configuration.distance_scale_km), nan=0.0)
        self.score = (
            configuration.service_share * self._match
            + configuration.level_share * self._level
            + configuration.distance_share * self._near
        )

    def best(self) -> np.ndarray:
        """Positions of the best hospitals, best first; ties by distance, then by name."""
        eligible = np.ones(len(self.score), dtype=bool)
        if self._query.country:
            eligible &= self._columns.countries == self._query.country
        if self._query.max_distance_km is not None:
            # an unknown distance is NaN: nobody knows that it is near
            eligible &= self._km <= self._query.max_distance_km
        places = np.flatnonzero(eligible)
        if not len(places):
            return places
        # rounding makes "the same score" mean the same on every machine
        scores = np.round(self.score[places], 9)
        count = min(self._query.limit, len(places))
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
        places = places[scores >= threshold]
        km = np.nan_to_num(self._km, nan=math.inf)
        order = sorted(
            places,
            key=lambda at: (-round(self.score[at], 9), km[at], self._columns.names[at], self._columns.ids[at]),
        )
        return np.array(order[:count], dtype=int)

    def ranked(self, at: int, hospital: Hospital) -> RankedHospital:
        """The hospital with its terms."""
        codes = [each.code for each in self._wanted]
        return RankedHospital(
            hospital=hospital,
            score=round(float(self.score[at]), 4),
            terms=RankingTerms(
                round(float(self._match[at]), 4), round(float(self._level[at]), 4),
                round(float(self._near[at]), 4), round(float(self._recency[at]), 4),
            ),
            distance_km=None if math.isnan(self._km[at]) else round(float(self._km[at]), 1),
            offered=tuple(code for code in codes if hospital.services.get(code, 0.0) > 0.0),
            missing=tuple(code for code in codes if code in hospital.services and not hospital.services[code] > 0.0),
            unknown=tuple(code for code in codes if code not in hospital.services),
            proxy=self._proxy_name(at, hospital),
        )  # fmt: skip

    def _proxy_name(self, at: int, hospital: Hospital) -> str:
        if self._columns.services_known[at] or not self._proxy[at]:
            return ""
        return f"level {hospital.level} ({LEVEL_NAMES.get(hospital.level, 'other')})"

    def _service_match(self) -> np.ndarray:
        column_of = {code: at for at, code in enumerate(self._columns.service_codes)}
        weights = np.array([each.weight for each in self._wanted], dtype=np.float32)
        if not len(weights):
            return np.zeros(len(self._columns.ids))
        # weights of all services, 0 for those not wanted: one product, no copy of the table
        wanted = np.zeros(len(self._columns.service_codes), dtype=np.float32)
        wanted[[column_of[each.code] for each in self._wanted]] = weights / weights.sum()
        match = (self._columns.confidence @ wanted).astype(np.float64)
        # nothing published of its services: the type of hospital stands in, and says so
        return np.where(self._columns.services_known, match, self._proxy) * self._recency

    def _distances(self) -> np.ndarray:
        if self._query.latitude is None or self._query.longitude is None:
            return np.full(len(self._columns.ids), np.nan)
        return great_circle_km(
            self._query.latitude, self._query.longitude, self._columns.latitude, self._columns.longitude
        )


def _recency(updated: np.ndarray, today: date, configuration: RankingConfiguration) -> np.ndarray:
    """1 for this year's data, less with every year, never below a floor; undated data stand at the floor."""
    years = np.maximum((today - date(1970, 1, 1)).days - updated, 0.0) / 365.25
    fading = np.maximum(1.0 - configuration.yearly_fading * years, configuration.least_recency)
    return np.nan_to_num(fading, nan=configuration.least_recency)
