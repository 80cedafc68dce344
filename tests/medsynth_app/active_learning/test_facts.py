"""Facts are kept by files and weights: another file or another network is not known."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from medsynth_app.active_learning.facts import CaseFacts, FactsCache, checksum_of
from medsynth_app.active_learning.storage import Storage
from medsynth_app.active_learning.uncertainty import Uncertainty

SIGNATURE = (("flair.nii.gz", 100, 5),)
FACTS = CaseFacts(np.arange(4, dtype=np.float32), Uncertainty(0.1, 0.2, 0.3, 0.4))


@pytest.fixture
def cache(tmp_path: Path) -> FactsCache:
    return FactsCache(Storage(tmp_path / "deep" / "facts.db"))


def remember(cache: FactsCache, name: str = "a", weights: str = "w1", seconds: float = 1.0) -> None:
    checksum = cache.checksum(name, SIGNATURE, lambda: f"sum of {name}")
    cache.remember(checksum, weights, FACTS, seconds)


def test_facts_come_back_as_they_were(cache: FactsCache) -> None:
    remember(cache)
    again = FactsCache(Storage(cache.storage.path)).known({"a": SIGNATURE}, "w1")
    assert set(again) == {"a"}
    assert np.array_equal(again["a"].features, FACTS.features)
    assert again["a"].uncertainty == FACTS.uncertainty


@pytest.mark.parametrize(
    ("name", "signature", "weights"),
    [("b", SIGNATURE, "w1"), ("a", (("flair.nii.gz", 101, 5),), "w1"), ("a", SIGNATURE, "w2")],
    ids=["another case", "another file", "another network"],
)
def test_what_is_not_the_same_is_not_known(cache: FactsCache, name: str, signature: tuple, weights: str) -> None:
    remember(cache)
    assert cache.known({name: signature}, weights) == {}


def test_checksum_is_computed_once_for_each_state_of_the_files(cache: FactsCache) -> None:
    calls: list[int] = []

    def compute() -> str:
        calls.append(1)
        return f"sum {len(calls)}"

    assert [cache.checksum("a", SIGNATURE, compute) for _ in range(3)] == ["sum 1"] * 3
    assert cache.checksum("a", (("flair.nii.gz", 100, 6),), compute) == "sum 2"
    assert len(calls) == 2


def test_facts_are_shared_by_cases_with_the_same_files(cache: FactsCache) -> None:
    cache.remember("same", "w1", FACTS, 1.0)
    for name in ("a", "b"):
        cache.checksum(name, SIGNATURE, lambda: "same")
    assert cache.has("same", "w1")
    assert set(cache.known({"a": SIGNATURE, "b": SIGNATURE}, "w1")) == {"a", "b"}


def test_newest_weights_are_the_preferred_ones_once_they_know_anything(cache: FactsCache) -> None:
    assert cache.newest_weights("w3") == "w3"
    remember(cache, weights="w1", seconds=1.0)
    remember(cache, weights="w2", seconds=2.0)
    assert cache.newest_weights("w3") == "w2"
    assert cache.newest_weights("w1") == "w1"
    cache.forget_other_weights(["w1"])
    assert cache.newest_weights("w3") == "w1"


def test_broken_file_is_put_aside(cache: FactsCache) -> None:
    remember(cache)
    cache.storage.path.write_bytes(b"no database at all" * 100)
    assert cache.known({"a": SIGNATURE}, "w1") == {}
    remember(cache)
    assert set(cache.known({"a": SIGNATURE}, "w1")) == {"a"}
    assert [path.read_bytes()[:2] for path in cache.storage.path.parent.glob("*.broken-*")] == [b"no"]


def test_block_that_raises_changes_nothing(cache: FactsCache) -> None:
    remember(cache)

    def fail() -> None:
        with cache.storage.writing() as connection:
            connection.execute("DELETE FROM facts")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert set(cache.known({"a": SIGNATURE}, "w1")) == {"a"}


def test_checksum_of_files_minds_names_and_contents_not_order(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    expected = hashlib.sha256(b"a\x001b\x002").hexdigest()
    assert checksum_of([first, second]) == checksum_of([second, first]) == expected
    second.write_bytes(b"3")
    assert checksum_of([first, second]) != expected
