from __future__ import annotations

from typing import Any

import pytest

from apiserver.http.message import Request, Response
from apiserver.metrics.requests import RequestMetrics, scope_of, verb_of


def request(method: str, path: str, query: str = "", content_type: str = "application/json") -> Request:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"content-type", content_type.encode())]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": headers}
    return Request(scope, receive)


def told(metrics: RequestMetrics) -> list[str]:
    return "".join(metrics.collect()).splitlines()


@pytest.fixture
def metrics() -> RequestMetrics:
    return RequestMetrics(lambda info: info.resource in ("pods", "deployments"))


async def ends(_: Request) -> Response:
    return Response(b"x" * 5000)


@pytest.mark.parametrize(
    ("method", "path", "content_type", "verb", "scope"),
    [
        ("GET", "/api/v1/pods", "", "LIST", "cluster"),
        ("GET", "/api/v1/namespaces/a/pods", "", "LIST", "namespace"),
        ("GET", "/api/v1/namespaces/a/pods/p", "", "GET", "resource"),
        ("POST", "/api/v1/namespaces/a/pods", "", "POST", "resource"),
        ("PATCH", "/api/v1/namespaces/a/pods/p", "application/merge-patch+json", "PATCH", "resource"),
        ("PATCH", "/api/v1/namespaces/a/pods/p", "application/apply-patch+yaml", "APPLY", "resource"),
        ("DELETE", "/api/v1/namespaces/a/pods", "", "DELETECOLLECTION", "namespace"),
        ("POST", "/api/v1/namespaces/a/pods/p/exec", "", "CONNECT", "resource"),
        ("FOO", "/api/v1/namespaces/a/pods/p", "", "other", "resource"),
        ("GET", "/healthz", "", "GET", ""),
    ],
)
def test_verbs_and_scopes(method: str, path: str, content_type: str, verb: str, scope: str) -> None:
    asked = request(method, path, content_type=content_type)
    assert (verb_of(asked), scope_of(asked.info)) == (verb, scope)


async def test_counts_times_and_sizes(metrics: RequestMetrics) -> None:
    step = metrics.observe(ends)
    await step(request("GET", "/api/v1/namespaces/a/pods/p"))
    await step(request("GET", "/api/v1/namespaces/b/pods/q"))
    await step(request("POST", "/apis/apps/v1/namespaces/a/deployments", "dryRun=All"))
    lines = told(metrics)
    assert (
        'apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="resource",'
        'subresource="",verb="GET",version="v1"} 2'
    ) in lines
    posts = [line for line in lines if line.startswith("apiserver_request_total") and 'verb="POST"' in line]
    assert len(posts) == 1 and 'dry_run="All"' in posts[0] and 'group="apps"' in posts[0]
    sizes = [line for line in lines if line.startswith("apiserver_response_sizes_bucket") and 'le="10000"' in line]
    assert len(sizes) == 1 and sizes[0].endswith(" 2")
    assert any(line.startswith("apiserver_request_duration_seconds_bucket") and 'le="0.005"' in line for line in lines)
    assert any(line.startswith("apiserver_request_sli_duration_seconds_count") for line in lines)


async def test_what_clients_make_up_is_no_label(metrics: RequestMetrics) -> None:
    step = metrics.observe(ends)
    for number in range(100):
        await step(request("GET", f"/api/v1/madeup{number}"))
        await step(request("GET", f"/nothing{number}"))
    assert not any("madeup" in line or "nothing" in line for line in told(metrics))


async def test_requests_under_way_are_seen(metrics: RequestMetrics) -> None:
    seen: list[str] = []

    async def looks(_: Request) -> Response:
        seen.extend(told(metrics))
        return Response()

    await metrics.observe(looks)(request("POST", "/api/v1/namespaces/a/pods"))
    assert 'apiserver_current_inflight_requests{request_kind="mutating"} 1' in seen
    assert 'apiserver_current_inflight_requests{request_kind="mutating"} 0' in told(metrics)


def test_lasting_requests_are_seen_while_they_last(metrics: RequestMetrics) -> None:
    watch = request("GET", "/api/v1/pods", "watch=1")
    line = (
        'apiserver_longrunning_requests{component="apiserver",group="",resource="pods",scope="cluster",subresource="",'
        'verb="WATCH",version="v1"}'
    )
    with metrics.lasting(watch):
        assert f"{line} 1" in told(metrics)
    assert f"{line} 0" in told(metrics)


async def test_deprecated_apis_are_named(metrics: RequestMetrics) -> None:
    asked = request("GET", "/apis/apps/v1/namespaces/a/deployments")
    asked.warnings.append("apps/v1 Deployment is deprecated in v1.2+, unavailable in v1.3+; use x/v2 Deployment")
    await metrics.observe(ends)(asked)
    assert (
        'apiserver_requested_deprecated_apis{group="apps",removed_release="1.3",resource="deployments",subresource="",'
        'version="v1"} 1'
    ) in told(metrics)
