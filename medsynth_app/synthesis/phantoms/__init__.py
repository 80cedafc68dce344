"""Procedural anatomy: volumes of six kinds from a seed, without weights."""
