"""Deployment: revisions of a template rolled out over ReplicaSets."""

from controllers.deployment.controller import CONTROLLER

__all__ = ["CONTROLLER"]
