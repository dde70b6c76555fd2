"""Node lifecycle: silent nodes become unknown and tainted; pods that do not tolerate that are evicted."""

from controllers.nodelifecycle.controller import CONTROLLER
from controllers.nodelifecycle.eviction import CONTROLLER as TAINT_EVICTION

__all__ = ["CONTROLLER", "TAINT_EVICTION"]
