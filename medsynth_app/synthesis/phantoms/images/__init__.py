"""Procedural 2-D pictures of six modalities."""
