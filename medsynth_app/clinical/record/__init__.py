"""Stored cross-checks: repository, decision, audit, images."""
