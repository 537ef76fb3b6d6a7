"""The runtime engine. No public API: only citadel is."""

import os

# Before anything imports gRPC: its own lines on standard error say nothing to an operator.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
