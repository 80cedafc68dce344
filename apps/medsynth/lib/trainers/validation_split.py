"""Which cases are kept for validation: decided once for each case of a studies folder and never changed.

A case that was trained on must not judge a later model, and the judge must stay the same from round to round.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path

from medsynth_app.files import whole_file

logger = logging.getLogger(__name__)


def fixed_validation(file: Path, names: Sequence[str], share: float) -> set[str]:
    """The validation cases among ``names``; new names are divided and the file notes it.

    Args:
        file: what was decided before; made if it is not there.
        names: real labelled cases.
        share: wanted share of validation cases, 0 to 0.9; 0 keeps none and decides nothing.
    """
    if share == 0:
        return set()
    roles = _read(file)
    new = sorted((n for n in names if n not in roles), key=lambda n: hashlib.sha256(n.encode()).hexdigest())
    kept = sum(roles.get(name) is True for name in names)
    wanted = math.floor(len(names) * share)
    for name in new:
        roles[name] = kept < wanted
        kept += roles[name]
    if new:
        with whole_file(file, durable=True) as beside:
            beside.write_text(json.dumps(dict(sorted(roles.items())), indent=1), encoding="utf-8")
    return {name for name in names if roles[name]}


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
