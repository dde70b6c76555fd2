"""Kinds of the group node.k8s.io."""

from __future__ import annotations

from apiserver.kinds.node.runtimeclass import RUNTIME_CLASS
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (RUNTIME_CLASS,)
