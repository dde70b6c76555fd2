"""The node: its registration, status, lease, admission and certificates."""
