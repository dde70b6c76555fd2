"""Old versions and the stored ones: pure functions, each the other's inverse, that copy what they change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubeling.api.meta import Object

Convert = Callable[[Object], Object]


def _same(obj: Object) -> Object:
    return obj


@dataclass(frozen=True, slots=True)
class Mapping:
    to_storage: Convert = _same
    from_storage: Convert = _same


SAME = Mapping()
"""Only the name of the version differs."""


def under(api_version: str, convert: Convert) -> Convert:
    """``convert``, its result under that version."""
    return lambda obj: {**convert(obj), "apiVersion": api_version}


def _backend_to_v1(backend: Object) -> Object:
    made = {k: v for k, v in backend.items() if k not in ("serviceName", "servicePort")}
    name, port = backend.get("serviceName"), backend.get("servicePort")
    if name or port not in (None, 0, ""):
        if isinstance(port, str):
            at: Object = {"name": port} if port else {}
        else:
            at = {"number": port} if port else {}
        made["service"] = {"name": name or "", "port": at}
    return made


def _backend_to_v1beta1(backend: Object) -> Object:
    made = {k: v for k, v in backend.items() if k != "service"}
    service = backend.get("service")
    if service is not None:
        port = service.get("port") or {}
        if service.get("name"):
            made["serviceName"] = service["name"]
        made["servicePort"] = port.get("name") or port.get("number") or 0
    return made


def _ingress(obj: Object, old_name: str, new_name: str, backend: Convert) -> Object:
    spec = {(new_name if k == old_name else k): v for k, v in (obj.get("spec") or {}).items()}
    if spec.get(new_name) is not None:
        spec[new_name] = backend(spec[new_name])
    if spec.get("rules"):
        spec["rules"] = [_rule(rule, backend) for rule in spec["rules"]]
    return {**obj, "spec": spec}


def _rule(rule: Object, backend: Convert) -> Object:
    http = rule.get("http")
    if not http or not http.get("paths"):
        return rule
    paths = [{**p, "backend": backend(p.get("backend") or {})} for p in http["paths"]]
    return {**rule, "http": {**http, "paths": paths}}


INGRESS = Mapping(
    lambda obj: _ingress(obj, "backend", "defaultBackend", _backend_to_v1),
    lambda obj: _ingress(obj, "defaultBackend", "backend", _backend_to_v1beta1),
)

_ROLLBACK = "deprecated.deployment.rollback.to"
_GENERATION = "deprecated.daemonset.template.generation"


def _to_annotation(obj: Object, field: str, name: str, text: Callable[[Any], str]) -> Object:
    """A field of the spec that the stored version keeps in an annotation."""
    spec = obj.get("spec") or {}
    if spec.get(field) is None:
        return obj
    metadata = obj.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), name: text(spec[field])}
    rest = {k: v for k, v in spec.items() if k != field}
    return {**obj, "metadata": {**metadata, "annotations": annotations}, "spec": rest}


def _from_annotation(obj: Object, field: str, name: str, value: Callable[[int], Any]) -> Object:
    """The reverse; a text that is no number stays where it is."""
    metadata = obj.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    text = annotations.get(name, "")
    if not (text.isascii() and text.isdecimal()):
        return obj
    left = {k: v for k, v in annotations.items() if k != name}
    metadata = {k: v for k, v in metadata.items() if k != "annotations"}
    if left:
        metadata["annotations"] = left
    return {**obj, "metadata": metadata, "spec": {**(obj.get("spec") or {}), field: value(int(text))}}


ROLLBACK = Mapping(
    lambda obj: _to_annotation(obj, "rollbackTo", _ROLLBACK, lambda to: str(to.get("revision") or 0)),
    lambda obj: _from_annotation(obj, "rollbackTo", _ROLLBACK, lambda n: {"revision": n} if n else {}),
)
GENERATION = Mapping(
    lambda obj: _to_annotation(obj, "templateGeneration", _GENERATION, str),
    lambda obj: _from_annotation(obj, "templateGeneration", _GENERATION, lambda n: n),
)

_EMPTY = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match"
_NONE = {"matchExpressions": [{"key": _EMPTY, "operator": "Exists"}]}
_ALL = {"matchExpressions": [{"key": _EMPTY, "operator": "DoesNotExist"}]}


def _budget_to_v1(obj: Object) -> Object:
    """An empty selector selected nothing in v1beta1, in v1 it selects all."""
    selector = (obj.get("spec") or {}).get("selector")
    return _selecting(obj, {} if selector == _ALL else _NONE if selector == {} else selector)


def _budget_to_v1beta1(obj: Object) -> Object:
    selector = (obj.get("spec") or {}).get("selector")
    return _selecting(obj, {} if selector == _NONE else _ALL if selector == {} else selector)


def _selecting(obj: Object, selector: Object | None) -> Object:
    return obj if selector is None else {**obj, "spec": {**obj["spec"], "selector": selector}}


BUDGET = Mapping(_budget_to_v1, _budget_to_v1beta1)
