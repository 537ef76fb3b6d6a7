"""The parts of the Sampling dock: cards of rules, keep-rules and overrides, and the preview."""
