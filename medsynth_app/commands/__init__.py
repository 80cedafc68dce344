"""The commands of ``medsynth``, one file each."""
