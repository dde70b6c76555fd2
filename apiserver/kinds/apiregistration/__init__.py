"""Kinds of the group apiregistration.k8s.io."""

from __future__ import annotations

from apiserver.kinds.apiregistration.apiservice import API_SERVICE
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (API_SERVICE,)
