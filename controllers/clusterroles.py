"""ClusterRole aggregation: a role with an aggregation rule has the rules of all roles that its selectors match."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from kubeling.api import selectors
from kubeling.api.meta import Key, Object, key_of, labels_of, name_of
from kubeling.api.resources import CLUSTER_ROLES
from kubeling.client.rest import PatchKind

MANAGER = "clusterrole-aggregation-controller"


def aggregated(role: Object, roles: Iterable[Object]) -> list[Object]:
    """The rules of the roles that each selector matches, by name, without repetition."""
    found: list[Object] = []
    by_name = sorted((r for r in roles if name_of(r) != name_of(role)), key=name_of)
    for text in role["aggregationRule"].get("clusterRoleSelectors") or ():
        selector = selectors.from_label_selector(text)
        for other in by_name:
            if selector.matches(labels_of(other)):
                found += [rule for rule in other.get("rules") or () if rule not in found]
    return found


class AggregationReconciler:
    """Keeps the rules of each aggregated role; applies them, so that everything else stays the user's."""

    def __init__(self, roles: Collection) -> None:
        self._roles = roles

    async def reconcile(self, key: Key) -> None:
        role = self._roles.get(key)
        if role is None or not role.get("aggregationRule"):
            return
        rules = aggregated(role, self._roles.store.list())
        if rules == (role.get("rules") or []):
            return
        wanted = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": key.name},
            "rules": rules,
        }
        applied = await self._roles.client.patch(
            CLUSTER_ROLES, key.name, wanted, kind=PatchKind.APPLY, field_manager=MANAGER, force=True
        )
        self._roles.informer.observe(applied)


def build(context: Context) -> Sequence[Runnable]:
    roles = context.collection(CLUSTER_ROLES)

    def all_aggregated(old: Object | None, new: Object | None) -> Iterable[Key]:
        yield from (key_of(role) for role in roles.store.list() if role.get("aggregationRule"))

    controller = context.controller("ClusterRoleAggregator", AggregationReconciler(roles))
    controller.watch(roles.informer, all_aggregated)
    return [controller]


CONTROLLER = ControllerSpec("clusterrole-aggregation-controller", build, alias="clusterrole-aggregation")
