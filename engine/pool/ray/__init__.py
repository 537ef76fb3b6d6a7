"""Pools whose workers live on a Ray cluster: Ray places and hosts, our own link carries."""
