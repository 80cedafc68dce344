"""The porch of MedSynth: what MONAI Label needs to know about it, kept thin."""

from __future__ import annotations

import warnings

# As in ``medsynth_app.commands``: MONAI asks for CUDA's bindings under their old name, which warns.
warnings.filterwarnings("ignore", message="The cuda.cudart module is deprecated", category=FutureWarning)
