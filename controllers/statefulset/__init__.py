"""StatefulSet: pods with names that last, in order."""

from controllers.statefulset.controller import CONTROLLER

__all__ = ["CONTROLLER"]
