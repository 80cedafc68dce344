"""The porch of MedSynth: what MONAI Label needs to know about it, kept thin."""

import medsynth_app.quiet_imports  # noqa: F401 - before MONAI is imported
