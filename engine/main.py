"""Composition root: builds the parts, starts and stops them in order; the only place that wires."""
