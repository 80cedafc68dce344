"""Warnings of libraries at their import that are no news to who uses MedSynth; imported before they are."""

from __future__ import annotations

import warnings

# MONAI asks for CUDA's Python bindings whether they are needed or not, and their old name warns.
warnings.filterwarnings("ignore", message="The cuda.cudart module is deprecated", category=FutureWarning)
