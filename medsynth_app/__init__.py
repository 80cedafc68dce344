"""MedSynth: brain-tumour segmentation, medical image synthesis and symptom cross-check.

A plain library: it knows images, models and medicine, not MONAI Label. The server application that
puts it behind MONAI Label's REST protocol is ``apps/medsynth``. Research and education only.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_LIBRARY = {
    "segment": ("medsynth_app.segmentation.whole_study.library", "segment_input"),
    "prepare": ("medsynth_app.segmentation.whole_study.library", "prepare_input"),
    "generate": ("medsynth_app.library.generation", "generate"),
    "train": ("medsynth_app.library.training", "train"),
    "evaluate": ("medsynth_app.library.evaluation", "evaluate"),
    "show": ("medsynth_app.library.figures", "show"),
}
"""Public name -> where it lives; imported when it is first asked for, so that importing the package stays quick."""


def __getattr__(name: str) -> Any:
    if name not in _LIBRARY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LIBRARY[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return [*globals(), *_LIBRARY]
