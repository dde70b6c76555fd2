"""Kinds and versions that a default server does not serve: ``--runtime-config`` turns them on.

Source: https://kubernetes.io/docs/reference/using-api/#enabling-or-disabling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from apiserver.kinds import resource, storagemigration
from apiserver.registry.kind import Kind
from kubeling.api.resource import Resource

KINDS: tuple[Kind, ...] = (*resource.ON_DEMAND, *storagemigration.KINDS)
"""Those of which a default server has no version."""
OLDER = resource.OLDER
"""Versions of these and of others."""


def with_optional(kinds: Iterable[Kind], runtime_config: Iterable[str]) -> tuple[Kind, ...]:
    """The kinds, and what the entries (``GROUP/VERSION[/RESOURCE][=BOOLEAN]``) turn on; the most specific entry counts."""
    switches = {key: value.lower() in ("", "true") for key, _, value in (e.partition("=") for e in runtime_config)}

    def is_on(what: Resource) -> bool:
        stage = "api/alpha" if "alpha" in what.version else "api/beta"
        keys = (f"{what.api_version}/{what.plural}", what.api_version, stage, "api/all")
        return next((switches[key] for key in keys if key in switches), False)

    found = [_with_older(kind, is_on) for kind in kinds]
    optional = (replace(_with_older(kind, is_on), served=is_on(kind.resource)) for kind in KINDS)
    return (*found, *(kind for kind in optional if kind.served or kind.versions))


def _with_older(kind: Kind, is_on: Callable[[Resource], bool]) -> Kind:
    versions = [c for c in OLDER.get(kind.resource.qualified, ()) if is_on(c.resource)]
    return replace(kind, versions=(*kind.versions, *versions)) if versions else kind
