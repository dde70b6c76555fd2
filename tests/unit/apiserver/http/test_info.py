from __future__ import annotations

import pytest

from apiserver.http.info import request_info


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/api/v1/namespaces", {}, ("list", "", "v1", "", "namespaces", "", "")),
        ("GET", "/api/v1/namespaces/a", {}, ("get", "", "v1", "a", "namespaces", "", "a")),
        ("PUT", "/api/v1/namespaces/a/finalize", {}, ("update", "", "v1", "a", "namespaces", "finalize", "a")),
        ("GET", "/api/v1/namespaces/a/pods", {"watch": ["true"]}, ("watch", "", "v1", "a", "pods", "", "")),
        ("GET", "/api/v1/namespaces/a/pods", {"watch": ["0"]}, ("list", "", "v1", "a", "pods", "", "")),
        ("GET", "/api/v1/namespaces/a/pods/p/log", {}, ("get", "", "v1", "a", "pods", "log", "p")),
        ("DELETE", "/apis/apps/v1/namespaces/a/deployments", {}, ("deletecollection", "apps", "v1", "a", "deployments", "", "")),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/d/scale", {}, ("patch", "apps", "v1", "a", "deployments", "scale", "d")),
        ("GET", "/api/v1/watch/namespaces/a/pods", {}, ("watch", "", "v1", "a", "pods", "", "")),
        ("GET", "/api/v1/nodes", {"fieldSelector": ["metadata.name=n1"]}, ("list", "", "v1", "", "nodes", "", "n1")),
    ],
)  # fmt: skip
def test_resource_requests(method: str, path: str, query: dict[str, list[str]], expected: tuple[str, ...]) -> None:
    info = request_info(method, path, query)
    assert info.is_resource
    found = (info.verb, info.group, info.version, info.namespace, info.resource, info.subresource, info.name)
    assert found == expected


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz", "/openapi/v3/api/v1"]
)
def test_other_requests(path: str) -> None:
    info = request_info("GET", path, {})
    assert not info.is_resource and info.verb == "get" and info.path == path


def test_the_rest_of_a_proxy_path_is_kept() -> None:
    info = request_info("GET", "/api/v1/namespaces/a/pods/p:80/proxy/x/y", {})
    assert info.parts == ("p:80", "proxy", "x", "y")
