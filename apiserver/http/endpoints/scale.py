"""The scale subresource: an ``autoscaling/v1`` Scale in front of whatever a kind is scaled by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver.audit.auditor import log_patch, log_request
from apiserver.http.endpoints.base import Call, answer, media_type_of, parameters, read_object, write_for
from apiserver.http.endpoints.patches import patch_kind
from apiserver.http.endpoints.writes import check_name
from apiserver.http.message import Response
from apiserver.registry.kind import Scale
from apiserver.registry.listing import get
from apiserver.registry.objects import copy_object
from apiserver.registry.options import first, parse_version
from apiserver.registry.update import check_uid
from apiserver.registry.write import Write
from apiserver.tables.scale import SCALE_PRINTER
from kubeling.api import errors, fields
from kubeling.api.apply import FieldManager, ScaleOwnership, parse_configuration
from kubeling.api.fields import Path
from kubeling.api.meta import Object
from kubeling.api.patch import PatchKind, patch_object
from kubeling.api.schema.body import GVK

_APPLY = PatchKind.APPLY.value
_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def _at(obj: Object, path: str) -> Any:
    value: Any = obj
    for field in path.split("."):
        value = value.get(field) if isinstance(value, dict) else None
    return value


def _set(obj: Object, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for field in parents:
        obj = obj.setdefault(field, {})
    obj[last] = value


def selector_text(selector: Any) -> str:
    """A label selector (or a plain map) in kubectl's form; match labels first, then expressions."""
    if not selector:
        return ""
    if isinstance(selector, str):
        return selector
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        return ",".join(f"{k}={v}" for k, v in sorted(selector.items()))
    terms = [f"{k}={v}" for k, v in sorted((selector.get("matchLabels") or {}).items())]
    for e in selector.get("matchExpressions") or ():
        values = ",".join(sorted(e.get("values") or ()))
        forms = {
            "In": f"{e['key']} in ({values})",
            "NotIn": f"{e['key']} notin ({values})",
            "Exists": e["key"],
            "DoesNotExist": f"!{e['key']}",
        }
        terms.append(forms[e["operator"]])
    return ",".join(terms)


def target_of(call: Call) -> GVK:
    """The version of Scale that the served version of the kind has."""
    subresource = call.served.subresource("scale")
    assert subresource is not None  # the endpoint exists for kinds with a scale alone
    return GVK(subresource.group, subresource.version, "Scale")


def scale_of(obj: Object, scale: Scale, target: GVK) -> Object:
    """The Scale of an object."""
    spec: Object = {}
    replicas = _at(obj, scale.spec_replicas)
    if replicas:
        spec["replicas"] = replicas
    status: Object = {"replicas": _at(obj, scale.status_replicas) or 0}
    selector = selector_text(_at(obj, scale.selector))
    if selector and target.group == "autoscaling":
        status["selector"] = selector
    elif selector:
        status |= _old_selectors(_at(obj, scale.selector), selector)
    metadata = {k: obj["metadata"][k] for k in _METADATA if k in obj["metadata"]}
    return {"kind": "Scale", "apiVersion": target.api_version, "metadata": metadata, "spec": spec, "status": status}


def _old_selectors(selector: Any, text: str) -> Object:
    """Before autoscaling/v1: the text under another name, and a map where it can be one."""
    if not isinstance(selector, dict) or selector.get("matchExpressions"):
        return {"targetSelector": text}
    return {"selector": dict(selector.get("matchLabels") or {}), "targetSelector": text}


def _declared(call: Call) -> Scale:
    assert call.kind.scale is not None  # the endpoint exists for kinds with a scale alone
    return call.kind.scale


async def get_scale(call: Call) -> Response:
    version = parse_version(first(call.request.query, "resourceVersion"))
    objects = call.stored.objects
    entry = await get(objects, call.namespace, call.request.info.name, version)
    return answer(
        call, scale_of(entry.decode(objects.cache.form), _declared(call), target_of(call)), printer=SCALE_PRINTER
    )


async def update_scale(call: Call) -> Response:
    given = parameters(call, "UpdateOptions")
    wanted = await read_object(call, target_of(call), given.validation)
    check_name(wanted, call.request.info.name)
    log_request(call.request.audit, wanted)
    return await _write(call, "UpdateOptions", lambda live, manager, write: _tracked(live, wanted, manager, write))


async def patch_scale(call: Call) -> Response:
    kind = patch_kind(call)
    given = parameters(call, "PatchOptions", apply=kind is PatchKind.APPLY)
    schemas = call.parts.schemas
    target = target_of(call)
    schema = schemas.of(*target)
    body = await call.request.body()
    log_patch(call.request, body)

    def patched(live: Object, manager: FieldManager, write: Write) -> Object:
        new = patch_object(kind, body, live, target, schema, schemas, field_validation=given.validation).obj
        return _tracked(live, new, manager, write)

    def applied(live: Object, manager: FieldManager, write: Write) -> Object:
        intent = parse_configuration(body).obj
        return manager.apply(live, intent, write.manager, bool(given.force), write.subresource, write.now)

    return await _write(call, "PatchOptions", applied if kind is PatchKind.APPLY else patched)


Wanted = Callable[[Object, FieldManager, Write], Object]
"""The wanted Scale for the live one, its managed fields settled."""


def _tracked(live: Object, new: Object, manager: FieldManager, write: Write) -> Object:
    return manager.update(live, new, write.manager, write.subresource, write.now)


async def _write(call: Call, options: str, wanted: Wanted) -> Response:
    """Takes the replicas of the wanted Scale over into the object, and who owns them."""
    scale, registry, name = _declared(call), call.stored, call.request.info.name
    api_version = call.served.resource.api_version
    write = write_for(call, options, parameters(call, options, apply=media_type_of(call.request) == _APPLY))
    target = target_of(call)
    write.kind = (target.group, target.version, target.kind)
    manager = FieldManager(target, call.parts.schemas.of(*target))
    paths = {
        r.api_version: scale.spec_replicas for r in (call.kind.resource, *(v.resource for v in call.kind.versions))
    }

    def make(old: Object) -> Object:
        entries = old["metadata"].get("managedFields") or ()
        ownership = ScaleOwnership(entries, api_version, paths, target.api_version)
        live = scale_of(old, scale, target)
        live["metadata"]["managedFields"] = ownership.to_scale()
        new_scale = wanted(live, manager, write)
        metadata = new_scale.get("metadata") or {}
        check_uid(registry.objects, metadata.get("uid") or "", old, call.namespace, name)
        new = copy_object(old)
        _set(new, scale.spec_replicas, _replicas(new_scale, name, target))
        new["metadata"]["managedFields"] = ownership.to_parent(metadata.get("managedFields") or ())
        new["metadata"]["resourceVersion"] = metadata.get("resourceVersion") or ""
        return new

    obj = await registry.update_object(write, call.namespace, name, make, call.kind.strategy, tracked=True)
    return answer(call, scale_of(obj, scale, target), printer=SCALE_PRINTER)


def _replicas(scale: Object, name: str, target: GVK) -> int:
    """Raises 422."""
    replicas: int = (scale.get("spec") or {}).get("replicas") or 0
    if replicas < 0:
        error = fields.invalid(Path("spec", "replicas"), replicas, "must be greater than or equal to 0")
        raise errors.invalid(target.group, target.kind, name, [error])
    return replicas
