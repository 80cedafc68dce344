"""Which cases may validate: real ones, none of which is a training case under another name."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.provenance.generated_voxels import generated_here
from medsynth_app.imaging.provenance.same_images import digests_of_cases, is_marked_case, same_examination
from medsynth_app.imaging.studies.cases import CaseFiles


def check_validation_cases(cases: Sequence[CaseFiles], held_out: Collection[str]) -> None:
    """Validation cases are real, and none is a training case under another name.

    Raises:
        InvalidValueError: names those that are not.
    """
    if not held_out:
        return
    digests = digests_of_cases(cases)
    table = generated_here()
    generated = [
        case.name
        for case in cases
        if case.name in held_out and (is_marked_case(case) or table.find(digests[case.name]) is not None)
    ]
    if generated:
        raise InvalidValueError(f"validation: {', '.join(generated)} are synthetic; only real cases validate")
    same = same_examination(digests)
    training = {same[case.name]: case.name for case in cases if case.name not in held_out}
    twice = [f"{name} and {training[same[name]]}" for name in sorted(held_out) if same[name] in training]
    if twice:
        raise InvalidValueError(
            f"validation: {'; '.join(twice)} hold the same images; a case that is trained on cannot validate: "
            "take one of the two away, or name both"
        )
