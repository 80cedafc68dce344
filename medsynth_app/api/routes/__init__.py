"""The routes of ``/medsynth/api/``, one file a subject."""
