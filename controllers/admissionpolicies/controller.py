"""Keeps the status of validating admission policies.

Source: pkg/controller/validatingadmissionpolicystatus.
"""

from __future__ import annotations

from collections.abc import Sequence

from controllers.admissionpolicies.checking import kinds_of, param_kind, resources_of, warnings_of
from controllers.admissionpolicies.schemas import Published
from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from kubeling.api.meta import Key, Object
from kubeling.api.resources import VALIDATING_ADMISSION_POLICIES
from kubeling.client.rest import PatchKind

NAME = "validatingadmissionpolicy-status-controller"


def is_due(policy: Object) -> bool:
    """Whether the spec has changed since it was checked."""
    observed = (policy.get("status") or {}).get("observedGeneration", 0)
    return bool(policy["metadata"].get("generation", 0) > observed)


def status_of(policy: Object, warnings: Sequence[Object]) -> Object:
    checking = {"expressionWarnings": list(warnings)} if warnings else {}
    return {"observedGeneration": policy["metadata"]["generation"], "typeChecking": checking}


class PolicyStatusReconciler:
    """Checks each generation of a policy once."""

    def __init__(self, policies: Collection, published: Published) -> None:
        self._policies, self._published = policies, published

    async def reconcile(self, key: Key) -> None:
        policy = self._policies.get(key)
        if policy is None or not is_due(policy):
            return
        kinds = kinds_of(policy, await self._published.kinds(resources_of(policy)))
        param = param_kind(policy)
        types = await self._published.types([*kinds, *([param] if param else [])])
        objects = {kind: types[kind] for kind in kinds if kind in types}
        warnings = warnings_of(policy, objects, types.get(param) if param else None)
        await self._apply(key.name, status_of(policy, warnings))

    async def _apply(self, name: str, status: Object) -> None:
        resource = self._policies.resource
        wanted = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name},
            "status": status,
        }
        applied = await self._policies.client.patch(
            resource, name, wanted, kind=PatchKind.APPLY, subresource="status", field_manager=NAME, force=True
        )
        self._policies.informer.observe(applied)


def build(context: Context) -> Sequence[Runnable]:
    policies = context.collection(VALIDATING_ADMISSION_POLICIES)
    reconciler = PolicyStatusReconciler(policies, Published(context.client))
    controller = context.controller("validatingadmissionpolicy-status", reconciler)
    controller.watch(policies.informer)
    return [controller]


CONTROLLER = ControllerSpec(NAME, build, alias="validatingadmissionpolicy-status")
