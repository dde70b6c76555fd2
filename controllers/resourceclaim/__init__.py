"""ResourceClaims: made from pods' templates, freed when their consumers have ended; pods leave devices with taints."""

from controllers.resourceclaim.controller import CONTROLLER
from controllers.resourceclaim.taints import CONTROLLER as DEVICE_TAINTS

__all__ = ["CONTROLLER", "DEVICE_TAINTS"]
