"""Kinds of the group scheduling.k8s.io."""

from __future__ import annotations

from apiserver.kinds.scheduling.priorityclass import PRIORITY_CLASS
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (PRIORITY_CLASS,)
