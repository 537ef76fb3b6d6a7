"""Generated code; only citadel.wire.codec imports it."""
