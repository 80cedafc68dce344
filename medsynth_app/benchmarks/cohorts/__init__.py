"""Simulated patients: by the score's own links, and by tables that share none of them."""
