"""The template brain, its regions, and how a patient is laid on it."""
