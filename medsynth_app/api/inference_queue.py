"""A bounded queue in front of the models: so many run, so many wait, one more is refused.

It lives on the event loop: who waits holds no thread, and who leaves gives its place back.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from medsynth_app.cancellation import cancelled_by
from medsynth_app.errors import MedSynthError, OverloadedError

Result = TypeVar("Result")
SECONDS_BETWEEN_LOOKS = 0.2
LONGEST_RETRY_AFTER = 60


class ClientGoneError(MedSynthError):
    """Nobody waits for the answer any more (499, as proxies log it)."""

    status = 499
    code = "client_gone"


@dataclass(frozen=True)
class QueueLimits:
    """How much runs and waits.

    Attributes:
        slots: inferences that run at once.
        places: inferences that may wait.
        waiting_seconds: how long one waits before it gives up.
        running_seconds: how long one may run before its client is told so; it stops at its next safe place, and its
            slot stays taken until then.
        per_model: model -> slots of it that may run at once; others have all slots.
    """

    slots: int
    places: int
    waiting_seconds: float
    running_seconds: float
    per_model: Mapping[str, int]


class InferenceQueue:
    """Runs inferences in threads of its own.

    Args:
        limits: see there.
    """

    def __init__(self, limits: QueueLimits) -> None:
        self.limits = limits
        self.mean_seconds = 1.0
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()
        self._running: Counter[str] = Counter()
        self._threads = ThreadPoolExecutor(limits.slots, thread_name_prefix="inference")

    @property
    def running(self) -> int:
        """Inferences that run now, those included whose client has left."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """Inferences that wait now."""
        return len(self._waiting)

    async def run(
        self,
        model: str,
        work: Callable[[], Result],
        is_gone: Callable[[], Awaitable[bool]],
        discard: Callable[[Result], None],
    ) -> Result:
        """Wait for a slot and run ``work`` in a thread.

        Args:
            model: whose limit counts.
            work: the inference.
            is_gone: whether the client has left.
            discard: takes a result that came too late.

        Raises:
            OverloadedError: the queue is full, no slot came free in time, or the work took too long (503).
            ClientGoneError: the client has left; waiting work is never begun, running work stops at its next safe
                place (see ``medsynth_app.cancellation``).
        """
        await self._slot(model, is_gone)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        signal = threading.Event()
        future = loop.run_in_executor(self._threads, contextvars.copy_context().run, _cancellable, work, signal)
        future.add_done_callback(lambda _: self._release(model, loop.time() - begin))
        try:
            await self._outcome(future, is_gone, begin + self.limits.running_seconds)
        except BaseException:
            signal.set()
            future.add_done_callback(lambda late: _throw_away(late, discard))
            raise
        return future.result()

    async def _slot(self, model: str, is_gone: Callable[[], Awaitable[bool]]) -> None:
        if self.waiting >= self.limits.places and not self._fits(model):
            raise self._overloaded("too many inferences are waiting; try again in a few seconds")
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append((model, turn))
        self._start_waiting()
        end = loop.time() + self.limits.waiting_seconds
        try:
            while not turn.done():
                await asyncio.wait({turn}, timeout=SECONDS_BETWEEN_LOOKS)
                if turn.done():
                    break
                if await is_gone():
                    raise ClientGoneError("the client has left")
                if loop.time() >= end:
                    seconds = self.limits.waiting_seconds
                    raise self._overloaded(f"no inference slot came free within {seconds:g} seconds")
        except BaseException:
            if turn.done():
                self._release(model)
            else:
                self._waiting.remove((model, turn))
            raise

    async def _outcome(
        self, future: asyncio.Future[Result], is_gone: Callable[[], Awaitable[bool]], end: float
    ) -> None:
        loop = asyncio.get_running_loop()
        while not future.done():
            await asyncio.wait({future}, timeout=SECONDS_BETWEEN_LOOKS)
            if future.done():
                return
            if await is_gone():
                raise ClientGoneError("the client has left")
            if loop.time() >= end:
                raise self._overloaded(
                    f"the inference did not end within {self.limits.running_seconds:g} seconds", "timeout"
                )

    def _fits(self, model: str) -> bool:
        allowed = self.limits.per_model.get(model, self.limits.slots)
        return self.running < self.limits.slots and self._running[model] < allowed

    def _start_waiting(self) -> None:
        """The first come runs first; one whose model is at its limit lets others pass."""
        for entry in list(self._waiting):
            model, turn = entry
            if self._fits(model):
                self._waiting.remove(entry)
                self._running[model] += 1
                turn.set_result(None)

    def _release(self, model: str, seconds: float | None = None) -> None:
        self._running[model] -= 1
        if seconds is not None:
            self.mean_seconds += 0.2 * (seconds - self.mean_seconds)
        self._start_waiting()

    def _overloaded(self, message: str, code: str | None = None) -> OverloadedError:
        error = OverloadedError(message, code=code)
        rounds = (self.waiting + self.limits.slots) / self.limits.slots
        error.retry_after = max(1, min(LONGEST_RETRY_AFTER, round(self.mean_seconds * rounds)))
        return error


def _cancellable(work: Callable[[], Result], signal: threading.Event) -> Result:
    with cancelled_by(signal):
        return work()


def _throw_away(future: asyncio.Future[Result], discard: Callable[[Result], None]) -> None:
    if not future.cancelled() and future.exception() is None:
        discard(future.result())
