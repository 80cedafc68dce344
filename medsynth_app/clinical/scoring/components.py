"""Which connected components of a mask the symptoms speak for. A status is a remark: no voxel is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from medsynth_app.clinical.scoring.evidence import Observations, SymptomEvidence


class ComponentStatus(str, Enum):
    """What the symptoms say of one component."""

    SUPPORTED = "supported"
    NOT_CONTRADICTED = "not_contradicted"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True)
class ComponentConfiguration:
    """Numbers of the component statuses.

    Attributes:
        smallest_ml: components below this are not scored and stay ``not_contradicted``.
        supported_nats: supported if the mask loses at least this much without the component.
        supported_alone_nats: supported if the component alone reaches this log BF.
        unsupported_nats: unsupported if the component alone is below minus this and the mask loses nothing.
        doubtful_ml: an unsupported component below this is flagged as a possible false positive.
    """

    smallest_ml: float = 0.1
    supported_nats: float = 0.5
    supported_alone_nats: float = 1.0
    unsupported_nats: float = 0.5
    doubtful_ml: float = 1.0


@dataclass(frozen=True)
class ComponentOccupancy:
    """One connected component on the atlas.

    Attributes:
        id: number of the component, as in the site report.
        occupancy: (sites,) what it occupies of each site, weighted as the whole mask's.
        volume_ml: its volume in the patient.
    """

    id: int
    occupancy: np.ndarray
    volume_ml: float


@dataclass(frozen=True)
class ComponentSupport:
    """What the symptoms say of one component.

    Attributes:
        id: number of the component.
        status: the verdict.
        log_bayes_factor: of the component alone, nats.
        gain: log BF of the whole mask less that of the mask without the component, nats.
        possible_false_positive: small and unsupported: worth a look, never removed.
    """

    id: int
    status: ComponentStatus
    log_bayes_factor: float
    gain: float
    possible_false_positive: bool


def component_support(
    evidence: SymptomEvidence,
    whole: np.ndarray,
    total: float,
    components: Sequence[ComponentOccupancy],
    observations: Observations,
    right_dominance: float,
    configuration: ComponentConfiguration = ComponentConfiguration(),
) -> tuple[ComponentSupport, ...]:
    """Judge every component alone and by what the mask loses without it.

    Args:
        evidence: the scorer.
        whole: (sites,) occupancy of the whole mask.
        total: log BF of the whole mask, nats.
        components: its components.
        observations: the patient's answers.
        right_dominance: probability that language sits in the right hemisphere.
        configuration: the numbers used.
    """
    results = []
    for component in components:
        alone = evidence.log_bayes_factor(component.occupancy, observations, right_dominance)
        rest = np.clip(whole - component.occupancy, 0.0, 1.0)
        # without its only component a mask is empty: only the component itself is left to compare with
        gain = alone
        if rest.max(initial=0.0) > 1e-3:
            gain = total - evidence.log_bayes_factor(rest, observations, right_dominance)
        status = _status(component, alone, gain, configuration)
        doubtful = status is ComponentStatus.UNSUPPORTED and component.volume_ml < configuration.doubtful_ml
        results.append(ComponentSupport(component.id, status, alone, gain, doubtful))
    return tuple(results)


def _status(
    component: ComponentOccupancy, alone: float, gain: float, configuration: ComponentConfiguration
) -> ComponentStatus:
    if component.volume_ml < configuration.smallest_ml:
        return ComponentStatus.NOT_CONTRADICTED
    helps = alone > 0.0 and gain >= configuration.supported_nats
    if helps or alone >= configuration.supported_alone_nats:
        return ComponentStatus.SUPPORTED
    if alone <= -configuration.unsupported_nats and gain <= 0.0:
        return ComponentStatus.UNSUPPORTED
    return ComponentStatus.NOT_CONTRADICTED
