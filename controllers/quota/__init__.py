"""ResourceQuota: what a namespace uses of what it may."""

from controllers.quota.controller import CONTROLLER

__all__ = ["CONTROLLER"]
