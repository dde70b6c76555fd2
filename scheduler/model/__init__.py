"""Pods and nodes as the scheduler sees them."""
