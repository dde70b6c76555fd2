"""Requests to the API as values: pure functions from verbs to method, path, query, body and headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import quote

import orjson

from kubeling.api.meta import Object, name_of, namespace_of
from kubeling.api.resource import Resource


class PatchKind(Enum):
    """Patch formats; the value is the content type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``path`` is absolute and quoted; ``body`` is bytes ready to send, or None."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    verb: str = ""

    @property
    def idempotent(self) -> bool:
        """True when sending it twice does no harm."""
        return self.method in ("GET", "HEAD")


def encode(body: Any) -> bytes | None:
    """JSON bytes of a body; bytes and None pass."""
    return body if body is None or isinstance(body, bytes) else orjson.dumps(body)


def make(
    method: str, path: str, params: Mapping[str, Any], body: Any = None, content_type: str = "", verb: str = ""
) -> Request:
    """A request; empty parameters are left out, booleans written ``true``/``false``."""
    headers = {"Content-Type": content_type or "application/json"} if body is not None else {}
    return Request(method, path, clean_params(params), encode(body), headers, verb)


def clean_params(params: Mapping[str, Any]) -> dict[str, str]:
    """Query parameters as text, without the empty ones (None, ``""``, 0, False)."""
    return {k: "true" if v is True else str(v) for k, v in params.items() if v not in (None, "", 0, False)}


def object_path(resource: Resource, name: str, namespace: str, subresource: str = "") -> str:
    """The quoted path of an object. Raises ValueError when the name, or a namespaced kind's namespace, is missing."""
    if not name:
        raise ValueError(f"{resource}: a name is required")
    if resource.namespaced and not namespace:
        raise ValueError(f"{resource} {name!r}: a namespace is required")
    return resource.path(quote(name, safe=""), quote(namespace, safe=""), subresource)


def collection_path(resource: Resource, namespace: str) -> str:
    return resource.collection_path(quote(namespace, safe=""))


def with_type(resource: Resource, obj: Object) -> Object:
    """The object with apiVersion and kind of the resource where it lacks them (Scale and the like keep theirs)."""
    if obj.get("kind") and obj.get("apiVersion"):
        return obj
    return {"apiVersion": resource.api_version, "kind": resource.kind, **obj}


def create(
    resource: Resource, obj: Object, namespace: str, name: str, subresource: str, params: Mapping[str, Any]
) -> Request:
    namespace = namespace or namespace_of(obj)
    if subresource:
        path = object_path(resource, name or name_of(obj), namespace, subresource)
        body = obj
    else:
        if resource.namespaced and not namespace:
            raise ValueError(f"{resource} {name_of(obj)!r}: a namespace is required")
        path, body = collection_path(resource, namespace), with_type(resource, obj)
    return make("POST", path, params, body, verb="create")


def update(resource: Resource, obj: Object, subresource: str, params: Mapping[str, Any]) -> Request:
    path = object_path(resource, name_of(obj), namespace_of(obj), subresource)
    return make("PUT", path, params, obj if subresource else with_type(resource, obj), verb="update")


def delete_options(
    propagation_policy: str, grace_period_seconds: int | None, uid: str, resource_version: str
) -> Object | None:
    """``DeleteOptions``, or None when nothing is asked for."""
    options: Object = {}
    if propagation_policy:
        options["propagationPolicy"] = propagation_policy
    if grace_period_seconds is not None:
        options["gracePeriodSeconds"] = grace_period_seconds
    preconditions = {k: v for k, v in (("uid", uid), ("resourceVersion", resource_version)) if v}
    if preconditions:
        options["preconditions"] = preconditions
    return {"apiVersion": "v1", "kind": "DeleteOptions", **options} if options else None
