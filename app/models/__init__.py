"""Qt models over the store; no widgets."""
