"""Reads, writes, lists and watches against a real server and a real etcd."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.conftest import ADMIN, ALICE, ApiServer, StartServer


def configmap(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **more.pop("metadata", {})}, **more}


def path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def events(api: httpx.Client, where: str, **params: Any) -> list[dict[str, Any]]:
    """The events of a watch that the server ends."""
    given = {"watch": "true", "timeoutSeconds": "1", **params}
    with api.stream("GET", where, params=given) as response:
        assert response.status_code == 200, response.read()
        return [json.loads(line) for line in response.iter_lines()]


def test_an_object_lives_through_all_verbs(api: httpx.Client, namespace: str) -> None:
    created = api.post(path(namespace), json=configmap("a", data={"k": "1"}))
    assert created.status_code == 201
    obj = created.json()
    assert obj["metadata"]["uid"] and obj["metadata"]["creationTimestamp"] and obj["metadata"]["managedFields"]
    assert api.post(path(namespace), json=configmap("a")).json()["reason"] == "AlreadyExists"

    assert api.get(path(namespace, "a")).json() == obj
    replaced = api.put(path(namespace, "a"), json={**obj, "data": {"k": "2"}})
    assert (
        replaced.status_code == 200
        and replaced.json()["metadata"]["resourceVersion"] > obj["metadata"]["resourceVersion"]
    )
    stale = api.put(path(namespace, "a"), json={**obj, "data": {"k": "3"}})
    assert stale.status_code == 409 and stale.json()["reason"] == "Conflict"

    merge = {"content-type": "application/merge-patch+json"}
    patched = api.patch(path(namespace, "a"), content=b'{"data":{"n":"x"}}', headers=merge)
    assert patched.json()["data"] == {"k": "2", "n": "x"}
    deleted = api.delete(path(namespace, "a"))
    assert deleted.json()["status"] == "Success" and deleted.json()["details"]["uid"] == obj["metadata"]["uid"]
    assert api.get(path(namespace, "a")).status_code == 404


def test_a_write_that_changes_nothing_is_not_written(api: httpx.Client, namespace: str) -> None:
    obj = api.post(path(namespace), json=configmap("same", data={"k": "1"})).json()
    again = api.put(path(namespace, "same"), json=obj).json()
    assert again["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]


def test_dry_run_leaves_no_trace(api: httpx.Client, namespace: str) -> None:
    assert api.post(path(namespace), params={"dryRun": "All"}, json=configmap("dry")).status_code == 201
    assert api.get(path(namespace, "dry")).status_code == 404
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dry"}, "spec": {"ports": [{"port": 80}]}}
    made = api.post(f"/api/v1/namespaces/{namespace}/services", params={"dryRun": "All"}, json=service).json()
    address = made["spec"]["clusterIP"]
    assert api.get(f"/apis/networking.k8s.io/v1/ipaddresses/{address}").status_code == 404


def test_pages_are_one_snapshot(api: httpx.Client, namespace: str) -> None:
    for name in "abcde":
        api.post(path(namespace), json=configmap(name))
    first = api.get(path(namespace), params={"limit": 2}).json()
    assert first["metadata"]["remainingItemCount"] == 3
    api.delete(path(namespace, "c"))
    api.post(path(namespace), json=configmap("cc"))
    rest = api.get(path(namespace), params={"continue": first["metadata"]["continue"]}).json()
    assert [i["metadata"]["name"] for i in rest["items"]] == ["c", "d", "e"]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    exact = {"resourceVersion": first["metadata"]["resourceVersion"], "resourceVersionMatch": "Exact"}
    assert len(api.get(path(namespace), params=exact).json()["items"]) == 5


def test_a_revision_of_the_future_times_out(api: httpx.Client, namespace: str) -> None:
    answer = api.get(
        path(namespace), params={"resourceVersion": "999999999999", "resourceVersionMatch": "NotOlderThan"}
    )
    assert answer.status_code == 504
    assert answer.json()["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_watch_tells_what_happened_since(api: httpx.Client, namespace: str) -> None:
    start = api.get(path(namespace)).json()["metadata"]["resourceVersion"]
    api.post(path(namespace), json=configmap("a", metadata={"labels": {"app": "web"}}))
    merge = {"content-type": "application/merge-patch+json"}
    api.patch(path(namespace, "a"), content=b'{"metadata":{"labels":{"app":"db"}}}', headers=merge)
    api.delete(path(namespace, "a"))
    plain = events(api, path(namespace), resourceVersion=start)
    assert [e["type"] for e in plain] == ["ADDED", "MODIFIED", "DELETED"]
    selected = events(api, path(namespace), resourceVersion=start, labelSelector="app=web")
    assert [e["type"] for e in selected] == ["ADDED", "DELETED"]
    assert selected[1]["object"]["metadata"]["labels"] == {"app": "web"}
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in plain]
    assert versions == sorted(set(versions))


def test_watch_with_initial_events_ends_them_with_a_bookmark(api: httpx.Client, namespace: str) -> None:
    api.post(path(namespace), json=configmap("a"))
    options = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    found = events(api, path(namespace), **options)
    assert [e["type"] for e in found][:2] == ["ADDED", "BOOKMARK"] or found[-1]["type"] == "BOOKMARK"
    bookmark = next(e for e in found if e["type"] == "BOOKMARK")
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert bookmark["object"]["kind"] == "ConfigMap"


def test_a_watch_from_before_the_ring_is_expired(
    start_apiserver: StartServer, api: httpx.Client, namespace: str
) -> None:
    api.post(path(namespace), json=configmap("early"))
    found = events(start_apiserver().client(), path(namespace), resourceVersion="2")
    assert found[0]["type"] == "ERROR" and found[0]["object"]["code"] == 410


def test_finalizers_hold_a_deleted_object(api: httpx.Client, namespace: str) -> None:
    api.post(path(namespace), json=configmap("held", metadata={"finalizers": ["test.example/hold"]}))
    held = api.delete(path(namespace, "held")).json()
    assert held["metadata"]["deletionTimestamp"]
    merge = {"content-type": "application/merge-patch+json"}
    api.patch(path(namespace, "held"), content=b'{"metadata":{"finalizers":null}}', headers=merge)
    assert api.get(path(namespace, "held")).status_code == 404


def test_foreground_and_orphan_leave_finalizers(api: httpx.Client, namespace: str) -> None:
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        api.post(path(namespace), json=configmap(policy.lower()))
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}
        left = api.request("DELETE", path(namespace, policy.lower()), json=body).json()
        assert left["metadata"]["finalizers"] == [finalizer]


def test_preconditions(api: httpx.Client, namespace: str) -> None:
    api.post(path(namespace), json=configmap("p"))
    body = {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}
    assert api.request("DELETE", path(namespace, "p"), json=body).status_code == 409


def test_deletecollection_deletes_what_is_selected(api: httpx.Client, namespace: str) -> None:
    for name, app in (("x", "web"), ("y", "web"), ("z", "db")):
        api.post(path(namespace), json=configmap(name, metadata={"labels": {"app": app}}))
    api.delete(path(namespace), params={"labelSelector": "app=web"})
    assert [i["metadata"]["name"] for i in api.get(path(namespace)).json()["items"]] == ["z"]


@pytest.mark.parametrize(
    ("method", "where", "code"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/nothing", 404),
        ("PUT", "/api/v1/pods", 405),
        ("POST", "/api/v1/namespaces/default/configmaps/x", 405),
        ("DELETE", "/api/v1/namespaces", 405),
    ],
)
def test_what_is_not_served(api: httpx.Client, method: str, where: str, code: int) -> None:
    assert api.request(method, where, json={}).status_code == code


def test_bodies_and_answers_are_negotiated(api: httpx.Client, namespace: str) -> None:
    yaml = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yam\n  namespace: {namespace}\n"
    assert api.post(path(namespace), content=yaml, headers={"content-type": "application/yaml"}).status_code == 201
    assert api.post(path(namespace), content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    assert api.get(path(namespace), headers={"accept": "text/html"}).status_code == 406
    assert api.get(path(namespace, "yam"), headers={"accept": "application/yaml"}).text.startswith("apiVersion: v1\n")
    table = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    rows = api.get(path(namespace, "yam"), headers=table).json()["rows"]
    assert rows[0]["cells"][0] == "yam" and rows[0]["object"]["kind"] == "PartialObjectMetadata"


def test_nobody_gets_in_without_permission(apiserver: ApiServer, namespace: str) -> None:
    assert apiserver.client("").get(path(namespace)).status_code == 403
    assert apiserver.client("wrong").get(path(namespace)).status_code == 401
    assert apiserver.client(ALICE).get(path(namespace)).status_code == 403


def test_service_addresses_come_and_go(api: httpx.Client, namespace: str) -> None:
    where = f"/api/v1/namespaces/{namespace}/services"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"type": "NodePort", "ports": [{"port": 80}]},
    }
    made = api.post(where, json=service).json()["spec"]
    address, port = made["clusterIP"], made["ports"][0]["nodePort"]
    assert address.startswith("10.96.") and 30000 <= port <= 32767
    other = {**service, "metadata": {"name": "o"}, "spec": {**service["spec"], "clusterIP": address}}
    assert "already allocated" in api.post(where, json=other).json()["message"]
    other["spec"] = {"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}
    assert "already allocated" in api.post(where, json=other).json()["message"]
    assert api.delete(f"{where}/s").status_code == 200
    assert api.get(f"/apis/networking.k8s.io/v1/ipaddresses/{address}").status_code == 404
    assert api.post(where, json=other).status_code == 201


def test_two_servers_agree_at_once(start_apiserver: StartServer, api: httpx.Client, namespace: str) -> None:
    other = start_apiserver().client(ADMIN)
    for i in range(20):
        api.post(path(namespace), json=configmap(f"c{i}"))
        assert other.get(path(namespace, f"c{i}")).status_code == 200
        assert len(other.get(path(namespace)).json()["items"]) == i + 1


def test_stopping_ends_watches_quickly(start_apiserver: StartServer, namespace: str) -> None:
    server = start_apiserver()
    client = server.client()
    opened, ended = threading.Event(), threading.Event()

    def follow() -> None:
        with client.stream("GET", path(namespace), params={"watch": "true"}) as response:
            opened.set()
            for _ in response.iter_lines():
                pass
        ended.set()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    assert opened.wait(60)
    assert server.process.stop() == 0
    assert ended.wait(60)  # a watch that is left to itself lasts half an hour


def lines_of(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line and not line.startswith("#"))


def test_metrics_and_health(api: httpx.Client) -> None:
    api.get("/api/v1/namespaces")
    body = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "counted"}}
    assert api.post("/api/v1/namespaces/default/configmaps", json=body, params={"dryRun": "All"}).status_code == 201
    text = api.get("/metrics").text
    assert any(line.startswith("apiserver_request_total{") for line in lines_of(text))
    assert any(line.startswith("apiserver_storage_objects{") for line in lines_of(text))
    names = {line.partition("{")[0].partition(" ")[0] for line in lines_of(text)}
    assert {
        "apiserver_request_duration_seconds_bucket",
        "apiserver_current_inflight_requests",
        "apiserver_response_sizes_count",
        "apiserver_resource_objects",
        "etcd_request_duration_seconds_bucket",
        "authentication_attempts_total",
        "authorization_attempts_total",
        "apiserver_admission_step_admission_duration_seconds_count",
        "apiserver_admission_controller_admission_duration_seconds_sum",
        "apiserver_flowcontrol_nominal_limit_seats",
        "apiserver_flowcontrol_dispatched_requests_total",
        "apiserver_audit_event_total",
        "kubernetes_build_info",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "apiserver_watch_events_total",
        "kubernetes_healthcheck",
        "aggregator_unavailable_apiservice",
    } - names <= {"apiserver_watch_events_total", "kubernetes_healthcheck"}  # those that others' requests begin
    verbose = api.get("/readyz", params={"verbose": ""}).text
    assert "[+]ping ok\n" in verbose and verbose.endswith("readyz check passed\n")
    assert api.get("/livez/etcd").text == "ok"
    assert api.get("/livez/nosuch").status_code == 404
    assert api.get("/version").json()["minor"] == "36"


def test_an_update_that_creates_means_no_older_object(api: httpx.Client, namespace: str) -> None:
    """Leases may be put to a name that does not exist: the version of an earlier one says nothing, its uid does."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/renewed"
    lease = {
        "kind": "Lease", "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"name": "renewed", "resourceVersion": "12", "uid": "gone"},
    }  # fmt: skip
    refused = api.put(path, json=lease)
    assert refused.status_code == 409 and "Precondition failed: UID in precondition: gone" in refused.json()["message"]
    del lease["metadata"]["uid"]  # type: ignore[attr-defined]  # a dict
    assert api.put(path, json=lease).status_code == 201
