"""What the benchmarks' tests borrow: the clinic's toy knowledge, and the skin course's toy models."""

from __future__ import annotations

from tests.medsynth_app.clinical.conftest import (  # noqa: F401
    definitions,
    toy_atlas,
    toy_definitions,
    toy_library,
    toy_sites,
)
from tests.medsynth_app.synthesis.skin.conftest import (  # noqa: F401
    toy_folder,
    toy_generator,
    toy_judge,
    toy_models,
)
