"""Pods on this node: what to do (actions), what to report (status), and the workers that do it."""
