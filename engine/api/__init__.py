"""The engine's gRPC face: auth, TLS, health, reflection, and one servicer a service."""
