"""Strokes of an annotator turn into a corrected label map."""
