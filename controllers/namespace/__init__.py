"""Namespace: a namespace being deleted is emptied, then finalized."""

from controllers.namespace.controller import CONTROLLER

__all__ = ["CONTROLLER"]
