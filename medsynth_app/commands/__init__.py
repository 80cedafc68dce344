"""The commands of ``medsynth``, one file each."""

import medsynth_app.quiet_imports  # noqa: F401 - before any command is imported
