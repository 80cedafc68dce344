"""Tasks on a Ray cluster: actors that load a network once. Ray is an extra, ``medsynth[ray]``."""

from __future__ import annotations

import importlib
import ipaddress
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medsynth_app.batch.executors import DIED, MOST_DEATHS
from medsynth_app.batch.tasks import BatchTask, TaskResult
from medsynth_app.batch.work import run_task, start_worker
from medsynth_app.errors import ForbiddenError, InvalidValueError, OverloadedError

TOKEN_MODE = ("RAY_AUTH_MODE", "token")


def load_ray() -> Any:
    """The package.

    Raises:
        OverloadedError: it is not installed; says what to install.
    """
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise OverloadedError(
            'executor: ray is not installed; pip install "medsynth[ray]", or use --executor local', code="no_ray"
        ) from error


def check_address(address: str) -> None:
    """Ray runs code for whoever reaches its ports: token authentication, and a private address.

    Args:
        address: ``HOST:PORT`` of a cluster's head with a numeric host or ``localhost``; empty = a cluster of this
            machine.

    Raises:
        ForbiddenError: no token, or a public address.
        InvalidValueError: no address.
    """
    if not address:
        return
    name, value = TOKEN_MODE
    if os.environ.get(name) != value:
        raise ForbiddenError(
            f"{name}: must be {value}, because Ray runs any code for whoever reaches its ports; set it, and the same "
            "RAY_AUTH_TOKEN, on every node"
        )
    host = address.removeprefix("ray://").rpartition(":")[0].strip("[]")
    if host == "localhost":
        return
    try:
        number = ipaddress.ip_address(host)
    except ValueError as error:
        raise InvalidValueError(f"address: {address[:80]!r} must be HOST:PORT with a numeric host") from error
    if not number.is_private or number.is_unspecified:
        raise ForbiddenError(f"address: {host} is public; Ray belongs on a private network only")


class RayExecutor:
    """Actors of a cluster.

    Args:
        address: of its head; empty = a cluster of this machine, for as long as the run lasts.
        workers: actors; 0 = one a core of the cluster.
        gpus: share of a GPU that an actor takes.

    Raises:
        See ``load_ray`` and ``check_address``.
    """

    def __init__(self, address: str = "", workers: int = 0, gpus: float = 0.0) -> None:
        check_address(address)
        self._ray = load_ray()
        self._gpus = gpus
        if not self._ray.is_initialized():
            self._ray.init(
                # "local", not nothing: Ray would follow RAY_ADDRESS to a cluster that nobody checked.
                address=address or "local", include_dashboard=False, log_to_driver=False, logging_level="ERROR",
                **({} if address else {"_node_ip_address": "127.0.0.1"}),
            )  # fmt: skip
        self.workers = workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def run(self, tasks: Sequence[BatchTask], out: Path) -> Iterator[TaskResult]:
        """See ``Executor``. Input and output folders lie where every node sees them."""
        deaths = dict.fromkeys((task.key for task in tasks), 0)
        waiting = list(reversed(tasks))
        idle = [self._worker() for _ in range(min(self.workers, len(tasks)))]
        running: dict[Any, tuple[BatchTask, Any]] = {}
        while waiting or running:
            # One task an actor: Ray's own queue stays empty, and paths travel, not images.
            while waiting and idle:
                task, worker = waiting.pop(), idle.pop()
                running[worker.run.remote(task, out)] = task, worker
            done, _ = self._ray.wait(list(running), num_returns=1)
            task, worker = running.pop(done[0])
            try:
                result = self._ray.get(done[0])
                idle.append(worker)
                yield result
            except self._ray.exceptions.RayActorError:
                idle.append(self._worker())
                deaths[task.key] += 1
                if deaths[task.key] >= MOST_DEATHS:
                    yield TaskResult(task.key, task.name, DIED.format(MOST_DEATHS))
                else:
                    waiting.append(task)

    def _worker(self) -> Any:
        return self._ray.remote(num_cpus=1, num_gpus=self._gpus)(_Worker).remote()


class _Worker:
    def __init__(self) -> None:
        start_worker()

    def run(self, task: BatchTask, out: Path) -> TaskResult:
        return run_task(task, out)
