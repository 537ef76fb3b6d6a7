"""OTLP, OpenTelemetry's protocol: rows to bytes, and bytes to receivers. Knows no engine.

Light: gRPC is imported only where it is used, and HTTP needs urllib3 alone (extra `otlp`).
"""
