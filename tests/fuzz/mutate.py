"""Sound requests about every kind, and the ways in which they are spoiled. Pure: all chance comes from the generator given."""

# ruff: noqa: E501  (tables of values, one row as long as it is)
from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from apiserver.kinds import KINDS
from kubeling.api.resource import Resource
from tests.fuzz.seeds import REVIEWS, named, seed, served
from tests.fuzz.wire import Request

NAMESPACE = "fuzz-namespace"
"""Stands for the namespace of the moment in prepared requests."""
PATCHES = ("json-patch", "merge-patch", "strategic-merge-patch", "apply-patch")
JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**31, 2**63, -(2**63) - 1, 10**40, 1e308, "", " ", "abc", "a" * 300, "\x00", "ü\u202e💥",
    "\ud800", "1Gi", "1e99999", "-5", "9" * 40, "2024-13-45T00:00:00Z", "0001-01-01T00:00:00Z", "10.0.0.0/33", "::1/129", "[", "(?P<",
    "*/0 * * * *", "$(X)", "{{.}}", "a/b/c", "..", [], {}, [None], [[]], [{}], {"": ""}, {"a": None}, {"$patch": "delete"}, {"$patch": 5},
    [{"$patch": "replace"}], ["a", "a"], [{"name": "c"}, {"name": "c"}], {"matchLabels": None},
)  # fmt: skip
TEXTS = ("", "abc", "-1", "0", "1", "true", "All", "99999999999999999999", "%", "a=b", "a in (", "!a", "a==b,c!=d", "metadata.name=x", "é", "\x00", ",", "=",
    "Strict", "Exact", "NotOlderThan", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MX0", "Orphan", "null", "1.5", "0x10", "a" * 2000)  # fmt: skip
PARAMETERS = (
    "dryRun", "fieldManager", "fieldValidation", "force", "limit", "continue", "resourceVersion", "resourceVersionMatch", "labelSelector",
    "fieldSelector", "watch", "timeoutSeconds", "sendInitialEvents", "allowWatchBookmarks", "pretty", "propagationPolicy", "gracePeriodSeconds",
    "orphanDependents", "includeObject", "container", "follow", "tailLines", "sinceTime", "command", "timeout", "exclude", "verbose",
)  # fmt: skip
TYPES = (
    "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "text/plain", "", "application/json;charset=latin-9", "a/b;;q=",
    "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml",
    "application/apply-patch+cbor", "application/cbor", "*/*", "multipart/form-data; boundary=x",
    "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
)  # fmt: skip
HEADERS = (
    "accept", "content-type", "accept-encoding", "content-encoding", "if-none-match", "if-match", "impersonate-user", "impersonate-group",
    "impersonate-extra-a", "impersonate-uid", "audit-id", "upgrade", "connection", "range", "user-agent", "x-forwarded-for", "traceparent",
    "authorization", "expect", "sec-websocket-protocol", "x-stream-protocol-version",
)  # fmt: skip
PLAIN = (
    "/", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1", "/version", "/healthz", "/livez", "/metrics",
    "/readyz?verbose", "/readyz/etcd", "/openid/v1/jwks", "/.well-known/openid-configuration", "/logs", "/debug/pprof", "/nowhere",
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW")


def prepared(names: int = 4) -> list[Request]:
    """Sound requests: every verb of every kind, its subresources, and the paths beside the API."""
    requests = [_request("GET", path) for path in PLAIN]
    for kind, resource in served():
        for number in range(names):
            requests += _of_object(resource, named(resource, number), [s.name for s in kind.resource.subresources])
    for kind in KINDS:
        if (kind.resource.api_version, kind.resource.plural) in REVIEWS:
            requests.append(_request("POST", _collection(kind.resource), seed(kind.resource, "x", NAMESPACE)))
    return requests


def recorded(folder: Path) -> list[Request]:
    """The requests of recorded conversations (scenario files of the golden corpus), variables filled with something."""
    requests = []
    for file in sorted(folder.glob("scenarios/*/*.json")):
        for step in json.loads(file.read_text())["steps"]:
            request = step["request"]
            body = request.get("body")
            text = body["raw"] if isinstance(body, dict) and "raw" in body else json.dumps(body) if body else ""
            if len(text) > 100_000:
                continue
            made = _request(request["method"], _filled(request["path"]).replace(" ", "%20"))
            made.body = _filled(text).encode(errors="surrogatepass")
            sent = {n.lower(): v for n, v in request.get("headers", {}).items() if isinstance(v, str)}
            made.headers = [(b"content-type", sent.get("content-type", "application/json").encode()),
                            (b"accept", sent.get("accept", "application/json").encode())]  # fmt: skip
            requests.append(made)
    return requests


def _filled(text: str) -> str:
    text = re.sub(r"\$\{repeat:(.*?):\d+\}", r"\1\1\1", text)
    return re.sub(r"g-[a-z]+-[a-z0-9-]+(?=/)", NAMESPACE, re.sub(r"\$\{[^}]*\}", "7", text))


def _collection(resource: Resource) -> str:
    return resource.base_path + (f"/namespaces/{NAMESPACE}" if resource.namespaced else "") + "/" + resource.plural


def _request(method: str, target: str, body: Any = None, content_type: str = "application/json") -> Request:
    headers = [(b"accept", b"application/json"), (b"content-type", content_type.encode())]
    return Request(method, target.encode(), headers, b"" if body is None else json.dumps(body).encode())


def _of_object(resource: Resource, name: str, subresources: list[str]) -> list[Request]:
    made, path = seed(resource, name, NAMESPACE), f"{_collection(resource)}/{name}"
    label = {"metadata": {"labels": {"a": "b"}}}
    operations = [
        {"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
        {"op": "test", "path": "/kind", "value": resource.kind},
    ]
    bodies = (operations, label, label, made)
    requests = [_request("POST", _collection(resource), made)] * 3
    requests += [
        _request("GET", path),
        _request("PUT", path, made),
        _request("DELETE", path, {"gracePeriodSeconds": 0}),
    ]
    requests += [_request("GET", f"{_collection(resource)}?limit=5&labelSelector=a%3Db")]
    requests += [_request("GET", f"{_collection(resource)}?watch=1&timeoutSeconds=1&resourceVersion=0")]
    for suffix in (
        "",
        *(f"/{s}" for s in subresources if s in ("status", "scale", "resize", "ephemeralcontainers", "approval")),
    ):
        for kind, body in zip(PATCHES, bodies, strict=True):
            end = "yaml" if kind == "apply-patch" else "json"
            requests.append(_request("PATCH", f"{path}{suffix}?fieldManager=f", body, f"application/{kind}+{end}"))
    for name in subresources:
        requests += [
            _request("GET", f"{path}/{name}"),
            _request("PUT", f"{path}/{name}", made),
            _request("POST", f"{path}/{name}", made),
        ]
    return requests


def spoiled(request: Request, chance: Random) -> Request:
    """The request with up to three things changed (one in ten: none)."""
    made = Request(request.method, request.target, list(request.headers), request.body)
    for _ in range(chance.choice((0, 1, 1, 1, 1, 1, 2, 2, 2, 3))):
        chance.choice(_WAYS)(made, chance)
    return made


def _value(request: Request, chance: Random) -> None:
    if request.body.count(b"[") + request.body.count(b"{") > 400:  # nested by _nest: too deep for us
        return _noise(request, chance)
    try:
        value = json.loads(request.body)
    except ValueError:  # spoiled already
        return _noise(request, chance)
    request.body = json.dumps(_changed(value, chance), ensure_ascii=chance.random() < 0.7).encode(
        errors="surrogatepass"
    )
    return None


def _changed(value: Any, chance: Random) -> Any:
    """The value with junk somewhere in it: deep places as likely as shallow ones."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, child in items:
            places.append((node, key))
            walk(child)

    value = copy.deepcopy(value)
    walk(value)
    junk = copy.deepcopy(chance.choice(JUNK))
    if not places or chance.random() < 0.02:
        return junk
    node, key = chance.choice(places)
    match chance.randrange(6):
        case 0 if isinstance(node, dict):
            del node[key]
        case 1 if isinstance(node, dict):
            node[
                chance.choice(
                    (
                        "bogus",
                        "",
                        "status",
                        "spec",
                        "metadata",
                        "$patch",
                        "$retainKeys",
                        "$setElementOrder/a",
                        "$deleteFromPrimitiveList/x",
                    )
                )
            ] = junk
        case 2:
            node[key] = [node[key]]
        case 3 if isinstance(node, list):
            node.append(copy.deepcopy(node[key]))
        case _:
            node[key] = junk
    return value


def _noise(request: Request, chance: Random) -> None:
    body = bytearray(request.body or b"{}")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(body) + 1)
        body[at : at + chance.randrange(4)] = chance.choice(
            (
                b"",
                b"\xff",
                b'"',
                b"{",
                b"}",
                b"\\u0000",
                b"\\ud800",
                b"1e9999",
                b",",
                b"\n- ",
                b"&a *a",
                b"!!python/none x",
                b"\x00",
            )
        )
    request.body = bytes(body)


def _truncate(request: Request, chance: Random) -> None:
    request.body = request.body[: chance.randrange(len(request.body) + 1)]


def _nest(request: Request, chance: Random) -> None:
    depth = chance.choice((50, 500, 5000, 20000))
    opening, closing = chance.choice(
        (
            (b"[", b"]"),
            (b'{"a":', b"}"),
            (b'{"spec":', b"}"),
            (b'{"metadata":', b"}"),
            (b'[{"op":"add","path":"/a","value":', b"}]"),
        )
    )
    request.body = opening * depth + b"1" + closing * depth


def _query(request: Request, chance: Random) -> None:
    pair = f"{chance.choice(PARAMETERS)}={quote(chance.choice(TEXTS))}".encode()
    request.target += (b"&" if b"?" in request.target else b"?") + pair


def _path(request: Request, chance: Random) -> None:
    path, mark, query = request.target.partition(b"?")
    parts = path.split(b"/")
    at = chance.randrange(len(parts))
    parts[at : at + chance.randrange(2)] = [
        chance.choice(
            (
                b"",
                b"..",
                b".",
                b"%2e%2e",
                b"%00",
                b"%ff",
                b"%2F",
                b"a" * 5000,
                b"v1",
                b"status",
                b"scale",
                b"proxy",
                b"\xc3\xbc",
                b"%",
                b"watch",
                b"*",
                b"o-1:80",
            )
        )
    ]
    request.target = b"/" + b"/".join(parts).lstrip(b"/") + mark + query


def _header(request: Request, chance: Random) -> None:
    name = chance.choice(HEADERS).encode()
    value = chance.choice(
        (
            *TYPES,
            *(t for t in TEXTS if t.isprintable()),
            "gzip",
            "websocket",
            "SPDY/3.1",
            "Bearer x",
            "Basic eDp4",
            "bytes=0-5",
        )
    )
    request.headers = [h for h in request.headers if h[0] != name] + [(name, value.encode())]


def _type(request: Request, chance: Random) -> None:
    request.headers = [h for h in request.headers if h[0] != b"content-type"] + [
        (b"content-type", chance.choice(TYPES).encode())
    ]


def _method(request: Request, chance: Random) -> None:
    request.method = chance.choice(METHODS)


_WAYS: tuple[Callable[[Request, Random], None], ...] = (
    *(_value,) * 10, *(_query,) * 3, *(_path,) * 2, *(_header,) * 2, _type, _type, _method, _noise, _truncate, _nest,
)  # fmt: skip
