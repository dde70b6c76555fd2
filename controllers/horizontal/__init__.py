"""HorizontalPodAutoscaler: as many pods as the metrics ask for, within the bounds and at the pace that it allows."""

from controllers.horizontal.controller import CONTROLLER

__all__ = ["CONTROLLER"]
