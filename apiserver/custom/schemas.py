"""The schemas of everything served: those of Kubernetes itself and those that definitions brought."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeling.api.schema import GVK, ObjectSchema, Schemas, StructuralSchema


class ServedSchemas:
    """Implements ``kubeling.api.schema.body.Registered``; custom kinds come and go."""

    def __init__(self, builtin: Schemas) -> None:
        self.builtin = builtin
        self._custom: dict[tuple[str, str, str], tuple[StructuralSchema, Mapping[str, Any]]] = {}

    def has(self, group: str, version: str, kind: str) -> bool:
        return (group, version, kind) in self._custom or self.builtin.has(group, version, kind)

    def of(self, group: str, version: str, kind: str) -> ObjectSchema:
        """Raises KeyError for a kind that nobody declared."""
        found = self._custom.get((group, version, kind))
        return found[0] if found else self.builtin.of(group, version, kind)

    def openapi(self, group: str, version: str, kind: str) -> Mapping[str, Any] | None:
        """The schema of a custom kind as its definition has it; None for others."""
        found = self._custom.get((group, version, kind))
        return found[1] if found else None

    def add(self, gvk: GVK, schema: StructuralSchema, openapi: Mapping[str, Any]) -> None:
        self._custom[gvk.group, gvk.version, gvk.kind] = schema, openapi

    def remove(self, gvk: GVK) -> None:
        self._custom.pop((gvk.group, gvk.version, gvk.kind), None)
