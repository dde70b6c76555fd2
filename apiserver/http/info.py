"""From method, path and query to ``RequestInfo``.

Model: RequestInfoFactory of k8s.io/apiserver/pkg/endpoints/request.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from apiserver.http.request import RequestInfo
from kubeling.api.selectors import SelectorError, parse_fields

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")
_SPECIAL = ("proxy", "watch")


def is_true(text: str) -> bool:
    """A boolean query parameter, as upstream's conversion reads it: present and not "false" or "0"."""
    return text.lower() not in ("false", "0")


def request_info(method: str, path: str, query: Mapping[str, list[str]]) -> RequestInfo:
    if not query:
        return _without_query(method, path)
    return _request_info(method, path, query)


@lru_cache(maxsize=4096)
def _without_query(method: str, path: str) -> RequestInfo:
    """Remembered: most requests are about few paths."""
    return _request_info(method, path, {})


def _request_info(method: str, path: str, query: Mapping[str, list[str]]) -> RequestInfo:
    parts = [p for p in path.strip("/").split("/") if p] if path != "/" else []
    prefix = parts[0] if parts else ""
    if prefix == "api" and len(parts) >= 3:
        return _resource_info(method, path, "", parts[1], parts[2:], query)
    if prefix == "apis" and len(parts) >= 4:
        return _resource_info(method, path, parts[1], parts[2], parts[3:], query)
    return RequestInfo(verb=method.lower(), path=path, method=method)


def _resource_info(
    method: str, path: str, group: str, version: str, rest: list[str], query: Mapping[str, list[str]]
) -> RequestInfo:
    verb = _VERBS.get(method, "")
    if rest[0] in _SPECIAL and len(rest) > 1:
        verb, rest = rest[0], rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    fields: dict[str, Any] = dict(zip(("resource", "name", "subresource"), rest, strict=False))
    if not fields.get("name"):
        verb = _collection_verb(verb, query)
    if verb in ("list", "watch", "deletecollection"):
        fields |= _selectors(fields, query)
    return RequestInfo(
        verb=verb,
        path=path,
        method=method,
        is_resource=True,
        prefix="apis" if group else "api",
        group=group,
        version=version,
        namespace=namespace,
        parts=tuple(rest[1:]),
        **fields,
    )


def _collection_verb(verb: str, query: Mapping[str, list[str]]) -> str:
    if verb == "get":
        watch = query.get("watch")
        return "watch" if watch and is_true(watch[0]) else "list"
    return "deletecollection" if verb == "delete" else verb


def _selectors(fields: Mapping[str, Any], query: Mapping[str, list[str]]) -> dict[str, Any]:
    """Selectors that authorizers may look at; a field selector of one name stands for that name."""
    found: dict[str, Any] = {}
    text = query.get("fieldSelector", [""])[0]
    if text:
        found["field_selector"] = text
        try:
            name = parse_fields(text).required("metadata.name")
        except SelectorError:
            name = None
        if name and not fields.get("name") and "/" not in name:
            found["name"] = name
    labels = query.get("labelSelector", [""])[0]
    if labels:
        found["label_selector"] = labels
    return found
