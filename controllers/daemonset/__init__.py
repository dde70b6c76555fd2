"""DaemonSet: one pod of a template on every node that fits."""

from controllers.daemonset.controller import CONTROLLER

__all__ = ["CONTROLLER"]
