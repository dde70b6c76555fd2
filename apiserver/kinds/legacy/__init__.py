"""The old versions of the tutorials, as conversions added to the stored kinds (server option ``--legacy-apis``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from apiserver.kinds.legacy import conversion as convert
from apiserver.kinds.legacy import defaults
from apiserver.kinds.legacy.defaults import LegacyStrategy
from apiserver.kinds.legacy.rollback import roll_back
from apiserver.registry.actions import Handler
from apiserver.registry.kind import Conversion, Kind
from kubeling.api.resource import SCALE, Resource, Subresource

Key = tuple[str, str]
"""Group and kind as they are stored."""


@dataclass(frozen=True, slots=True)
class Old:
    """An old version of a stored kind: the releases that deprecated and dropped it, and how it differs."""

    group: str
    version: str
    deprecated: str
    removed: str
    defaults: tuple[defaults.Default, ...] = ()
    mapping: convert.Mapping = field(default=convert.SAME)
    subresources: tuple[Subresource, ...] = ()
    """Those that the stored version has not."""


_EXTENSIONS = ("extensions", "v1beta1", "1.8", "1.16")
_APPS_1 = ("apps", "v1beta1", "1.8", "1.16")
_APPS_2 = ("apps", "v1beta2", "1.9", "1.16")
_SELECTOR = defaults.selector_of_template
_ROLLBACK = Subresource("rollback", ("create",), kind="DeploymentRollback")
ACTIONS: Mapping[Key, Mapping[str, Handler]] = {("apps", "Deployment"): {"rollback": roll_back}}
"""Handlers of the subresources that only old versions have."""

OLD: Mapping[Key, tuple[Old, ...]] = {
    ("apps", "Deployment"): (
        Old(*_EXTENSIONS, (_SELECTOR, defaults.extensions_deployment), convert.ROLLBACK, (_ROLLBACK,)),
        Old(*_APPS_1, (_SELECTOR, defaults.apps_v1beta1_deployment), convert.ROLLBACK, (_ROLLBACK,)),
        Old(*_APPS_2),
    ),
    ("apps", "ReplicaSet"): (Old(*_EXTENSIONS, (_SELECTOR,)), Old(*_APPS_2)),
    ("apps", "DaemonSet"): (Old(*_EXTENSIONS, (_SELECTOR, defaults.on_delete), convert.GENERATION), Old(*_APPS_2)),
    ("apps", "StatefulSet"): (Old(*_APPS_1, (_SELECTOR, defaults.on_delete)), Old(*_APPS_2)),
    ("apps", "ControllerRevision"): (Old(*_APPS_1), Old(*_APPS_2)),
    ("batch", "CronJob"): (Old("batch", "v1beta1", "1.21", "1.25"),),
    ("networking.k8s.io", "Ingress"): (
        Old("extensions", "v1beta1", "1.14", "1.22", (defaults.path_types,), convert.INGRESS),
        Old("networking.k8s.io", "v1beta1", "1.19", "1.22", (defaults.path_types,), convert.INGRESS),
    ),
    ("networking.k8s.io", "IngressClass"): (Old("networking.k8s.io", "v1beta1", "1.19", "1.22"),),
    ("networking.k8s.io", "NetworkPolicy"): (Old("extensions", "v1beta1", "1.9", "1.16"),),
    ("policy", "PodDisruptionBudget"): (Old("policy", "v1beta1", "1.21", "1.25", mapping=convert.BUDGET),),
}


def with_legacy(kinds: Iterable[Kind]) -> tuple[Kind, ...]:
    """The same kinds, served in their old versions, too."""
    return tuple(_extended(kind) for kind in kinds)


def _extended(kind: Kind) -> Kind:
    old = OLD.get((kind.resource.group, kind.resource.kind), ())
    if not old:
        return kind
    actions = {**kind.actions, **ACTIONS.get((kind.resource.group, kind.resource.kind), {})}
    return replace(kind, versions=(*kind.versions, *(_conversion(kind, o) for o in old)), actions=actions)


def _conversion(kind: Kind, old: Old) -> Conversion:
    scale = replace(SCALE, group=old.group, version=old.version)
    subresources = [scale if s.name == SCALE.name else s for s in kind.resource.subresources]
    resource = replace(
        kind.resource, group=old.group, version=old.version, subresources=(*subresources, *old.subresources)
    )
    return Conversion(
        resource,
        LegacyStrategy(kind.strategy, old.defaults),
        to_storage=convert.under(kind.resource.api_version, old.mapping.to_storage),
        from_storage=convert.under(resource.api_version, old.mapping.from_storage),
        deprecation=_deprecation(resource, kind.resource, old),
    )


def _deprecation(resource: Resource, successor: Resource, old: Old) -> str:
    return (
        f"{resource.api_version} {resource.kind} is deprecated in v{old.deprecated}+, "
        f"unavailable in v{old.removed}+; use {successor.api_version} {successor.kind}"
    )
