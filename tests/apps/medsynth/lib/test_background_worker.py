"""One thread, only when there is work."""

from __future__ import annotations

import threading
import time

import pytest
from lib.background_worker import BackgroundWorker


def until(condition: object, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_nothing_runs_before_somebody_wakes_it_nor_after_the_work() -> None:
    left = [3]
    worker = BackgroundWorker(lambda: bool(left[0]) and not left.__setitem__(0, left[0] - 1), "test-worker")
    assert not worker.is_busy()
    worker.wake()
    until(lambda: not worker.is_busy())
    assert left == [0]
    assert "test-worker" not in [thread.name for thread in threading.enumerate()]


def test_many_wakes_make_one_thread_and_lose_no_work() -> None:
    seen: set[int] = set()
    done: list[int] = []
    todo = list(range(50))

    def step() -> bool:
        seen.add(threading.get_ident())
        if not todo:
            return False
        done.append(todo.pop())
        return True

    worker = BackgroundWorker(step, "test-worker")
    gate = threading.Barrier(4)

    def wake() -> None:
        gate.wait()
        for _ in range(20):
            worker.wake()
            assert sum(thread.name == "test-worker" for thread in threading.enumerate()) <= 2

    threads = [threading.Thread(target=wake) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: not worker.is_busy())
    assert sorted(done) == list(range(50))


def test_error_ends_the_run_not_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    errors = [RuntimeError("once")]
    done: list[int] = []

    def step() -> bool:
        if errors:
            raise errors.pop()
        done.append(1)
        return False

    worker = BackgroundWorker(step, "test-worker")
    worker.wake()
    until(lambda: not worker.is_busy())
    assert "a piece of background work failed" in caplog.text
    worker.wake()
    until(lambda: not worker.is_busy())
    assert done == [1]
