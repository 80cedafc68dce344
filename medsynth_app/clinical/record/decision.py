"""From a proposed cross-check to a final one: a named person accepts, amends or rejects, with a reason.

    proposed --accept--> accepted --finalise--> final
             --amend---> amended  --finalise--> final     (the amended mask is a new label version)
             --reject--> rejected --finalise--> final

Nothing goes back: who thinks otherwise later makes a new cross-check.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from medsynth_app.errors import InvalidValueError, StaleError

LONGEST_NAME = 100
LONGEST_REASON = 2_000
NOBODY = frozenset({"system", "anonymous", "unknown", "none", "nobody"})


class CrossCheckStatus(str, Enum):
    """How far a cross-check has come."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    AMENDED = "amended"
    REJECTED = "rejected"
    FINAL = "final"


class DecisionAction(str, Enum):
    """What a clinician may decide."""

    ACCEPT = "accept"
    AMEND = "amend"
    REJECT = "reject"


_RESULT = {
    DecisionAction.ACCEPT: CrossCheckStatus.ACCEPTED,
    DecisionAction.AMEND: CrossCheckStatus.AMENDED,
    DecisionAction.REJECT: CrossCheckStatus.REJECTED,
}


@dataclass(frozen=True)
class Decision:
    """A decision on a cross-check.

    Attributes:
        action: accept, amend or reject.
        actor: name of the person who decides.
        reason: why; asked for every action.
        amended_label_version: the new label version, for ``amend`` only.
    """

    action: DecisionAction
    actor: str
    reason: str
    amended_label_version: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "action", _action(self.action))
        object.__setattr__(self, "actor", checked_actor(self.actor))
        object.__setattr__(self, "reason", self.reason.strip())
        if not 1 <= len(self.reason) <= LONGEST_REASON:
            raise InvalidValueError(f"reason: {len(self.reason)} characters; allowed: 1 to {LONGEST_REASON}")
        if (self.action is DecisionAction.AMEND) != bool(self.amended_label_version.strip()):
            raise InvalidValueError(
                f"amended_label_version: {'missing' if not self.amended_label_version else 'given'} for "
                f"{self.action.value!r}; allowed: a new label version for 'amend', none otherwise"
            )

    @property
    def status(self) -> CrossCheckStatus:
        """What the cross-check becomes."""
        return _RESULT[self.action]


def checked_actor(name: str) -> str:
    """A person's name, trimmed.

    Raises:
        InvalidValueError: it is empty, too long, or stands for nobody.
    """
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= LONGEST_NAME or trimmed.lower() in NOBODY:
        raise InvalidValueError(f"actor: not a person's name; allowed: 1 to {LONGEST_NAME} characters")
    return trimmed


def check_may_decide(status: CrossCheckStatus, label_version: str, decision: Decision) -> None:
    """Refuse a decision that comes too late or amends nothing.

    Raises:
        StaleError: it was decided already.
        InvalidValueError: the amended label version is the one that was checked.
    """
    if status is not CrossCheckStatus.PROPOSED:
        raise StaleError(f"status: it is {status.value!r}; a decision is possible while it is 'proposed'")
    if decision.amended_label_version == label_version and decision.action is DecisionAction.AMEND:
        raise InvalidValueError(
            f"amended_label_version: {label_version!r} is the version that was checked; allowed: a new one"
        )


def check_may_finalise(status: CrossCheckStatus) -> None:
    """Refuse to finalise what nobody decided, or what is final already.

    Raises:
        StaleError: it is not decided, or final already.
    """
    if status in {CrossCheckStatus.PROPOSED, CrossCheckStatus.FINAL}:
        raise StaleError(f"status: it is {status.value!r}; only a decided cross-check can be made final")


def _action(written: DecisionAction | str) -> DecisionAction:
    try:
        return DecisionAction(written)
    except ValueError:
        allowed = ", ".join(each.value for each in DecisionAction)
        raise InvalidValueError(f"action: {written!r} received; allowed: {allowed}") from None
