"""How far the newest cross-check of each case disagrees with its mask, for ``discordant_first``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from lib.clinical_service import ClinicalService
from medsynth_app.clinical.scoring.cross_check import ConcordanceClass
from medsynth_app.errors import MedSynthError

logger = logging.getLogger(__name__)

DISCORDANCE = {
    ConcordanceClass.DISCORDANT.value: 1.0,
    ConcordanceClass.PARTLY_SUPPORTED.value: 0.5,
}
"""Every other class says nothing against the mask."""


def discordances(service: ClinicalService, names: Sequence[str]) -> Mapping[str, float]:
    """Case name -> 0 (fits) to 1 (discordant), of the cases that were cross-checked.

    Args:
        service: the server's clinic; one without a database knows of no case.
        names: the cases in question.
    """
    try:
        classes = service.clinic().repository.newest_concordances()
    except MedSynthError as error:
        logger.warning("the cross-checks cannot be read: %s", error.code)
        return {}
    return {name: DISCORDANCE.get(classes[name], 0.0) for name in names if name in classes}
