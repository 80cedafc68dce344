"""So many inferences run, so many wait, one more is refused."""

from __future__ import annotations

import threading

import pytest
from lib.server.queue import InferenceQueue

from medsynth_app.errors import OverloadedError


def hold(queue: InferenceQueue) -> tuple[threading.Thread, threading.Event, threading.Event]:
    """A thread that holds a slot until its second event is set; the first one tells that it has it."""
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        with queue.slot():
            entered.set()
            leave.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, entered, leave


def test_full_queue_refuses_at_once_and_recovers() -> None:
    queue = InferenceQueue(slots=2, places=1, timeout_seconds=20)
    holders = [hold(queue) for _ in range(2)]
    for _, entered, _ in holders:
        assert entered.wait(10)
    waiting = hold(queue)
    while queue._places._value > 0:  # until the third one stands in its place
        pass
    assert not waiting[1].is_set()
    with pytest.raises(OverloadedError, match="too many inferences are waiting"), queue.slot():
        pytest.fail("the queue was full")
    holders[0][2].set()
    assert waiting[1].wait(10), "a freed slot goes to the one that waits"
    for thread, _, leave in (*holders, waiting):
        leave.set()
        thread.join(10)
    for _ in range(5):
        with queue.slot():
            pass


def test_waiting_ends_after_the_time_limit() -> None:
    queue = InferenceQueue(slots=1, places=5, timeout_seconds=0.05)
    thread, entered, leave = hold(queue)
    assert entered.wait(10)
    for _ in range(8):  # more often than there are places: each place is given back
        with pytest.raises(OverloadedError, match=r"within 0\.05 seconds"), queue.slot():
            pytest.fail("there was no slot")
    leave.set()
    thread.join(10)
    with queue.slot():
        pass


def test_slot_is_given_back_after_an_error() -> None:
    queue = InferenceQueue(slots=1, places=0, timeout_seconds=1)
    for _ in range(3):
        with pytest.raises(ValueError, match="inside"), queue.slot():
            raise ValueError("inside")
    with queue.slot(), pytest.raises(OverloadedError), queue.slot():
        pytest.fail("one slot, no place")
