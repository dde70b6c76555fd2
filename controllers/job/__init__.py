"""Job: pods that run to their end, each counted once."""

from controllers.job.controller import CONTROLLER

__all__ = ["CONTROLLER"]
