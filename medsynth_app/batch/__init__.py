"""Many studies or many synthetic cases: small tasks that survive a kill, on this machine or on a Ray cluster."""

import medsynth_app.quiet_imports  # noqa: F401 - a worker imports this package first
