"""Garbage collector: what has lost its last owner goes; owners that wait for their dependents, or orphan them, are let go."""

from controllers.garbagecollector.controller import CONTROLLER

__all__ = ["CONTROLLER"]
