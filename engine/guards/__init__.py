"""The defence layers and their chain."""
