"""A stored cross-check as the JSON that every way of serving it answers."""

from __future__ import annotations

from typing import Any

from medsynth_app.clinical.record.repository import StoredCrossCheck
from medsynth_app.plain_values import plain
from medsynth_app.vocabulary import RESEARCH_NOTICE


def record_view(check: StoredCrossCheck) -> dict[str, Any]:
    """The record: what was asked, what was found, what was decided; the patient's own words are not in it.

    Args:
        check: from the database.
    """
    result = dict(check.result)
    # the site is as final as the record that holds it
    site = {**result.get("site", {}), "status": check.status.value}
    decision = plain(check.decision)
    return {
        "id": check.id,
        "case": check.case_id,
        "status": check.status.value,
        "created_at": check.created_at,
        "label_version": check.label_version,
        **result,
        "site": site,
        "intake": dict(check.intake),
        "decision": decision,
        "versions": dict(check.versions),
        "notice": RESEARCH_NOTICE,
    }
