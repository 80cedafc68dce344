"""Orders of cases: what is far, what is unsure, and the same answer whatever the order of the folder."""

from __future__ import annotations

import time

import numpy as np
import pytest

from medsynth_app.active_learning.ranking import (
    Pool,
    most_diverse,
    most_uncertain,
    random_order,
    uncertain_and_diverse,
)
from medsynth_app.errors import InvalidValueError

SECONDS_FOR_2000 = 2.0


def pool(points: dict[str, tuple[float, float]], uncertainty: dict[str, float], known: list) -> Pool:
    names = list(points)
    return Pool(
        names,
        np.array([uncertainty.get(name, 0.0) for name in names]),
        np.array([points[name] for name in names], dtype=np.float32),
        np.array(known, dtype=np.float32).reshape(-1, 2),
    )


def names_of(picks: list) -> list[str]:
    return [pick.name for pick in picks]


CLUSTERS = {"a1": (0, 0), "a2": (0, 1), "b1": (10, 0), "b2": (10, 1), "c1": (0, 30), "c2": (1, 30)}


def test_most_uncertain_comes_first_and_names_decide_between_equals() -> None:
    picks = most_uncertain(pool(CLUSTERS, {"b2": 0.5, "b1": 0.5, "c1": 0.7}, []), 3)
    assert names_of(picks) == ["c1", "b1", "b2"]
    assert picks[0].uncertainty == pytest.approx(0.7)


def test_most_diverse_visits_every_cluster_before_it_comes_back() -> None:
    picks = most_diverse(pool(CLUSTERS, {}, [(0, 0.5)]), 4)
    assert {name[0] for name in names_of(picks)[:2]} == {"b", "c"}, "the labelled cluster is far from none of its own"
    assert picks[0].distance > picks[1].distance > picks[2].distance


def test_without_labels_the_first_centre_is_in_the_middle() -> None:
    line = {str(i): (float(i), 0.0) for i in range(5)}
    picks = most_diverse(pool(line, {}, []), 3)
    assert picks[0].name == "2"
    assert picks[0].distance is None
    assert set(names_of(picks)[1:]) == {"0", "4"}


def test_uncertain_and_diverse_takes_no_twin_of_what_it_took() -> None:
    uncertainty = {"b1": 0.90, "b2": 0.89, "c1": 0.7, "c2": 0.1, "a1": 0.05, "a2": 0.04}
    given = pool(CLUSTERS, uncertainty, [(0, 0.5)])
    assert names_of(most_uncertain(given, 2)) == ["b1", "b2"]
    assert names_of(uncertain_and_diverse(given, 2)) == ["b1", "c1"]


def test_shares_of_the_mixture_lead_to_its_two_ends() -> None:
    uncertainty = {name: index / 10 for index, name in enumerate(CLUSTERS)}
    given = pool(CLUSTERS, uncertainty, [(0, 0.5)])
    assert names_of(uncertain_and_diverse(given, 6, 1.0)) == names_of(most_uncertain(given, 6))
    assert names_of(uncertain_and_diverse(given, 6, 0.0)) == names_of(most_diverse(given, 6))


@pytest.mark.parametrize("rank", [most_uncertain, most_diverse, uncertain_and_diverse])
def test_the_order_of_the_folder_does_not_matter(rank) -> None:
    shuffled = dict(reversed(CLUSTERS.items()))
    assert names_of(rank(pool(CLUSTERS, {}, []), 6)) == names_of(rank(pool(shuffled, {}, []), 6))


@pytest.mark.parametrize("rank", [most_uncertain, most_diverse, uncertain_and_diverse])
def test_more_than_there_are_gives_each_once(rank) -> None:
    assert sorted(names_of(rank(pool(CLUSTERS, {}, [(0, 0)]), 100))) == sorted(CLUSTERS)


def test_random_order_is_seeded_and_minds_the_weights() -> None:
    names = [str(i) for i in range(20)]
    weights = np.ones(20)
    assert random_order(names, weights, 3) == random_order(names, weights, 3) != random_order(names, weights, 4)
    assert sorted(random_order(names, weights, 3)) == sorted(names)
    weights[7] = 1000.0
    first = [random_order(names, weights, seed)[0] for seed in range(50)]
    assert first.count("7") > 40


def test_pool_that_does_not_fit_together_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="2 names need 2"):
        Pool(["a", "b"], np.zeros(3), np.zeros((2, 4)), np.zeros((0, 4)))
    with pytest.raises(InvalidValueError, match="rows as long"):
        Pool(["a"], np.zeros(1), np.zeros((1, 4)), np.zeros((1, 3)))


def test_two_thousand_cases_take_a_moment(capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(0)
    given = Pool(
        [f"case_{i}" for i in range(2000)],
        generator.random(2000),
        generator.normal(size=(2000, 512)).astype(np.float32),
        generator.normal(size=(500, 512)).astype(np.float32),
    )
    begin = time.process_time()
    picks = uncertain_and_diverse(given, 50)
    seconds = time.process_time() - begin
    with capsys.disabled():
        print(f"\n50 of 2,000 cases picked in {seconds:.2f} s of processor time")  # noqa: T201
    assert len(set(names_of(picks))) == 50
    assert seconds < SECONDS_FOR_2000
