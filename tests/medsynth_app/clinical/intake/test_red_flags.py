"""Urgent signs, whatever the score says."""

from __future__ import annotations

from typing import Any

import pytest

from medsynth_app.clinical.intake.form import parse_intake
from medsynth_app.clinical.intake.red_flags import raised_flags
from medsynth_app.clinical.knowledge.symptom_model import SymptomDefinition
from medsynth_app.clinical.repository import Repository


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ({"symptoms": ["papilledema"]}, {"papilledema"}),
        ({"symptoms": ["drowsiness"]}, set()),
        ({"symptoms": ["drowsiness", "nausea_vomiting"]}, {"drowsiness_vomiting"}),
        ({"symptoms": {"drowsiness": "yes", "nausea_vomiting": "no"}}, set()),
        ({"symptoms": ["seizure_gtc"]}, set()),
        ({"symptoms": [{"symptom": "seizure_gtc", "onset": "days"}]}, {"new_gtc"}),
        ({"symptoms": [{"symptom": "seizure_gtc", "onset": "years"}]}, set()),
        ({"symptoms": ["headache"], "rapidly_worse": True}, {"rapidly_worse"}),
        ({"symptoms": ["vertical_gaze_palsy"]}, {"gaze_vertical"}),
        ({"symptoms": ["headache"]}, set()),
        ({"symptoms": []}, set()),
    ],
)
def test_signs_of_a_form(
    knowledge: Repository, definitions: dict[str, SymptomDefinition], values: dict[str, Any], flags: set[str]
) -> None:
    assert {
        each.id for each in raised_flags(parse_intake(values, definitions), knowledge.red_flags())
    } == flags
