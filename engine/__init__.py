"""The runtime engine. No public API: only citadel is."""
