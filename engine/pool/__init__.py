"""Worker processes and the scheduling of commands on them."""
