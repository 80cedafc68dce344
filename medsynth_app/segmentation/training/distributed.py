"""Several GPUs: one process each, gradients averaged after every backward pass.

The same training code runs with one process; then every function here does nothing.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from torch import distributed, multiprocessing, nn


def rank_and_size() -> tuple[int, int]:
    """Number of this process and how many there are; (0, 1) without a process group."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def average_gradients(network: nn.Module) -> None:
    """Replace each gradient by its mean over all processes."""
    _, size = rank_and_size()
    if size == 1:
        return
    for parameter in network.parameters():
        if parameter.grad is not None:
            distributed.all_reduce(parameter.grad)
            parameter.grad /= size


def agree(flag: bool, device: torch.device) -> bool:
    """What process 0 says, in every process."""
    _, size = rank_and_size()
    if size == 1:
        return flag
    word = torch.tensor([int(flag)], device=device)
    distributed.broadcast(word, src=0)
    return bool(word.item())


def launch(function: Callable[..., Any], processes: int, *arguments: Any) -> None:
    """Call ``function(rank, *arguments)`` in that many processes that form a group.

    Args:
        function: importable, its arguments picklable.
        processes: one a GPU; with 1 it is called here.
    """
    if processes <= 1:
        function(0, *arguments)
        return
    with tempfile.TemporaryDirectory(prefix="medsynth-group-") as folder:
        meeting = f"file://{os.path.join(folder, 'meeting')}"
        multiprocessing.spawn(_member, args=(function, processes, meeting, arguments), nprocs=processes)


def _member(
    rank: int, function: Callable[..., Any], processes: int, meeting: str, arguments: tuple[Any, ...]
) -> None:
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)
    distributed.init_process_group(backend, init_method=meeting, rank=rank, world_size=processes)
    try:
        function(rank, *arguments)
    finally:
        distributed.destroy_process_group()
