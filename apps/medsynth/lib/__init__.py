"""The porch of MedSynth: what MONAI Label needs to know about it, kept thin."""
