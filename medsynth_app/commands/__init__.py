"""The commands of ``medsynth``, one file each."""

from __future__ import annotations

import warnings

# MONAI asks for CUDA's Python bindings whether they are needed or not, and their old name warns: no news to who
# called a command. Here, before any command is imported.
warnings.filterwarnings("ignore", message="The cuda.cudart module is deprecated", category=FutureWarning)
