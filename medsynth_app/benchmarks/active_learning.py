"""Rounds of annotation, simulated: labels that exist are revealed as a strategy asks for them.

A folder holds everything that was computed: prepared cases, models, facts and one small file for each finished
round. The same call goes on where an earlier one was stopped; rounds that start from the same cases share a model.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from medsynth_app.active_learning.facts import CaseFacts, FactsCache
from medsynth_app.active_learning.ranking import (
    Pool,
    most_diverse,
    most_uncertain,
    random_order,
    uncertain_and_diverse,
)
from medsynth_app.active_learning.storage import Storage
from medsynth_app.active_learning.uncertainty import Measure, measure_uncertainty
from medsynth_app.benchmarks.coarse_training import CoarseCases, CoarseSetting, mean_regions, region_dice
from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.segmentation.inference import InferenceConfiguration, predict_logits
from medsynth_app.segmentation.observation import observe
from medsynth_app.segmentation.training.labelled_case import LabelledCase
from medsynth_app.segmentation.training.loop import Trainer
from medsynth_app.segmentation.weights import load_weights

logger = logging.getLogger(__name__)

STRATEGIES = ("random", "uncertain_and_diverse", "most_uncertain", "most_diverse")
"""``discordant_first`` needs symptoms, which no public set of images has."""
TUMOR_WEIGHT = 0.7
WHOLE_BRAIN = InferenceConfiguration(whole_brain=True)
"""Coarse cases are small, and a network that has just begun finds no tumour that a look at half of that could show."""


@dataclass(frozen=True)
class SimulationConfiguration:
    """What is simulated.

    Attributes:
        strategies: names; ``random`` is what the others are compared with.
        seeds: each draws its own validation cases, first cases and weights, the same for every strategy.
        validation_cases: number of cases that are never labelled and measure each model.
        first_cases: labelled before the first round.
        cases_per_round: revealed after each round.
        rounds: how often cases are asked for.
        coarseness: cases are averaged over blocks of so many voxels a side; 1 = full resolution.
        network / width / patch_side: small by default, a simulation trains dozens of models.
        first_steps / steps: updates of the first model, and of each later one, which goes on from the one before.
        learning_rate: peak.
        passes: answers a case is assessed by.
    """

    strategies: tuple[str, ...] = ("random", "uncertain_and_diverse")
    seeds: tuple[int, ...] = (0, 1, 2)
    validation_cases: int = 6
    first_cases: int = 4
    cases_per_round: int = 2
    rounds: int = 5
    coarseness: int = 2
    network: str = "unet"
    width: int = 8
    patch_side: int = 64
    first_steps: int = 200
    steps: int = 100
    learning_rate: float = 3e-3
    passes: int = 4

    def __post_init__(self) -> None:
        unknown = [name for name in self.strategies if name not in STRATEGIES]
        if unknown or not self.strategies:
            raise InvalidValueError(f"strategies: unknown {unknown}, known are {', '.join(STRATEGIES)}")
        for name in ("validation_cases", "first_cases", "cases_per_round", "rounds", "passes"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name}: {getattr(self, name)} must be at least 1")
        if not self.seeds:
            raise InvalidValueError("seeds: at least one is needed")
        _ = self.setting

    @property
    def setting(self) -> CoarseSetting:
        """How coarse and how small, checked."""
        # One patch an update, as in the rounds that folders already hold.
        return CoarseSetting(self.coarseness, self.network, self.width, self.patch_side, self.learning_rate, 1)

    @property
    def largest_label_count(self) -> int:
        """Cases that are labelled at the end."""
        return self.first_cases + self.rounds * self.cases_per_round


@dataclass(frozen=True)
class SimulatedRound:
    """One measured model.

    Attributes:
        strategy / seed / round: which.
        labelled: names of its training cases, in the order they were revealed.
        dice: mean over regions and validation cases.
        regions: mean Dice per region.
    """

    strategy: str
    seed: int
    round: int
    labelled: tuple[str, ...]
    dice: float
    regions: Mapping[str, float] = field(default_factory=dict)


class Simulation:
    """Rounds on a set of labelled cases.

    Args:
        cases: labelled cases.
        folder: where everything is kept.
        configuration: what is simulated.

    Raises:
        InvalidValueError: there are too few cases.
    """

    def __init__(self, cases: Sequence[CaseFiles], folder: Path, configuration: SimulationConfiguration) -> None:
        needed = configuration.validation_cases + configuration.largest_label_count
        if len(cases) < needed:
            raise InvalidValueError(
                f"cases: {len(cases)} labelled cases are too few; {configuration.validation_cases} to validate and "
                f"{configuration.largest_label_count} to label are {needed}"
            )
        self.configuration = configuration
        # Another way of training gets a folder of its own; strategies, seeds and rounds may be added to this one.
        setting = {k: v for k, v in asdict(configuration).items() if k not in ("strategies", "seeds", "rounds")}
        digest = hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()[:12]
        self.folder = folder / digest
        self.cases = CoarseCases(cases, self.folder / "cases", configuration.coarseness)
        self.cache = FactsCache(Storage(self.folder / "facts.db"))

    def run(self, goes_on: Callable[[], bool] = lambda: True) -> Iterator[SimulatedRound]:
        """All rounds, finished ones from the folder; stops between two rounds when ``goes_on`` says no.

        Every strategy of a seed comes as far as the others before the next round begins, so that what a stopped run
        leaves can be compared.
        """
        for seed in self.configuration.seeds:
            for number in range(self.configuration.rounds + 1):
                for strategy in self.configuration.strategies:
                    finished = self._finished(strategy, seed, number)
                    if finished is None and not goes_on():
                        return
                    yield finished or self._measure(strategy, seed, number)

    # ---- one round -----------------------------------------------------------------------------------

    def _measure(self, strategy: str, seed: int, number: int) -> SimulatedRound:
        begin = time.process_time()
        validation, pool = self._split(seed)
        if number == 0:
            labelled = tuple(pool[: self.configuration.first_cases])
            weights = self._trained(seed, labelled, None)
        else:
            earlier = self._finished(strategy, seed, number - 1)
            if earlier is None:
                raise InvalidValueError(f"round: {number - 1} of {strategy} is not there")
            before = self._trained_path(seed, earlier.labelled)
            remaining = [name for name in pool if name not in earlier.labelled]
            asked = self._asked_for(strategy, seed, number, remaining, earlier.labelled, before)
            labelled = (*earlier.labelled, *asked)
            weights = self._trained(seed, labelled, before)
        regions = self._dice(weights, validation)
        found = SimulatedRound(strategy, seed, number, labelled, float(np.mean(list(regions.values()))), regions)
        with whole_file(self._round_file(strategy, seed, number)) as beside:
            beside.write_text(json.dumps(asdict(found) | {"cpu_seconds": time.process_time() - begin}))
        return found

    def _split(self, seed: int) -> tuple[list[str], list[str]]:
        """Validation cases, and the others in the order in which the first ones are taken."""
        order = random_order(list(self.cases.files), np.ones(len(self.cases.files)), 1_000 + seed)
        count = self.configuration.validation_cases
        return order[:count], order[count:]

    def _asked_for(
        self, strategy: str, seed: int, number: int, remaining: list[str], labelled: Sequence[str], weights: Path
    ) -> list[str]:
        count = self.configuration.cases_per_round
        if strategy == "random":
            return random_order(remaining, np.ones(len(remaining)), 7_919 * seed + number)[:count]
        facts = self._facts([*remaining, *labelled], weights)
        pool = Pool(
            remaining,
            np.array([facts[name].uncertainty.score(Measure.BALD, TUMOR_WEIGHT) for name in remaining]),
            np.stack([facts[name].features for name in remaining]),
            np.stack([facts[name].features for name in labelled]),
        )
        rank = {
            "most_uncertain": most_uncertain,
            "most_diverse": most_diverse,
            "uncertain_and_diverse": uncertain_and_diverse,
        }
        return [pick.name for pick in rank[strategy](pool, count)]

    def _facts(self, names: Sequence[str], weights: Path) -> dict[str, CaseFacts]:
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        network = load_weights(weights)[0]
        for name in names:
            if not self.cache.has(name, digest):
                image = self.cases.case(name).image.float()
                seen = observe(image, network, self.configuration.passes, configuration=WHOLE_BRAIN)
                uncertainty = measure_uncertainty(seen.answers, seen.brain)
                self.cache.checksum(name, [], lambda name=name: name)  # type: ignore[misc]
                self.cache.remember(name, digest, CaseFacts(seen.features, uncertainty), time.time())
        return self.cache.known({name: [] for name in names}, digest)

    def _trained(self, seed: int, labelled: Sequence[str], before: Path | None) -> Path:
        """Weights after training on these cases; trained once, whichever strategies came to them."""
        target = self._trained_path(seed, labelled)
        if target.is_file():
            return target
        given = self.configuration
        steps = given.first_steps if before is None else given.steps
        configuration = given.setting.training(steps, seed, validate_every=given.first_steps + given.steps)
        initial = load_weights(before)[0].state_dict() if before else None
        run = target.with_suffix("")
        Trainer(configuration, self._read(labelled), [], run, initial, "cpu").run()
        with whole_file(target) as beside:
            beside.write_bytes((run / "best.safetensors").read_bytes())
        for path in run.iterdir():
            path.unlink()
        run.rmdir()
        return target

    def _trained_path(self, seed: int, labelled: Sequence[str]) -> Path:
        # The order counts: it says how the training went on from round to round.
        digest = hashlib.sha256(json.dumps([seed, *labelled]).encode()).hexdigest()[:16]
        return self.folder / "models" / f"{digest}.safetensors"

    def _dice(self, weights: Path, names: Sequence[str]) -> dict[str, float]:
        network = load_weights(weights)[0]
        scores = []
        for case in self._read(names):
            found = predict_logits(case.image.float(), network, InferenceConfiguration()).argmax(dim=0).numpy()
            scores.append(region_dice(found, case.label.numpy()))
        return mean_regions(scores)

    def _read(self, names: Sequence[str]) -> list[LabelledCase]:
        return [self.cases.case(name) for name in names]

    # ---- files ---------------------------------------------------------------------------------------

    def _finished(self, strategy: str, seed: int, number: int) -> SimulatedRound | None:
        try:
            record = json.loads(self._round_file(strategy, seed, number).read_text())
        except FileNotFoundError:
            return None
        record.pop("cpu_seconds")
        return SimulatedRound(**{**record, "labelled": tuple(record["labelled"])})

    def _round_file(self, strategy: str, seed: int, number: int) -> Path:
        return self.folder / "rounds" / f"{strategy}-{seed}-{number}.json"
