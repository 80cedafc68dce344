"""A patient's own words, Korean or English, as symptoms."""
