"""Kinds of the group coordination.k8s.io."""

from __future__ import annotations

from apiserver.kinds.coordination.lease import LEASE
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (LEASE,)
