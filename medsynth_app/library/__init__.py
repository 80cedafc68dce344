"""What ``import medsynth_app as ms`` offers besides ``ms.segment`` and ``ms.prepare``: one call a job."""
