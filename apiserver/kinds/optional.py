"""Kinds of beta versions that a default server does not serve: ``--runtime-config`` turns them on.

Source: https://kubernetes.io/docs/reference/using-api/#enabling-or-disabling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apiserver.kinds import resource, storagemigration
from apiserver.registry.kind import Kind

OPTIONAL: Mapping[str, tuple[Kind, ...]] = {
    "resource.k8s.io/v1beta2": resource.ON_DEMAND,
    "storagemigration.k8s.io/v1beta1": storagemigration.KINDS,
}
"""By group and version."""
_ALL = ("api/all", "api/beta")


def enabled(runtime_config: Iterable[str]) -> tuple[Kind, ...]:
    """The kinds that the entries (``GROUP/VERSION[/RESOURCE][=BOOLEAN]``) turn on; the most specific entry counts."""
    switches = {key: value.lower() in ("", "true") for key, _, value in (e.partition("=") for e in runtime_config)}

    def is_on(version: str, kind: Kind) -> bool:
        keys = (f"{version}/{kind.resource.plural}", version, *_ALL[::-1])
        return next((switches[key] for key in keys if key in switches), False)

    return tuple(kind for version, kinds in OPTIONAL.items() for kind in kinds if is_on(version, kind))
