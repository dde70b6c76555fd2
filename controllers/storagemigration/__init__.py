"""Storage version migration: all objects of a resource are written again in the form in which they are stored today."""

from controllers.storagemigration.controller import CONTROLLER

__all__ = ["CONTROLLER"]
