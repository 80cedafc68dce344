"""``tumor_case_synthesis`` behind the manners that all generators share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.labels import read_label_volume
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.options import shown_options
from medsynth_app.synthesis.conditions import described_option
from medsynth_app.synthesis.generator import GenerationRequest, ReportProgress, Synthetic, unheard
from medsynth_app.synthesis.tumor.condition_table import TIMING_FIELDS, TUMOR_OPTIONS, understood
from medsynth_app.synthesis.tumor.generator import GENERATOR_NAME, TumorCase, generate_tumor_case
from medsynth_app.synthesis.tumor.host.generator import grow_in_host
from medsynth_app.synthesis.tumor.host.head import read_host
from medsynth_app.synthesis.tumor.request import TumorCaseRequest
from medsynth_app.vocabulary import LABEL_NAMES, Modality

TASK = GENERATOR_NAME


class TumorConditions:
    """The fields of ``TumorCaseRequest`` as conditions; some may be null or nested, which no option table can say."""

    def parse(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All conditions with their values; what viewers send back in odd forms is understood.

        Raises:
            InvalidValueError: unknown or impossible.
        """
        if "seed" in given:
            raise InvalidValueError("seed: is no condition of this generator")
        return _without_seed(TumorCaseRequest.from_parameters(understood(given)))

    def shown(self) -> dict[str, Any]:
        """MONAI Label's ``config``: choices as lists, what may stay open as an empty text."""
        return shown_options(TUMOR_OPTIONS)

    def described(self) -> list[dict[str, Any]]:
        """Name, kind, default, meaning, unit, and range or choices of every condition."""
        defaults = _without_seed(TumorCaseRequest())
        rows = [described_option(option) for option in TUMOR_OPTIONS]
        # null says better than an empty text that the generator chooses
        rows = [{**row, "default": defaults.get(row["name"])} for row in rows]
        return [{**row, "kind": "dict", "fields": TIMING_FIELDS} if row["name"] == "sequences" else row for row in rows]


class TumorCaseGenerator:
    """A labelled four-sequence case from conditions or from a mask."""

    def generate(self, request: GenerationRequest, progress: ReportProgress = unheard) -> Synthetic:
        """Make one case.

        Raises:
            InvalidValueError: impossible conditions, or a mask on a foreign grid.
        """
        asked = TumorCaseRequest.from_parameters({**request.conditions, "seed": request.seed})
        if asked.host is not None:
            return self._in_host(asked, request, progress)
        mask = read_label_volume(request.label)[0] if request.label else None
        case = generate_tumor_case(asked, mask)
        progress(1.0)
        return synthetic_case(case, case.mark)


    def _in_host(self, asked: TumorCaseRequest, request: GenerationRequest, progress: ReportProgress) -> Synthetic:
        if request.label is not None:
            raise InvalidValueError("label: a host takes a tumour that is grown in it, no drawn mask; leave one out")
        if request.host is None:
            raise InvalidValueError(f"host: {asked.host!r} was not opened by whoever asks")
        head = read_host(request.host)
        progress(0.1)
        case = grow_in_host(asked, head)
        progress(1.0)
        made = synthetic_case(case, case.mark)
        return replace(made, facts={**made.facts, "host": head.name, "host_label": head.label_origin})


def synthetic_case(case: TumorCase, mark: SyntheticMark) -> Synthetic:
    """A tumour case in the form that all generators share."""
    return Synthetic(
        array=case.images.array,
        affine=case.images.affine,
        mark=mark,
        channels=tuple(modality.value for modality in Modality),
        label=case.label,
        label_names=dict(LABEL_NAMES),
        facts={"volumes_ml": case.volumes_ml, "seed_point_mm": list(case.seed_point_mm)},
    )


def _without_seed(request: TumorCaseRequest) -> dict[str, Any]:
    return {name: value for name, value in request.as_conditions().items() if name != "seed"}
