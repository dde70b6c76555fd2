"""Kinds of the group autoscaling."""

from __future__ import annotations

from apiserver.kinds.autoscaling.horizontalpodautoscaler import HORIZONTAL_POD_AUTOSCALER
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (HORIZONTAL_POD_AUTOSCALER,)
