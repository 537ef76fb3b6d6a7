"""The async client, its sync face, and the launcher of a local engine."""
