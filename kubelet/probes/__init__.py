"""Probes: startup, liveness and readiness, by exec, HTTP, TCP and gRPC."""
