"""Device taint eviction: pods leave tainted devices, rules that taint devices say how far that has come."""

from controllers.devicetaints.controller import CONTROLLER

__all__ = ["CONTROLLER"]
