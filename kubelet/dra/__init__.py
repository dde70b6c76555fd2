"""Dynamic resources on the node: drivers register themselves, prepare claims, and say which devices containers get."""
