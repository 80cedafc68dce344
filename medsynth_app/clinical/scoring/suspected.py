"""Where the symptoms alone point to, before any image is there: a posterior over all regions and sides.

    p(r | answers) ~ prior(r) * sum over dominance d of p(d) * product over symptoms s of P(s | lesion in r, d)

A *lesion in r* fills half of one site of the atlas; P(s | lesion) is the forward model of the cross-check (Bayes
with conditionally independent symptoms, as in localisation by seizure signs: Alim-Marvasti 2022, Brain Commun
fcac130). The prior is the frequency of glioma by lobe (Larjavaara 2007, Neuro-Oncology 9:319), spread over the lobe by
volume and flattened to its tenth power: who lists suspects wants the symptoms to speak, a rare site included.

Beside it stands how many random gliomas of the lesion library that cause these symptoms touch the region: gliomas
are large, so they touch more regions than the one that speaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medsynth_app.clinical.knowledge.lesion_library import LOBE_PRIOR
from medsynth_app.clinical.knowledge.symptom_model import Handedness, ReportedSymptom
from medsynth_app.clinical.scoring.cross_check import CrossChecker
from medsynth_app.clinical.scoring.evidence import Observations, compile_observations
from medsynth_app.clinical.scoring.forward_model import RIGHT_DOMINANCE
from medsynth_app.clinical.scoring.likelihood import dominance_chance
from medsynth_app.imaging.atlas.atlas import Atlas
from medsynth_app.imaging.atlas.brain_regions import Lobe

NO_LOCALISING_SYMPTOM = "no_localising_symptom"
ADULTS_ONLY = "age_below_18"
FALSE_LOCALISING = "false_localising"
_RARE_LOBE = 0.01
_LEAST_SHARE = 0.1


@dataclass(frozen=True)
class SuspectConfiguration:
    """Numbers of the list of suspects.

    Attributes:
        filled: share of a site that the supposed lesion fills.
        elsewhere: probability of a symptom whose region is not the one supposed: a glioma seldom keeps to one region.
        prior_power: flattens the prior; 0 would make all sites equal, 1 takes the frequencies as they are.
        touched_occupancy: a library lesion touches a site from here on.
        adult_age: the knowledge base speaks of patients of this age in years and older.
    """

    filled: float = 0.5
    elsewhere: float = 0.02
    prior_power: float = 0.1
    touched_occupancy: float = 0.1
    adult_age: float = 18.0


@dataclass(frozen=True)
class SuspectReason:
    """A symptom that points to a region.

    Attributes:
        symptom: identifier.
        side: the side named.
        share: how much of its possible effect a lesion in the region reaches, 0 to 1.
    """

    symptom: str
    side: str
    share: float


@dataclass(frozen=True)
class SuspectedRegion:
    """A region on one side.

    Attributes:
        region: its code.
        side: left, right or midline.
        probability: posterior; all sites sum to 1.
        touched_probability: that a random glioma with these symptoms touches it.
        lift: the posterior over what it would be without symptoms.
        reasons: the symptoms that point there, strongest first.
        center_mm: its middle in MNI space, RAS mm.
    """

    region: str
    side: str
    probability: float
    touched_probability: float
    lift: float
    reasons: tuple[SuspectReason, ...]
    center_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Suspicion:
    """The whole answer.

    Attributes:
        suspected: all sites, likeliest first; empty where no symptom points anywhere.
        reasons: why the list is empty or to be read with care, stable codes.
        warnings: about the answers, for example ``side_missing:arm_weakness``.
    """

    suspected: tuple[SuspectedRegion, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


def suspect_regions(
    symptoms: tuple[ReportedSymptom, ...],
    checker: CrossChecker,
    atlas: Atlas,
    *,
    handedness: Handedness = Handedness.UNKNOWN,
    age_years: float | None = None,
    configuration: SuspectConfiguration = SuspectConfiguration(),
) -> Suspicion:
    """Rank all sites of the atlas by what the answers say.

    Args:
        symptoms: present and denied answers; blanks count nothing.
        checker: the score with its knowledge base and lesion library.
        atlas: for the middle of each region.
        handedness: shifts the odds of the dominant hemisphere.
        age_years: below 18 the list carries a warning.
        configuration: the numbers.

    Raises:
        InvalidValueError: unknown symptom, or contradictory answers.
    """
    observations = compile_observations(symptoms, checker.definitions)
    child = age_years is not None and age_years < configuration.adult_age
    notes = (ADULTS_ONLY,) if child else ()
    warnings = (*observations.warnings, *_false_localising(observations))
    points = [
        checker.definitions[answer.id].localises
        for answer, present in zip(observations.reported, observations.present)
        if present
    ]
    if not any(points):
        return Suspicion((), (NO_LOCALISING_SYMPTOM, *notes), warnings)
    dominance = RIGHT_DOMINANCE[handedness]
    prior = _prior(checker) ** configuration.prior_power
    prior /= prior.sum()
    likelihood, effect = _likelihood(observations, checker, dominance, configuration)
    posterior = prior * likelihood
    posterior /= posterior.sum()
    touched = checker.evidence.posterior(observations, dominance) @ (
        checker.evidence.library.occupancy >= configuration.touched_occupancy
    )
    centers = region_centers_mm(atlas)
    rows = [
        SuspectedRegion(
            site.region.code, site.side.value, float(posterior[at]), float(touched[at]),
            float(posterior[at] / prior[at]), _reasons(observations, effect[:, at]), centers[site.key],
        )
        for at, site in enumerate(checker.sites)
    ]  # fmt: skip
    rows.sort(key=lambda row: (-round(row.probability, 9), row.region, row.side))
    return Suspicion(tuple(rows), notes, warnings)


def region_centers_mm(atlas: Atlas) -> Mapping[tuple[str, object], tuple[float, float, float]]:
    """The middle of every site in MNI space, RAS mm."""
    voxels = np.argwhere(atlas.labels > 0)
    labels = atlas.labels[atlas.labels > 0]
    counts = np.maximum(np.bincount(labels, minlength=len(atlas.regions) + 1), 1)
    middle = np.stack(
        [np.bincount(labels, weights=voxels[:, axis], minlength=len(counts)) / counts for axis in range(3)],
        axis=1,
    )
    world = middle @ atlas.affine[:3, :3].T + atlas.affine[:3, 3]
    return {
        site.key: (round(float(x), 1), round(float(y), 1), round(float(z), 1))
        for site, (x, y, z) in ((site, world[site.label]) for site in atlas.regions)
    }


def _false_localising(observations: Observations) -> tuple[str, ...]:
    """A sixth-nerve palsy alone points nowhere: 12 of 20 false-localising signs in 161 tumours (Larner 2003)."""
    present = {a.id for a, here in zip(observations.reported, observations.present) if here}
    return (f"{FALSE_LOCALISING}:cn6_palsy",) if "cn6_palsy" in present else ()


def _prior(checker: CrossChecker) -> np.ndarray:
    """(sites,) frequency of glioma, by lobe and, within the lobe, by volume."""
    volume = checker.evidence.library.site_ml
    of_lobe: dict[Lobe, float] = {}
    for site, ml in zip(checker.sites, volume):
        of_lobe[site.region.lobe] = of_lobe.get(site.region.lobe, 0.0) + float(ml)
    return np.array(
        [
            LOBE_PRIOR.get(site.region.lobe, _RARE_LOBE) * float(ml) / max(of_lobe[site.region.lobe], 1e-6)
            for site, ml in zip(checker.sites, volume)
        ]
    )


def _likelihood(
    observations: Observations, checker: CrossChecker, dominance: float, numbers: SuspectConfiguration
) -> tuple[np.ndarray, np.ndarray]:
    """(sites,) likelihood of the answers for a lesion in each site, and (n, sites) effect on each symptom."""
    forward = checker.evidence.forward
    lesions = numbers.filled * np.eye(len(checker.sites))
    saturation = forward.saturation(lesions, observations.index)
    effects = forward.ceilings[observations.index][:, None, None, None] * saturation
    probability = 1.0 - (1.0 - numbers.elsewhere) * (1.0 - effects)
    weight = checker.evidence.configuration.denial_weight
    chance = observations.side_chance
    named = chance / chance.sum(axis=1, keepdims=True)
    of_present = np.log(np.einsum("nbdl,nb->ndl", probability, named))
    of_denied = weight * np.einsum("nbdl,nb->ndl", np.log1p(-probability), chance)
    terms = np.where(observations.present[:, None, None], of_present, of_denied).sum(axis=0)
    effect = np.einsum("nbdl,nb,d->nl", saturation, named, dominance_chance(dominance))
    return dominance_chance(dominance) @ np.exp(terms), effect


def _reasons(observations: Observations, effect: np.ndarray) -> tuple[SuspectReason, ...]:
    rows = [
        SuspectReason(answer.id, answer.side.value, round(float(share), 3))
        for answer, present, share in zip(observations.reported, observations.present, effect)
        if present and share >= _LEAST_SHARE
    ]
    return tuple(sorted(rows, key=lambda row: (-row.share, row.symptom)))
