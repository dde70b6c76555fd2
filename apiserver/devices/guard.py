"""Who may write what of claims: administrators' access by the namespace's label, parts of the status by further rights.

Source: pkg/registry/resource (AuthorizedForAdmin, AuthorizedForBinding, AuthorizedForDeviceStatus) and the documentation
"Granular status authorization".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from apiserver.authz.forbidden import forbidden as refusal
from apiserver.http.protocols import Attributes, Authorizer
from apiserver.http.request import User
from apiserver.registry.facade import Registries
from apiserver.registry.kind import Context
from apiserver.registry.write import Finish, finish_nothing
from kubeling.api import errors
from kubeling.api.fields import ErrorList, Path, forbidden
from kubeling.api.meta import Object, labels_of, name_of, namespace_of
from kubeling.api.resource import Resource
from kubeling.api.resources import NAMESPACES, RESOURCE_CLAIMS

ADMIN_LABEL = "resource.kubernetes.io/admin-access"
NODE_NAME = "authentication.kubernetes.io/node-name"
_NO_ADMIN = f"admin access to devices requires the `{ADMIN_LABEL}: true` label on the containing namespace"
_DEVICE = ("driver", "pool", "device", "shareID")
Fields = Mapping[str, Any]


class ClaimGuard:
    """Write hooks of claims and of their templates. ``authorizer``: asked for once there is something to judge."""

    def __init__(self, resource: Resource, registries: Registries, authorizer: Callable[[], Authorizer]) -> None:
        self._resource, self._registries, self._authorizer = resource, registries, authorizer

    async def begin_create(self, ctx: Context, obj: Object) -> Finish:
        spec = obj["spec"] if self._resource == RESOURCE_CLAIMS else obj["spec"].get("spec") or {}
        at = Path("spec", "devices", "requests")
        wanted = [
            at.index(i).child("adminAccess")
            for i, request in enumerate((spec.get("devices") or {}).get("requests") or ())
            if (request.get("exactly") or {}).get("adminAccess")
        ]
        self._refuse(obj, self._admin(obj, wanted))
        return finish_nothing

    async def begin_update(self, ctx: Context, obj: Object, old: Object) -> Finish:
        if ctx.subresource == "status":
            new, before = obj.get("status") or {}, old.get("status") or {}
            found = self._admin(obj, _admin_results(new)) if not _admin_results(before) else []
            found += await self._binding(ctx, new, before)
            found += await self._devices(ctx, namespace_of(obj), new, before)
            self._refuse(obj, found)
        return finish_nothing

    async def after_delete(self, obj: Object) -> None:
        return None

    def _refuse(self, obj: Object, found: ErrorList) -> None:
        if found:
            raise errors.invalid(self._resource.group, self._resource.kind, name_of(obj), found)

    def _admin(self, obj: Object, wanted: list[Path]) -> ErrorList:
        """One request tells for all."""
        if not wanted:
            return []
        namespace = self._registries.of(NAMESPACES).cached(namespace_of(obj))
        allowed = namespace is not None and labels_of(namespace).get(ADMIN_LABEL) == "true"
        return [] if allowed else [forbidden(wanted[0], _NO_ADMIN)]

    async def _binding(self, ctx: Context, new: Fields, old: Fields) -> ErrorList:
        """Who gives devices to pods: the scheduler, and the controller that takes them back."""
        if all((new.get(field) or None) == (old.get(field) or None) for field in ("allocation", "reservedFor")):
            return []
        why = await self._denied(ctx, ctx.verb, "binding")
        if not why:
            return []
        needed = f'requires resource="resourceclaims/binding", verb="{ctx.verb}" permission: {why}'
        return [forbidden(Path("status"), f"changing status.allocation or status.reservedFor {needed}")]

    async def _devices(self, ctx: Context, namespace: str, new: Fields, old: Fields) -> ErrorList:
        """Drivers tell about their own devices; those of a node about devices that are allocated for it."""
        verbs = [f"arbitrary-node:{ctx.verb}"]
        if _is_on(ctx, _node_of(new)):
            verbs.insert(0, f"associated-node:{ctx.verb}")
        found: ErrorList = []
        for driver in sorted(_changed_drivers(new, old)):
            reasons = [await self._denied(ctx, verb, "driver", namespace, driver) for verb in verbs]
            if all(reasons):
                needed = (
                    f'requires resource="resourceclaims/driver", verb="[{" ".join(verbs)}]" permission: {reasons[0]}'
                )
                found.append(forbidden(Path("status", "devices"), f"changing status.devices {needed}"))
        return found

    async def _denied(self, ctx: Context, verb: str, subresource: str, namespace: str = "", name: str = "") -> str:
        """Why the user may not, empty where he may."""
        user = User(ctx.user, ctx.uid, ctx.groups, {key: tuple(values) for key, values in ctx.extra.items()})
        version = ctx.api_version.rpartition("/")[2]
        question = Attributes(
            user, verb, group=self._resource.group, version=version, resource=self._resource.plural,
            subresource=subresource, namespace=namespace, name=name,
        )  # fmt: skip
        answer = await self._authorizer().authorize(question)
        return "" if answer.allowed else refusal(question, answer.reason).message


def _admin_results(status: Fields) -> list[Path]:
    at = Path("status", "allocation", "devices", "results")
    results = ((status.get("allocation") or {}).get("devices") or {}).get("results") or ()
    return [at.index(i).child("adminAccess") for i, result in enumerate(results) if result.get("adminAccess")]


def _changed_drivers(new: Fields, old: Fields) -> set[str]:
    """The drivers whose devices are told about in another way."""
    after, before = _by_device(new.get("devices") or ()), _by_device(old.get("devices") or ())
    return {key[0] for key in after.keys() | before.keys() if after.get(key) != before.get(key)}


def _by_device(devices: Iterable[Fields]) -> dict[tuple[str, ...], Fields]:
    return {tuple(d.get(field) or "" for field in _DEVICE): d for d in devices}


def _node_of(status: Fields) -> str:
    """The one node that the allocation is for, if there is one."""
    terms = list(((status.get("allocation") or {}).get("nodeSelector") or {}).get("nodeSelectorTerms") or ())
    if len(terms) != 1 or terms[0].get("matchExpressions") or len(terms[0].get("matchFields") or ()) != 1:
        return ""
    field = terms[0]["matchFields"][0]
    values = list(field.get("values") or ())
    by_name = (field.get("key"), field.get("operator")) == ("metadata.name", "In")
    return str(values[0]) if by_name and len(values) == 1 else ""


def _is_on(ctx: Context, node: str) -> bool:
    """Whether the user is a service account in a pod on that node."""
    return (
        bool(node) and ctx.user.startswith("system:serviceaccount:") and list(ctx.extra.get(NODE_NAME) or ()) == [node]
    )
