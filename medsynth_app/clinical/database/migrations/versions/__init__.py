"""The changes themselves; the newest is the head."""
