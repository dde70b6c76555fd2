"""Kinds of the group storagemigration.k8s.io, which is served on demand alone."""

from __future__ import annotations

from apiserver.kinds.storagemigration.migration import STORAGE_VERSION_MIGRATION
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (STORAGE_VERSION_MIGRATION,)
