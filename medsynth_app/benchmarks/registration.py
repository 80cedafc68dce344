"""How fast heads reach the atlas, whether every quality gate passes, and whether the tumour's side is right.

The side is compared with the mask's own geometry, which needs no registration: on which side of the brain's
centroid, along the header's left-right axis, most of the tumour lies.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np

from medsynth_app.clinical.site import site_report
from medsynth_app.clinical.site.site_report import SiteReport, describe_site
from medsynth_app.clinical.site.tumor_images import TumorImages, images_of_case
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.atlas import Atlas
from medsynth_app.imaging.atlas.registration import (
    Registration,
    RegistrationConfiguration,
    register_to_atlas,
)
from medsynth_app.imaging.studies.cases import CaseFiles

SITE_SCHEMA = Path(site_report.__file__).with_name("site_report.schema.json")


@dataclass(frozen=True)
class RegisteredCase:
    """One case of the table.

    Attributes:
        case: its name.
        seconds: wall time of the registration.
        processor_seconds: processor time of all its threads: what a busy machine does not distort.
        start: which start won.
        gates: gate -> value.
        failed: the gates that failed, a sentence each.
        side: of the site report.
        side_of_mask: ``left`` or ``right``: where most of the mask lies in the image itself.
        share_of_side: share of the mask on that side, 0.5 to 1.
        across_midline_ml: tumour beyond the midline's tolerance on the lesser side; None if not assessable.
        schema_errors: what the site report's JSON breaks of its schema; empty where it fits.
    """

    case: str
    seconds: float
    processor_seconds: float
    start: str
    gates: dict[str, float]
    failed: tuple[str, ...]
    side: str
    side_of_mask: str
    share_of_side: float
    across_midline_ml: float | None
    schema_errors: tuple[str, ...]

    @property
    def side_is_right(self) -> bool:
        """Whether report and mask name the same side."""
        return self.side == self.side_of_mask


@dataclass(frozen=True)
class RegistrationBenchmark:
    """All cases, and what they amount to."""

    cases: tuple[RegisteredCase, ...]

    @property
    def median_seconds(self) -> float:
        """Of the registrations."""
        return float(np.median([case.seconds for case in self.cases]))

    @property
    def median_processor_seconds(self) -> float:
        """Of the registrations."""
        return float(np.median([case.processor_seconds for case in self.cases]))

    @property
    def slowest_seconds(self) -> float:
        """Of the registrations."""
        return max(case.seconds for case in self.cases)

    @property
    def passed(self) -> int:
        """Cases that pass every gate."""
        return sum(not case.failed for case in self.cases)

    @property
    def right_sides(self) -> int:
        """Cases whose side is the mask's own."""
        return sum(case.side_is_right for case in self.cases)

    @property
    def valid_reports(self) -> int:
        """Cases whose report fits its schema."""
        return sum(not case.schema_errors for case in self.cases)


def benchmark_registration(
    cases: Iterable[CaseFiles],
    atlas: Atlas,
    configuration: RegistrationConfiguration = RegistrationConfiguration(),
    *,
    progress: Callable[[RegisteredCase], None] = lambda case: None,
) -> RegistrationBenchmark:
    """Register every labelled case and describe its tumour's site.

    Args:
        cases: cases without a label are left out.
        atlas: where they are laid.
        configuration: how, and when the result is not trusted.
        progress: called after every case.

    Raises:
        InvalidValueError: no case has a label.
    """
    schema = json.loads(SITE_SCHEMA.read_text(encoding="utf-8"))
    rows = []
    for case in cases:
        if case.label is None:
            continue
        images = images_of_case(case, case.label, "")
        before = time.process_time()
        registration = register_to_atlas(images.volume, images.labels, configuration)
        used = time.process_time() - before
        row = _row(images, registration, describe_site(images.labels, registration, atlas), used, schema)
        progress(row)
        rows.append(row)
    if not rows:
        raise InvalidValueError("cases: none has a label")
    return RegistrationBenchmark(tuple(rows))


def _row(
    images: TumorImages,
    registration: Registration,
    report: SiteReport,
    processor_seconds: float,
    schema: dict[str, Any],
) -> RegisteredCase:
    left = share_on_the_left(images)
    errors = jsonschema.Draft7Validator(schema).iter_errors(report.to_json())
    return RegisteredCase(
        case=images.case,
        seconds=registration.seconds,
        processor_seconds=processor_seconds,
        start=registration.start,
        gates={gate.name: gate.value for gate in registration.gates},
        failed=registration.reasons,
        side=report.side,
        side_of_mask="left" if left > 0.5 else "right",
        share_of_side=max(left, 1.0 - left),
        across_midline_ml=report.across_midline_ml,
        schema_errors=tuple(error.message for error in errors),
    )


def share_on_the_left(images: TumorImages) -> float:
    """Share of the mask left of the brain's centroid along the header's left-right axis; no atlas involved."""
    to_x = images.volume.affine[0]
    brain = np.argwhere(images.volume.array[0] != 0)
    tumor = np.argwhere(images.labels > 0)
    middle = float((brain @ to_x[:3]).mean() + to_x[3])
    return float((tumor @ to_x[:3] + to_x[3] < middle).mean())
