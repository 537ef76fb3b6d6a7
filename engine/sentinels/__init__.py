"""Supervised agents, signals and missions."""
