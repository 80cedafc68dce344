"""Who does the tasks. Nobody above this knows whether it is processes here or actors of a cluster."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Protocol

import psutil

from medsynth_app.batch.tasks import BatchTask, TaskResult
from medsynth_app.batch.work import run_task, start_worker

WORKER_GB = 4.0
"""Memory of a worker with a raw study in hand."""
MOST_DEATHS = 2
"""Times that a task may lose its worker before it counts as failed."""
DIED = "its worker was killed {} times: too little memory, or a file that crashes a library"


class Executor(Protocol):
    """Does tasks in any order."""

    def run(self, tasks: Sequence[BatchTask], out: Path) -> Iterator[TaskResult]:
        """Results as they come, one a task; a worker that dies costs no other task anything."""
        ...


def workers_that_fit() -> int:
    """As many processes as there are cores and memory for."""
    memory = psutil.virtual_memory().available / 1e9
    return max(1, min(len(os.sched_getaffinity(0)), int(memory / WORKER_GB)))


class LocalExecutor:
    """Processes of this machine.

    Args:
        workers: how many; 0 = as many as fit.
    """

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers or workers_that_fit()

    def run(self, tasks: Sequence[BatchTask], out: Path) -> Iterator[TaskResult]:
        """See ``Executor``."""
        deaths = dict.fromkeys((task.key for task in tasks), 0)
        left = list(tasks)
        while left:
            finished: set[str] = set()
            # After a death nobody knows whose fault it was: those that were in hand run alone, one after the other.
            suspects = [task for task in left if deaths[task.key]]
            turn, alone = (suspects[:1], True) if suspects else (left, False)
            running: set[str] = set()
            try:
                for result in self._turn(turn, out, running, 1 if alone else self.workers):
                    finished.add(result.key)
                    yield result
            except BrokenProcessPool:
                for key in running - finished:
                    deaths[key] += 1
            left = [task for task in left if task.key not in finished]
            for task in [task for task in left if deaths[task.key] >= MOST_DEATHS]:
                left.remove(task)
                yield TaskResult(task.key, task.name, DIED.format(MOST_DEATHS))

    def _turn(
        self, tasks: Sequence[BatchTask], out: Path, running: set[str], workers: int
    ) -> Iterator[TaskResult]:
        context = multiprocessing.get_context("spawn")
        waiting = iter(tasks)
        with ProcessPoolExecutor(workers, context, start_worker) as pool:
            futures: dict[Future[TaskResult], BatchTask] = {}

            def fill() -> None:
                # No more in the pool than it works on: what is lost with a worker is what was in hand.
                while len(futures) < workers and (task := next(waiting, None)) is not None:
                    running.add(task.key)
                    futures[pool.submit(run_task, task, out)] = task

            fill()
            while futures:
                done, _ = wait(futures, return_when=FIRST_COMPLETED)
                for future in done:
                    task = futures.pop(future)
                    result = future.result()
                    running.discard(task.key)
                    yield result
                fill()
