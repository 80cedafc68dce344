"""Which cases are kept for validation: decided once for each case of a studies folder and never changed.

A case that was trained on must not judge a later model, and the judge must stay the same from round to round. Cases
that hold the same images under several names have one role.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from medsynth_app.files import whole_file

logger = logging.getLogger(__name__)


def fixed_validation(
    file: Path, names: Sequence[str], share: float, same: Mapping[str, str] | None = None
) -> set[str]:
    """The validation cases among ``names``; new names are divided and the file notes it.

    Args:
        file: what was decided before; made if it is not there.
        names: real labelled cases.
        share: wanted share of validation cases, 0 to 0.9; 0 keeps none and decides nothing.
        same: case name -> one name for all cases that hold the same images (``same_examination``).
    """
    if share == 0:
        return set()
    roles = _read(file)
    group = {name: (same or {}).get(name, name) for name in names}
    known = dict(roles)
    _keep_apart(roles, group)
    new = sorted((n for n in names if n not in roles), key=lambda n: hashlib.sha256(n.encode()).hexdigest())
    kept = sum(roles.get(name) is True for name in names)
    wanted = math.floor(len(names) * share)
    for name in new:
        if name not in roles:  # else decided with another of its names
            others = [other for other in names if group[other] == group[name] and other not in roles]
            role = kept < wanted
            roles |= dict.fromkeys(others, role)
            kept += len(others) * role
    if roles != known:
        with whole_file(file, durable=True) as beside:
            beside.write_text(json.dumps(dict(sorted(roles.items())), indent=1), encoding="utf-8")
    return {name for name in names if roles[name]}


def _keep_apart(roles: dict[str, bool], group: Mapping[str, str]) -> None:
    """One role for all names of the same images: the one it has; what was trained on once does not judge any more."""
    of_group: dict[str, list[bool]] = {}
    for name, key in group.items():
        if name in roles:
            of_group.setdefault(key, []).append(roles[name])
    for name, key in group.items():
        if key in of_group:
            role = all(of_group[key])
            if roles.get(name) not in (None, role):
                logger.warning("a validation case holds the same images as a training case; it validates no more")
            roles[name] = role


def _read(file: Path) -> dict[str, bool]:
    """Case name -> whether it is kept for validation."""
    try:
        roles = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): bool(role) for name, role in roles.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError):
        logger.error("%s is broken; the validation cases are chosen anew", file.name)
        return {}
