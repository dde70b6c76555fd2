"""Kinds of the group resource.k8s.io."""

from __future__ import annotations

from apiserver.kinds.resource.kinds import DEVICE_CLASS, RESOURCE_CLAIM, RESOURCE_CLAIM_TEMPLATE, RESOURCE_SLICE
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (DEVICE_CLASS, RESOURCE_CLAIM, RESOURCE_CLAIM_TEMPLATE, RESOURCE_SLICE)
