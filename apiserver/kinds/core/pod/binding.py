"""Binding a pod to a node: ``pods/NAME/binding`` and the older ``bindings`` (pkg/registry/core/pod/storage: BindingREST)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from apiserver.kinds.core.pod.strategy import PodStrategy
from apiserver.registry.actions import ActionRequest, ActionResult
from apiserver.registry.kind import Context, Kind
from kubeling.api import errors, fields
from kubeling.api.errors import StatusError
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, annotations_of, is_deleting, labels_of, name_of, with_condition
from kubeling.api.resources import BINDINGS, PODS

SUCCESS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


class BindingStrategy(PodStrategy):
    """The one update that may set the node: what is bound has been checked by ``bound``."""

    revalidates_metadata = False

    def generation_changed(self, obj: Object, old: Object) -> bool:
        return False

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        return

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return []


async def bind(request: ActionRequest) -> ActionResult:
    """POST of a Binding. Raises 400, 404, 409, or 500 for a target that makes no sense, as upstream does."""
    binding = request.body or {}
    name = request.info.name or name_of(binding)
    if name_of(binding) != name:
        raise errors.bad_request("name in URL does not match name in Binding object")
    problems = _validate(binding.get("target") or {})
    if problems:
        texts = [str(p) for p in problems]
        raise errors.failure(500, "", texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]")

    def change(pod: Object) -> Object:
        return bound(pod, binding, request.now)

    registry, options = request.registries.of(PODS), replace(request.write, owning=False)
    await registry.update(name, change, request.info.namespace, subresource="binding", options=options)
    return ActionResult(dict(SUCCESS), 201)


def bound(pod: Object, binding: Object, now: datetime) -> Object:
    """The pod with its node. Raises 409 when it cannot be bound (any more)."""
    name, spec = name_of(pod), pod["spec"]
    if is_deleting(pod):
        raise _conflict(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _conflict(name, f"pod {name} is already assigned to node {fields.quoted(spec['nodeName'])}")
    if spec.get("schedulingGates"):
        raise _conflict(name, f"pod {name} has non-empty .spec.schedulingGates")
    meta, status = dict(pod["metadata"]), dict(pod.get("status") or {})
    for field, added in (("annotations", annotations_of(binding)), ("labels", labels_of(binding))):
        if added:
            meta[field] = {**(meta.get(field) or {}), **added}
    status["conditions"] = with_condition(status.get("conditions"), "PodScheduled", "True", now, lastProbeTime=None)
    status.pop("nominatedNodeName", None)
    return {**pod, "metadata": meta, "spec": {**spec, "nodeName": binding["target"]["name"]}, "status": status}


def _conflict(name: str, why: str) -> StatusError:
    return errors.conflict("", "pods/binding", name, why)


def _validate(target: Object) -> ErrorList:
    path = Path("target")
    found: ErrorList = []
    if target.get("kind") not in (None, "", "Node"):
        found.append(fields.not_supported(path.child("kind"), target["kind"], ["Node", "<empty>"]))
    if not target.get("name"):
        found.append(fields.required(path.child("name")))
    return found


BINDING = Kind(BINDINGS, actions={"": bind})
