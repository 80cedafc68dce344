"""Strategies on a real datastore: options as texts, who is proposed to whom, and who never is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lib.activelearning.discordant import DiscordantFirstStrategy
from lib.catalogue import build_strategies
from lib.datastore import CaseDatastore
from lib.model_history import ModelHistory
from lib.rounds import AnnotationRounds
from lib.server.routes.activelearning import annotator_of

from medsynth_app.active_learning.facts import CaseFacts
from medsynth_app.active_learning.uncertainty import Uncertainty
from medsynth_app.errors import BusyError, InvalidValueError
from medsynth_app.request_context import acting_user
from medsynth_app.segmentation.current_network import CurrentNetwork

CASES = ("a", "b", "c", "d")
SECONDS_FOR_2000 = 2.0


@pytest.fixture
def store(tmp_path: Path, build: Any) -> CaseDatastore:
    for name in CASES:
        build.touch_case(tmp_path / "studies", name)
    build.case(tmp_path / "studies", "labelled", with_label=True)
    return CaseDatastore(tmp_path / "studies")


@pytest.fixture
def rounds(store: CaseDatastore, tmp_path: Path, build: Any) -> AnnotationRounds:
    current = CurrentNetwork([build.weights(tmp_path / "weights.safetensors")], "cpu")
    rounds = AnnotationRounds(lambda: store, ModelHistory(tmp_path / "history", current))
    rounds._worker.wake = lambda: None  # type: ignore[method-assign]  # these tests put the facts in themselves
    return rounds


def know(rounds: AnnotationRounds, store: CaseDatastore, facts: dict[str, tuple[float, float]]) -> None:
    """Uncertainty and one feature of each case, as if the served network had looked at it."""
    assessment = rounds.assessment
    for name, (uncertainty, feature) in facts.items():
        checksum = assessment._cache.checksum(name, store.signature(name), lambda name=name: name)  # type: ignore[misc]
        features = np.array([feature, 0.0], dtype=np.float32)
        known = CaseFacts(features, Uncertainty(*[uncertainty] * 4))
        assessment._cache.remember(checksum, str(assessment._key()), known, time.time())


def strategy(rounds: AnnotationRounds, name: str, discordance: dict[str, float] | None = None) -> Any:
    return build_strategies(rounds.assessment, lambda names: discordance or {})[name]


def ids(rounds: AnnotationRounds, name: str, annotator: str = "ann", **options: Any) -> list[str]:
    handed = rounds.hand_out(strategy(rounds, name), options, annotator)
    return handed["ids"] if handed else []


FACTS = {"a": (0.9, 0.0), "b": (0.8, 0.1), "c": (0.1, 9.0), "d": (0.5, 5.0), "labelled": (0.0, 4.5)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("most_uncertain", ["a", "b", "d", "c"]),
        ("most_diverse", ["a", "c", "d", "b"]),
        ("uncertain_and_diverse", ["a", "c", "d", "b"]),
    ],
)
def test_order_of_each_strategy(rounds: AnnotationRounds, store: CaseDatastore, name: str, expected: list[str]) -> None:
    know(rounds, store, FACTS)
    assert ids(rounds, name, k="4") == expected


def test_discordant_cases_come_first(rounds: AnnotationRounds, store: CaseDatastore) -> None:
    know(rounds, store, FACTS)
    chosen = DiscordantFirstStrategy(rounds.assessment, lambda names: {"d": 0.5, "c": 1.0, "b": 0.0, "x": 1.0})
    handed = rounds.hand_out(chosen, {"k": 4}, "ann")
    assert handed is not None
    assert handed["ids"] == ["c", "d", "a", "b"]
    assert handed["cases"][0]["score"] == 2.0


def test_cases_the_network_has_not_seen_follow_so_that_nobody_waits(
    rounds: AnnotationRounds, store: CaseDatastore
) -> None:
    assert len(ids(rounds, "uncertain_and_diverse", "bob", k="1")) == 1, "nothing is known at all"
    rounds.leases.give_back(next(iter(rounds.leases.current(time.time()))))
    know(rounds, store, {"b": FACTS["b"], "c": FACTS["c"]})
    order = ids(rounds, "most_uncertain", k="4")
    assert order[:2] == ["b", "c"]
    assert sorted(order[2:]) == ["a", "d"]


STRATEGIES = ("random", "most_uncertain", "most_diverse", "uncertain_and_diverse", "discordant_first")


@pytest.mark.parametrize("name", STRATEGIES)
def test_neither_labelled_nor_generated_nor_another_annotators_case(
    rounds: AnnotationRounds, store: CaseDatastore, build: Any, name: str
) -> None:
    store.update_image_info("d", {"synthetic": {"seed": 3}})
    first = ids(rounds, name, "ann")
    others = ids(rounds, name, "bob", k="50")
    assert sorted(first + others) == ["a", "b", "c"]
    assert ids(rounds, name, "cy") == []
    assert set(ids(rounds, name, "ann", k="50")) == set(first), "their own one again, since nothing else is left"


def test_asking_again_without_a_label_gives_another_case(rounds: AnnotationRounds) -> None:
    seen = [ids(rounds, "random")[0] for _ in CASES]
    assert sorted(seen) == list(CASES)


def test_random_order_can_be_repeated(rounds: AnnotationRounds, store: CaseDatastore) -> None:
    chosen = strategy(rounds, "random")
    names = [pick.name for pick in chosen({"seed": "7", "count": 4}, store)["picks"]]
    assert [pick.name for pick in chosen({"seed": "7", "count": 4}, store)["picks"]] == names


@pytest.mark.parametrize(
    ("options", "word"),
    [({"k": "0"}, "k: '0'"), ({"lease_minutes": "soon"}, "lease_minutes"), ({"measure": "guess"}, "bald, entropy")],
)
def test_wrong_options_are_named(rounds: AnnotationRounds, options: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidValueError, match=word):
        rounds.hand_out(strategy(rounds, "most_uncertain"), options, "ann")
    assert rounds.leases.current(time.time()) == {}


def test_config_is_text_and_comes_back_as_it_was(rounds: AnnotationRounds) -> None:
    for chosen in build_strategies(rounds.assessment, lambda names: {}).values():
        config = chosen.info()["config"]
        flat = [text for value in config.values() for text in (value if isinstance(value, list) else [value])]
        assert all(isinstance(text, str) for text in flat)
        assert chosen.check(config) == (chosen.check({})[0], [])


def test_submitted_case_leaves_the_annotators_hands(
    rounds: AnnotationRounds, store: CaseDatastore, build: Any, tmp_path: Path
) -> None:
    build.case(store.root, "e", build.head(seed=1))
    rounds.leases.take([("e", "e")], "ann", 1, time.time() - 120, time.time() + 600)
    head = build.head(seed=1)
    answer = build.nifti(tmp_path / "answer.nii.gz", np.roll(head.labels, 2, axis=0), head.affine)
    rounds.proposed("e", answer)
    label = build.nifti(tmp_path / "label.nii.gz", head.labels, head.affine)
    store.refresh()
    store.save_label("e", str(label), "final", {"author": "ann"})
    rounds.submitted("e")
    assert rounds.leases.current(time.time()) == {}
    (submission,) = rounds.record.submissions()
    assert (submission.case, submission.version, submission.author) == ("e", 1, "ann")
    assert 1.9 < submission.minutes < 3  # type: ignore[operator]
    while rounds.record.unscored():
        rounds._step()
    assert 0.3 < rounds.overview()["rounds"][0]["agreement"]["edema"]["dice"] < 0.95


def test_label_whose_note_was_lost_is_taken_up(
    rounds: AnnotationRounds, store: CaseDatastore, build: Any, tmp_path: Path
) -> None:
    head = build.head()
    label = build.nifti(tmp_path / "label.nii.gz", head.labels, head.affine)
    store.save_label("labelled", str(label), "final", {"author": "ann"})  # killed before ``submitted``
    assert rounds.overview()["rounds"][0]["cases"] == ["labelled"]


def test_no_model_comes_back_while_a_training_runs(rounds: AnnotationRounds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.rounds.processes", lambda kind: {"task": object()} if kind == "train" else {})
    with pytest.raises(BusyError, match="a training is running"):
        rounds.restore("0" * 16)


def test_account_that_is_logged_in_is_the_annotator() -> None:
    assert annotator_of({"client_id": "slicer"}) == "slicer"
    assert annotator_of({}) == ""
    token = acting_user.set("ann")
    try:
        assert annotator_of({"client_id": "somebody else"}) == "ann"
    finally:
        acting_user.reset(token)


def test_unreadable_case_is_passed_over_in_the_background(rounds: AnnotationRounds, store: CaseDatastore) -> None:
    """The files of a, b, c and d are empty; only ``labelled`` can be looked at."""
    assert rounds.assessment.assess_next() is True
    assert rounds.assessment.assess_next() is False
    assert rounds.assessment.progress() == {"assessed": 1, "cases": 5, "unreadable": 4}


def test_facts_of_weights_that_were_replaced_twice_are_forgotten(rounds: AnnotationRounds) -> None:
    assessment, cache = rounds.assessment, rounds.assessment._cache
    for seconds, weights in enumerate(("oldest", "newest")):
        facts = CaseFacts(np.zeros(4, np.float32), Uncertainty(0.1, 0.1, 0.1, 0.1))
        cache.remember("some files", weights, facts, seconds)
    assert assessment.assess_next() is True
    assert [cache.has("some files", weights) for weights in ("oldest", "newest")] == [False, True]


def test_two_thousand_cases_are_ranked_in_time(
    tmp_path: Path, build: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2000):
        build.touch_case(tmp_path / "many", f"case_{number:04d}")
    store = CaseDatastore(tmp_path / "many")
    store.get_unlabeled_images()  # the first look at a folder reads whether each case is marked synthetic
    current = CurrentNetwork([build.weights(tmp_path / "weights.safetensors")], "cpu")
    rounds = AnnotationRounds(lambda: store, ModelHistory(tmp_path / "history", current))
    rounds._worker.wake = lambda: None  # type: ignore[method-assign]
    generator = np.random.default_rng(0)
    key = str(rounds.assessment._key())
    cache = rounds.assessment._cache
    with cache.storage.writing() as connection:
        for name in store.list_images():
            connection.execute(
                "INSERT INTO checksums VALUES (?, ?, ?)", (name, _signature_text(store, name), f"sum {name}")
            )
            features = generator.normal(size=256).astype(np.float32).tobytes()
            text = '{"entropy": 0.1, "mutual_information": 0.2, "tumor_entropy": 0.3, "tumor_mutual_information": 0.4}'
            connection.execute("INSERT INTO facts VALUES (?, ?, ?, ?, 0)", (f"sum {name}", key, features, text))
    begin = time.process_time()
    chosen = ids(rounds, "uncertain_and_diverse", k="5")
    seconds = time.process_time() - begin
    with capsys.disabled():
        print(f"\n5 of 2,000 cases chosen and leased in {seconds:.2f} s of processor time")  # noqa: T201
    assert len(set(chosen)) == 5
    assert seconds < SECONDS_FOR_2000


def _signature_text(store: CaseDatastore, name: str) -> str:
    return json.dumps(store.signature(name))
