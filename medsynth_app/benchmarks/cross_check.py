"""How well the cross-check tells a patient's own lesion site from another's, on a simulated cohort.

Every patient's symptoms are scored against their own mask, other patients' masks, and their own mask
mirrored. The permutation control gives every patient someone else's symptoms first; it must come out at .5.
Plain weighted overlap (how much of each symptom's regions the mask occupies, summed) stands beside it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from medsynth_app.benchmarks.cohorts.cohort import (
    CohortConfiguration,
    SimulatedPatient,
    cohort_hash,
    simulate_cohort,
)
from medsynth_app.benchmarks.cohorts.lobe_cohort import LobeCohortConfiguration, simulate_lobe_cohort
from medsynth_app.clinical.knowledge.lesion_library import LesionLibrary, mirror_order
from medsynth_app.clinical.knowledge.symptom_model import ReportedSide, SymptomDefinition, SymptomState
from medsynth_app.clinical.scoring.calibration import (
    PlattCalibration,
    area_under_curve,
    brier_score,
    expected_calibration_error,
    fit_platt,
    reliability,
)
from medsynth_app.clinical.scoring.cross_check import ConcordanceClass, CrossCheckCase, CrossChecker
from medsynth_app.clinical.scoring.evidence import Observations, compile_observations
from medsynth_app.clinical.scoring.forward_model import RIGHT_DOMINANCE
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.atlas import Atlas
from medsynth_app.vocabulary import RESEARCH_NOTICE


@dataclass(frozen=True)
class BenchmarkConfiguration:
    """What the benchmark draws.

    Attributes:
        cohort: how patients are simulated.
        other_sites: other patients' masks per patient.
        timed_cases: cases whose full answer (interval and explanations included) is timed.
        seed: for pairing patients.
        independent: the other generator of patients; None leaves it out.
    """

    cohort: CohortConfiguration = CohortConfiguration()
    other_sites: int = 2
    timed_cases: int = 200
    seed: int = 5
    independent: LobeCohortConfiguration | None = None


@dataclass(frozen=True)
class Discrimination:
    """Areas under the curve of one method.

    Attributes:
        other_site: own mask against another patient's.
        mirrored: own mask against its mirror image.
        permuted: the first with symptoms of a third patient: .5 up to chance.
    """

    other_site: float
    mirrored: float
    permuted: float


@dataclass(frozen=True)
class Area:
    """An area under the curve with its 95 % interval (bootstrap over patients)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class IndependentFigures:
    """The score on patients of a generator that shares nothing with it but the names (`lobe_cohort`).

    Attributes:
        patients: scored.
        other_site: own mask against another patient's.
        other_lobe: the same against masks of another lobe or side only: within a lobe this generator knows no sites.
        mirrored: own mask against its mirror image, among patients whose symptoms tell a side.
        permuted: with symptoms of a third patient: .5 up to chance.
    """

    patients: int
    other_site: Area
    other_lobe: Area
    mirrored: Area
    permuted: float


@dataclass(frozen=True)
class CrossCheckBenchmark:
    """The result. Patients without any localising symptom are counted, not scored (the class says so).

    Attributes:
        patients: simulated.
        scored: with at least one localising symptom told.
        median_symptoms: median number of localising symptoms told, among the scored.
        score: the cross-check.
        overlap: plain weighted overlap.
        sided: patients whose symptoms say anything about the side at all.
        mirrored_among_sided: AUROC of own against mirrored masks among them.
        other_site_by_symptoms: number of localising symptoms -> (patients, AUROC against another site).
        calibration_error: expected calibration error of ``p`` (own and other sites, ten bins).
        uncalibrated_error: the same with the Bayes factor taken at its word.
        brier: mean squared error of ``p``.
        score_ms: median and 95th percentile of the wall time of one full answer.
        score_processor_ms: median of its processor time, which other programs on the machine do not stretch.
        classes_own: class -> share, own masks.
        classes_other: class -> share, other patients' masks.
        reliability_rows: stated, observed, share per bin.
        cohort_hash: which cohort.
        independent: the score on patients of another generator; None where it was not asked for.
        notice: research only.
    """

    patients: int
    scored: int
    median_symptoms: float
    score: Discrimination
    overlap: Discrimination
    sided: int
    mirrored_among_sided: float
    other_site_by_symptoms: Mapping[str, tuple[int, float]]
    calibration_error: float
    uncalibrated_error: float
    brier: float
    score_ms: tuple[float, float]
    score_processor_ms: float
    classes_own: Mapping[str, float]
    classes_other: Mapping[str, float]
    reliability_rows: tuple[tuple[float, float, float], ...]
    cohort_hash: str
    independent: IndependentFigures | None = None
    notice: str = RESEARCH_NOTICE

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Pairs:
    """Scores of one method: own (n,), others (n, k), mirrored (n,)."""

    own: np.ndarray
    others: np.ndarray
    mirrored: np.ndarray


def run_cross_check_benchmark(
    atlas: Atlas,
    definitions: Mapping[str, SymptomDefinition],
    library: LesionLibrary,
    *,
    configuration: BenchmarkConfiguration = BenchmarkConfiguration(),
    checker: CrossChecker | None = None,
    picture: Path | None = None,
) -> CrossCheckBenchmark:
    """Simulate a cohort and score it (about 2 minutes for 2,400 patients on one core).

    Args:
        atlas: where lesions lie.
        definitions: the knowledge base.
        library: the random lesions to compare with.
        configuration: what is drawn.
        checker: the scorer; by default one with stored calibration.
        picture: where to write the reliability picture (PNG); None writes none.

    Raises:
        InvalidValueError: fewer than 20 patients can be scored.
    """
    checker = CrossChecker(definitions, library) if checker is None else checker
    cohort = simulate_cohort(atlas, definitions, configuration.cohort)
    patients = [patient for patient in cohort if localising_count(patient, definitions)]
    if len(patients) < 20:
        raise InvalidValueError(f"only {len(patients)} of {len(cohort)} patients have a localising symptom")
    generator = np.random.default_rng(configuration.seed)
    others = _derangements(len(patients), configuration.other_sites, generator)
    stranger = _derangements(len(patients), 1, generator)[:, 0]
    scores = _bayes_factor_pairs(checker, patients, patients, others)
    overlap = _overlap_pairs(checker, patients, patients, others)
    strangers = [patients[index] for index in stranger]
    probability, belongs = _probabilities(checker.calibration, scores)
    raw = PlattCalibration(1.0, 0.0, "", 0).probability(np.concatenate([scores.own, scores.others[:, 0]]))
    counts = np.array([localising_count(patient, definitions) for patient in patients])
    sided = np.array([tells_side(patient, definitions) for patient in patients])
    timing, processor_ms, classes_own, classes_other = _full_answers(
        checker, patients, others, configuration.timed_cases
    )
    result = CrossCheckBenchmark(
        patients=len(cohort),
        scored=len(patients),
        median_symptoms=float(np.median(counts)),
        score=_discrimination(scores, _bayes_factor_pairs(checker, strangers, patients, others)),
        overlap=_discrimination(overlap, _overlap_pairs(checker, strangers, patients, others)),
        sided=int(sided.sum()),
        mirrored_among_sided=area_under_curve(scores.own[sided], scores.mirrored[sided]),
        other_site_by_symptoms=_by_count(scores, counts),
        calibration_error=expected_calibration_error(probability, belongs),
        uncalibrated_error=expected_calibration_error(raw, belongs),
        brier=brier_score(probability, belongs),
        score_ms=timing,
        score_processor_ms=processor_ms,
        classes_own=classes_own,
        classes_other=classes_other,
        reliability_rows=tuple(reliability(probability, belongs)),
        cohort_hash=cohort_hash(atlas, configuration.cohort),
        independent=(
            independent_figures(atlas, definitions, checker, configuration.independent, configuration.seed)
            if configuration.independent is not None
            else None
        ),
    )
    if picture is not None:
        draw_reliability(result, picture)
    return result


def independent_figures(
    atlas: Atlas,
    definitions: Mapping[str, SymptomDefinition],
    checker: CrossChecker,
    cohort: LobeCohortConfiguration,
    seed: int = 5,
) -> IndependentFigures:
    """Score patients of the generator that shares no link with the score.

    Args:
        atlas: where lesions lie.
        definitions: the knowledge base.
        checker: the scorer.
        cohort: how patients are drawn.
        seed: for pairing patients and for the intervals.
    """
    drawn = simulate_lobe_cohort(atlas, definitions, cohort)
    patients = [patient for patient in drawn if localising_count(patient, definitions)]
    generator = np.random.default_rng(seed)
    others = _derangements(len(patients), 2, generator)
    stranger = _derangements(len(patients), 1, generator)[:, 0]
    pairs = _bayes_factor_pairs(checker, patients, patients, others)
    permuted = _bayes_factor_pairs(checker, [patients[index] for index in stranger], patients, others)
    sided = np.array([tells_side(patient, definitions) for patient in patients])
    right = np.array([_is_right(patient, checker) for patient in patients])
    lobes = np.array([patient.lobe.value for patient in patients])
    apart = (lobes[others] != lobes[:, None]) | (right[others] != right[:, None])
    elsewhere = np.where(apart, pairs.others, np.nan)
    return IndependentFigures(
        patients=len(patients),
        other_site=_area(pairs.own, pairs.others, generator),
        other_lobe=_area(pairs.own, elsewhere, generator),
        mirrored=_area(pairs.own[sided], pairs.mirrored[sided, None], generator),
        permuted=area_under_curve(permuted.own, permuted.others.ravel()),
    )


def _is_right(patient: SimulatedPatient, checker: CrossChecker) -> bool:
    side = np.array([{"left": -1.0, "right": 1.0}.get(site.side.value, 0.0) for site in checker.sites])
    return float((patient.occupancy * checker.evidence.library.site_ml) @ side) > 0.0


def _area(own: np.ndarray, others: np.ndarray, generator: np.random.Generator, draws: int = 500) -> Area:
    """Own (n,) against others (n, k), NaN left out; the interval redraws patients."""

    def of(rows: np.ndarray) -> float:
        against = others[rows].ravel()
        return area_under_curve(own[rows], against[np.isfinite(against)])

    count = len(own)
    redrawn = [of(generator.integers(count, size=count)) for _ in range(draws)]
    low, high = np.quantile(redrawn, [0.025, 0.975])
    return Area(of(np.arange(count)), float(low), float(high))


def fit_calibration(
    atlas: Atlas,
    definitions: Mapping[str, SymptomDefinition],
    library: LesionLibrary,
    cohort: CohortConfiguration,
    *,
    checker: CrossChecker | None = None,
    seed: int = 6,
) -> PlattCalibration:
    """Fit the calibration's constants on a cohort (use another seed than the benchmark's).

    Args:
        atlas: where lesions lie.
        definitions: the knowledge base.
        library: the random lesions to compare with.
        cohort: how patients are simulated.
        checker: the scorer; its own calibration plays no part.
        seed: for pairing patients.
    """
    checker = CrossChecker(definitions, library) if checker is None else checker
    drawn = simulate_cohort(atlas, definitions, cohort)
    patients = [patient for patient in drawn if localising_count(patient, definitions)]
    others = _derangements(len(patients), 1, np.random.default_rng(seed))
    pairs = _bayes_factor_pairs(checker, patients, patients, others)
    scores = np.concatenate([pairs.own, pairs.others[:, 0]])
    belongs = np.arange(len(scores)) < len(pairs.own)
    fitted = fit_platt(
        scores,
        belongs,
        cohort_hash=cohort_hash(atlas, cohort),
        scorer_hash=checker.evidence.fingerprint,
    )
    return replace(fitted, cohort_size=len(drawn))


def localising_count(patient: SimulatedPatient, definitions: Mapping[str, SymptomDefinition]) -> int:
    """How many localising symptoms a patient tells."""
    return sum(
        answer.state is SymptomState.PRESENT and definitions[answer.id].localises
        for answer in patient.symptoms
    )


def tells_side(patient: SimulatedPatient, definitions: Mapping[str, SymptomDefinition]) -> bool:
    """Whether any told symptom names a side or belongs to one hemisphere."""
    named = (ReportedSide.LEFT, ReportedSide.RIGHT)
    return any(
        answer.state is SymptomState.PRESENT
        and (answer.side in named or definitions[answer.id].depends_on_dominance)
        for answer in patient.symptoms
    )


def draw_reliability(result: CrossCheckBenchmark, path: Path) -> None:
    """Write the reliability picture (PNG): stated against observed, and the share of pairs per bin."""
    figure = Figure(figsize=(5.2, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    stated, observed, share = np.array(result.reliability_rows).T
    upper.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="perfect")
    upper.plot(stated, observed, color="#1f5a99", marker="o", linewidth=1.6, label="cross-check")
    upper.set(ylabel="observed share of own sites", xlim=(0, 1), ylim=(0, 1))
    upper.set_title(
        f"Simulated cohort, {result.scored} of {result.patients} patients scored\n"
        f"calibration error {result.calibration_error:.3f}, AUROC {result.score.other_site:.3f} against "
        f"other sites, {result.score.mirrored:.3f} mirrored",
        fontsize=9,
    )
    upper.legend(frameon=False, loc="upper left")
    lower.bar(stated, share, width=0.06, color="#1f5a99")
    lower.set(xlabel="stated probability that mask and symptoms belong together", ylabel="share of pairs")
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(RESEARCH_NOTICE, fontsize=6, color="0.35")
    FigureCanvasAgg(figure).print_png(str(path))


def _derangements(count: int, columns: int, generator: np.random.Generator) -> np.ndarray:
    """(count, columns) indices of other patients: a random cyclic shift of a random order per column."""
    result = np.empty((count, columns), dtype=np.int64)
    for column in range(columns):
        order = generator.permutation(count)
        result[order, column] = np.roll(order, generator.integers(1, count))
    return result


def _bayes_factor_pairs(
    checker: CrossChecker,
    answering: Sequence[SimulatedPatient],
    imaged: Sequence[SimulatedPatient],
    others: np.ndarray,
) -> _Pairs:
    """Symptoms of ``answering`` against masks of ``imaged`` in the same row, in ``others`` rows, mirrored."""
    mirror = mirror_order(checker.sites)

    def score(patient: SimulatedPatient, occupancies: list[np.ndarray]) -> list[float]:
        observations = compile_observations(patient.symptoms, checker.definitions)
        dominance = RIGHT_DOMINANCE[patient.handedness]
        return [checker.evidence.log_bayes_factor(mask, observations, dominance) for mask in occupancies]

    rows = [
        score(
            patient,
            [own.occupancy, own.occupancy[mirror], *(imaged[index].occupancy for index in row)],
        )
        for patient, own, row in zip(answering, imaged, others)
    ]
    table = np.array(rows)
    return _Pairs(table[:, 0], table[:, 2:], table[:, 1])


def _overlap_pairs(
    checker: CrossChecker,
    answering: Sequence[SimulatedPatient],
    imaged: Sequence[SimulatedPatient],
    others: np.ndarray,
) -> _Pairs:
    mirror = mirror_order(checker.sites)
    table = []
    for patient, own, row in zip(answering, imaged, others):
        observations = compile_observations(patient.symptoms, checker.definitions)
        masks = [own.occupancy, own.occupancy[mirror], *(imaged[index].occupancy for index in row)]
        dominance = RIGHT_DOMINANCE[patient.handedness]
        table.append([_overlap(checker, mask, observations, dominance) for mask in masks])
    scores = np.array(table)
    return _Pairs(scores[:, 0], scores[:, 2:], scores[:, 1])


def _overlap(
    checker: CrossChecker, occupancy: np.ndarray, observations: Observations, dominance: float
) -> float:
    activation = checker.evidence.site_activation(occupancy, observations, dominance)
    strength = np.array([checker.definitions[answer.id].strength for answer in observations.reported])
    return float((activation.sum(axis=1) * strength)[observations.present].sum())


def _discrimination(pairs: _Pairs, permuted: _Pairs) -> Discrimination:
    return Discrimination(
        other_site=area_under_curve(pairs.own, pairs.others.ravel()),
        mirrored=area_under_curve(pairs.own, pairs.mirrored),
        permuted=area_under_curve(permuted.own, permuted.others.ravel()),
    )


def _by_count(pairs: _Pairs, counts: np.ndarray) -> dict[str, tuple[int, float]]:
    table = {}
    for low, high in ((1, 1), (2, 2), (3, 3), (4, 5), (6, 9), (10, 999)):
        chosen = (counts >= low) & (counts <= high)
        if chosen.sum() >= 10:
            name = str(low) if low == high else f"{low}-{high}" if high < 999 else f"{low}+"
            area = area_under_curve(pairs.own[chosen], pairs.others[chosen].ravel())
            table[name] = (int(chosen.sum()), area)
    return table


def _probabilities(calibration: PlattCalibration, pairs: _Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of own and one other site per patient, and which is which."""
    scores = np.concatenate([pairs.own, pairs.others[:, 0]])
    return calibration.probability(scores), np.arange(len(scores)) < len(pairs.own)


def _full_answers(
    checker: CrossChecker, patients: Sequence[SimulatedPatient], others: np.ndarray, count: int
) -> tuple[tuple[float, float], float, dict[str, float], dict[str, float]]:
    """Wall and processor time (ms) and classes of complete answers."""
    times, processor_times = [], []
    own: list[ConcordanceClass] = []
    other: list[ConcordanceClass] = []
    for patient, row in zip(patients[:count], others[:count]):
        for mask, classes in ((patient.occupancy, own), (patients[row[0]].occupancy, other)):
            case = CrossCheckCase(mask, patient.symptoms, patient.handedness)
            start, used = time.perf_counter(), time.process_time()
            classes.append(checker.assess(case).concordance)
            times.append(1000.0 * (time.perf_counter() - start))
            processor_times.append(1000.0 * (time.process_time() - used))
    median, slow = np.percentile(times, [50, 95])
    return (float(median), float(slow)), float(np.median(processor_times)), _shares(own), _shares(other)


def _shares(classes: Sequence[ConcordanceClass]) -> dict[str, float]:
    return {
        found.value: classes.count(found) / len(classes) for found in ConcordanceClass if found in classes
    }
