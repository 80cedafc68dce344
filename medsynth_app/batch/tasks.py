"""One piece of batch work: what it is, how it is named, and what became of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("segment", "prepare", "generate", "evaluate")


@dataclass(frozen=True)
class BatchTask:
    """One study, or one synthetic case; picklable.

    Attributes:
        kind: one of ``KINDS``.
        name: how its files are called.
        source: the study or case (picklable record), or the name of the generator's task.
        digest: hash of what goes in, so that changed images are worked on again.
        options: what is done with it; JSON values.
    """

    kind: str
    name: str
    source: Any
    digest: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What the result depends on, as 32 hexadecimal digits: input, options, and by them the weights."""
        parts = [self.kind, self.name, self.digest, json.dumps(dict(self.options), sort_keys=True)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class TaskResult:
    """What became of a task.

    Attributes:
        key / name: of the task.
        error: why it failed; empty where it is done.
        seconds: it took.
        files: names of what was written in the output folder.
        figures: JSON values.
    """

    key: str
    name: str
    error: str = ""
    seconds: float = 0.0
    files: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """A line of ``results.jsonl``."""
        return {
            "key": self.key, "name": self.name, "status": "failed" if self.error else "done", "error": self.error,
            "seconds": round(self.seconds, 3), "files": list(self.files), **self.figures,
        }  # fmt: skip
