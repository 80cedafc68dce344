"""The queue of inferences: bounds, order, limits of one model, clients that leave, work that takes too long."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from medsynth_app.api.inference_queue import ClientGoneError, InferenceQueue, QueueLimits
from medsynth_app.cancellation import WorkCancelledError, stop_if_cancelled
from medsynth_app.errors import OverloadedError


async def stays() -> bool:
    return False


async def leaves() -> bool:
    return True


def limits(**given: Any) -> QueueLimits:
    usual = {"slots": 1, "places": 1, "waiting_seconds": 30, "running_seconds": 30, "per_model": {}}
    return QueueLimits(**{**usual, **given})


class Blocked:
    """Work that goes on until it is told to end."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.end = threading.Event()
        self.log: list[str] = []

    def __call__(self, name: str = "") -> str:
        self.log.append(name)
        self.begun.set()
        assert self.end.wait(30)
        return name


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


def start(
    queue: InferenceQueue, work: Any, model: str = "m", is_gone: Any = stays, discarded: list[Any] | None = None
) -> Any:
    discard = (discarded if discarded is not None else []).append
    return asyncio.ensure_future(queue.run(model, work, is_gone, discard))


def test_one_too_many_is_refused_at_once_and_told_when_to_come_again() -> None:
    async def scene() -> None:
        queue, work = InferenceQueue(limits()), Blocked()
        running = start(queue, work)
        await until(work.begun.is_set)
        waiting = start(queue, work)
        await until(lambda: queue.waiting == 1)
        with pytest.raises(OverloadedError, match="too many") as refused:
            await queue.run("m", work, stays, print)
        assert refused.value.retry_after >= 1
        work.end.set()
        await asyncio.gather(running, waiting)
        assert (queue.running, queue.waiting) == (0, 0)

    asyncio.run(scene())


def test_a_client_that_leaves_while_waiting_is_never_served_and_frees_its_place() -> None:
    async def scene() -> None:
        queue, work, never = InferenceQueue(limits()), Blocked(), Blocked()
        running = start(queue, work)
        await until(work.begun.is_set)
        with pytest.raises(ClientGoneError):
            await start(queue, never, is_gone=leaves)
        assert queue.waiting == 0
        work.end.set()
        await running
        await asyncio.sleep(0.05)
        assert not never.begun.is_set()

    asyncio.run(scene())


def test_a_result_that_nobody_waits_for_is_thrown_away_and_its_slot_kept_until_then() -> None:
    async def scene() -> None:
        queue, work, discarded = InferenceQueue(limits()), Blocked(), []
        with pytest.raises(ClientGoneError):
            await start(queue, lambda: work("late"), is_gone=leaves, discarded=discarded)
        assert queue.running == 1
        work.end.set()
        await until(lambda: discarded == ["late"])
        assert queue.running == 0

    asyncio.run(scene())


@pytest.mark.parametrize(("given", "message"), [({"waiting_seconds": 0.1}, "no inference slot"), ({}, "did not end")])
def test_nothing_takes_forever(given: dict[str, float], message: str) -> None:
    async def scene() -> None:
        queue, work = InferenceQueue(limits(running_seconds=0.3, **given)), Blocked()
        first = start(queue, work)
        await until(work.begun.is_set)
        if given:
            with pytest.raises(OverloadedError, match=message):
                await start(queue, Blocked())
        with pytest.raises(OverloadedError, match="did not end"):
            await first
        assert queue.running == 1, "a thread cannot be stopped: its slot stays taken"
        work.end.set()
        await until(lambda: queue.running == 0)

    asyncio.run(scene())


def test_a_model_at_its_limit_lets_others_pass() -> None:
    async def scene() -> None:
        queue = InferenceQueue(limits(slots=2, places=5, per_model={"slow": 1}))
        slow, fast = Blocked(), Blocked()
        first = start(queue, lambda: slow("first"), "slow")
        await until(lambda: slow.log == ["first"])
        second = start(queue, lambda: slow("second"), "slow")
        await until(lambda: queue.waiting == 1)
        other = start(queue, lambda: fast("other"), "fast")
        await until(lambda: fast.log == ["other"])
        assert slow.log == ["first"]
        slow.end.set()
        fast.end.set()
        assert await asyncio.gather(first, second, other) == ["first", "second", "other"]

    asyncio.run(scene())


def test_the_first_come_runs_first_and_an_error_frees_the_slot() -> None:
    async def scene() -> None:
        queue, work = InferenceQueue(limits(places=10)), Blocked()
        work.end.set()

        def fail() -> str:
            raise ValueError("broken")

        tasks = [start(queue, fail)] + [start(queue, lambda n=n: work(str(n))) for n in range(5)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], ValueError)
        assert work.log == list("01234")
        assert queue.running == 0

    asyncio.run(scene())


@pytest.mark.parametrize("why", ["the client leaves", "it takes too long"])
def test_running_work_stops_at_its_next_safe_place(why: str) -> None:
    windows: list[int] = []
    stopped = threading.Event()

    def work() -> str:
        try:
            for window in range(3000):
                stop_if_cancelled()
                windows.append(window)
                time.sleep(0.01)
        except WorkCancelledError:
            stopped.set()
            raise
        return "to the end"

    async def scene() -> None:
        queue = InferenceQueue(limits(running_seconds=0.3 if why == "it takes too long" else 30))
        discarded: list[Any] = []
        with pytest.raises((ClientGoneError, OverloadedError)):
            await start(queue, work, is_gone=leaves if why == "the client leaves" else stays, discarded=discarded)
        await until(lambda: queue.running == 0)
        assert stopped.is_set()
        assert await start(queue, lambda: "the next one runs") == "the next one runs"
        assert discarded == []

    asyncio.run(scene())
    assert 0 < len(windows) < 3000


def test_work_of_somebody_else_goes_on() -> None:
    blocked = Blocked()

    def work() -> str:
        blocked()
        stop_if_cancelled()
        return "done"

    async def scene() -> None:
        queue = InferenceQueue(limits(slots=2))
        staying = start(queue, work)
        await until(blocked.begun.is_set)
        with pytest.raises(ClientGoneError):
            await start(queue, lambda: time.sleep(1), is_gone=leaves)
        blocked.end.set()
        assert await staying == "done"

    asyncio.run(scene())
