"""Kinds of the group policy."""

from __future__ import annotations

from apiserver.kinds.policy.poddisruptionbudget import POD_DISRUPTION_BUDGET
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (POD_DISRUPTION_BUDGET,)
