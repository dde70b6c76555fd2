"""ResourceClaims: made from pods' templates, freed when their consumers have ended."""

from controllers.resourceclaim.controller import CONTROLLER

__all__ = ["CONTROLLER"]
