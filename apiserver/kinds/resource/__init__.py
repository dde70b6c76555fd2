"""Kinds of the group resource.k8s.io."""

from __future__ import annotations

from apiserver.kinds.resource.kinds import DEVICE_CLASS, RESOURCE_CLAIM, RESOURCE_CLAIM_TEMPLATE, RESOURCE_SLICE
from apiserver.kinds.resource.taintrules import DEVICE_TAINT_RULE
from apiserver.kinds.resource.versions import OLDER
from apiserver.registry.kind import Kind

__all__ = ["KINDS", "OLDER", "ON_DEMAND"]

KINDS: tuple[Kind, ...] = (DEVICE_CLASS, RESOURCE_CLAIM, RESOURCE_CLAIM_TEMPLATE, RESOURCE_SLICE)
ON_DEMAND: tuple[Kind, ...] = (DEVICE_TAINT_RULE,)
"""Those that the stable version has not."""
