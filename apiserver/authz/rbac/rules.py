"""Policy rules, compiled for matching.

Source of the semantics: the RBAC reference documentation ("Referring to resources", "non-resource endpoints").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubeling.api.meta import Object

_ALL = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """One ``PolicyRule``; ``names`` None means that every name is covered."""

    source: Object
    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str] | None
    urls: frozenset[str]
    url_prefixes: tuple[str, ...]

    @classmethod
    def compile(cls, source: Mapping[str, Any]) -> Rule:
        urls = source.get("nonResourceURLs") or ()
        names = source.get("resourceNames") or ()
        return cls(
            dict(source),
            frozenset(source.get("verbs") or ()),
            frozenset(source.get("apiGroups") or ()),
            frozenset(source.get("resources") or ()),
            frozenset(names) if names else None,
            frozenset(urls),
            tuple(u[:-1] for u in urls if u.endswith(_ALL)),
        )

    def covers_verb(self, verb: str) -> bool:
        return verb in self.verbs or _ALL in self.verbs

    def covers_resource(self, verb: str, group: str, resource: str, subresource: str) -> bool:
        """Whether the rule speaks of these resources; which names it grants is in ``names``."""
        if not self.covers_verb(verb) or not (group in self.groups or _ALL in self.groups):
            return False
        combined = f"{resource}/{subresource}" if subresource else resource
        if combined in self.resources or _ALL in self.resources:
            return True
        return bool(subresource) and f"*/{subresource}" in self.resources

    def covers_url(self, verb: str, path: str) -> bool:
        if not self.covers_verb(verb):
            return False
        return path in self.urls or any(path.startswith(prefix) for prefix in self.url_prefixes)
