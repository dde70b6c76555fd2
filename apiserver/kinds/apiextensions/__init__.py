"""Kinds of the group apiextensions.k8s.io."""

from __future__ import annotations

from apiserver.kinds.apiextensions.crd import CUSTOM_RESOURCE_DEFINITION
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (CUSTOM_RESOURCE_DEFINITION,)
