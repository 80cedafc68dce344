"""Decisions that must not exist."""

from __future__ import annotations

import pytest

from medsynth_app.clinical.record.decision import Decision, DecisionAction
from medsynth_app.errors import InvalidValueError


@pytest.mark.parametrize(
    ("action", "actor", "reason", "version", "message"),
    [
        ("approve", "Dr Kim", "why", "", "action: 'approve' received; allowed: accept, amend, reject"),
        ("accept", " ", "why", "", "actor: not a person's name"),
        ("accept", "System", "why", "", "actor: not a person's name"),
        ("accept", "x" * 101, "why", "", "actor: not a person's name; allowed: 1 to 100"),
        ("reject", "Dr Kim", "  ", "", "reason: 0 characters; allowed: 1 to 2000"),
        ("amend", "Dr Kim", "why", "", "amended_label_version: missing for 'amend'"),
        ("accept", "Dr Kim", "why", "v2", "amended_label_version: given for 'accept'"),
    ],
)
def test_invalid_decisions(action: str, actor: str, reason: str, version: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        Decision(action, actor, reason, version)  # type: ignore[arg-type]


def test_words_become_actions_and_names_are_trimmed() -> None:
    decision = Decision("reject", " Dr Kim ", " why ")  # type: ignore[arg-type]
    assert (decision.action, decision.actor, decision.reason) == (DecisionAction.REJECT, "Dr Kim", "why")
