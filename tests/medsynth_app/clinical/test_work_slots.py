"""A gate for threads: so many run, so many wait, one more is told when to come again."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from medsynth_app.clinical.work_slots import SlotLimits, WorkSlots
from medsynth_app.errors import OverloadedError


def until(condition: object) -> None:
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:  # type: ignore[operator]
        time.sleep(0.005)
    assert condition()  # type: ignore[operator]


def test_never_more_run_than_there_are_slots() -> None:
    slots, most, lock = WorkSlots(SlotLimits(2, 20, 30.0), "checks"), [0], threading.Lock()

    def work(_: int) -> None:
        with slots.slot():
            with lock:
                most[0] = max(most[0], slots.running)
            time.sleep(0.01)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    assert most == [2]
    assert (slots.running, slots.waiting) == (0, 0)


def test_one_too_many_is_refused_at_once_and_those_who_wait_are_served() -> None:
    slots, release, served = WorkSlots(SlotLimits(1, 1, 30.0), "checks"), threading.Event(), []

    def work(number: int) -> None:
        with slots.slot():
            release.wait(10)
            served.append(number)

    with ThreadPoolExecutor(2) as pool:
        pool.submit(work, 1)
        until(lambda: slots.running == 1)
        pool.submit(work, 2)
        until(lambda: slots.waiting == 1)
        with pytest.raises(OverloadedError, match="1 checks run and 1 wait already") as caught, slots.slot():
            pass
        release.set()
    assert caught.value.retry_after is not None
    assert 1 <= caught.value.retry_after <= 60
    assert served == [1, 2]


def test_who_waits_too_long_gives_up() -> None:
    slots = WorkSlots(SlotLimits(1, 1, 0.05), "checks")
    with slots.slot(), pytest.raises(OverloadedError, match="within 0.05 seconds"), slots.slot():
        pass
    assert (slots.running, slots.waiting) == (0, 0)


def test_failed_work_gives_its_slot_back() -> None:
    slots = WorkSlots(SlotLimits(1, 0, 0.05), "checks")
    with pytest.raises(ValueError, match="broken"), slots.slot():
        raise ValueError("broken")
    with slots.slot():
        assert slots.running == 1
