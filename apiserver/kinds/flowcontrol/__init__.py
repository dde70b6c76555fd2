"""Kinds of the group flowcontrol.apiserver.k8s.io."""

from __future__ import annotations

from apiserver.kinds.flowcontrol.flowschema import FLOW_SCHEMA
from apiserver.kinds.flowcontrol.prioritylevel import PRIORITY_LEVEL
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (FLOW_SCHEMA, PRIORITY_LEVEL)
