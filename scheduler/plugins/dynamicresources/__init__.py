"""Dynamic resources: the devices that a pod's ResourceClaims ask for are there on its node, and are given to it."""

from scheduler.plugins.dynamicresources.plugin import DynamicResources

__all__ = ["DynamicResources"]
