"""Hospitals: import, look-up, search by need and distance."""
