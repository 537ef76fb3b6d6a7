"""Citadel's public SDK."""
