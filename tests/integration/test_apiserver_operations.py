"""Flags that say how long things last and what is written down about requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.conftest import until as wait_until

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: RequestResponse
  resources: [{group: "", resources: [configmaps]}]
  namespaces: [default]
- level: Metadata
  users: [alice]
- level: None
"""
PATIENCE = 60.0
until = partial(wait_until, seconds=PATIENCE)


@dataclass
class Audited:
    api: httpx.Client
    alice: httpx.Client
    log: Path

    def events(self, **wanted: Any) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [e for e in found if all(e.get(key) == value for key, value in wanted.items())]


@pytest.fixture(scope="module")
def audited(start_apiserver: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    folder = tmp_path_factory.mktemp("audit")
    (folder / "policy.yaml").write_text(POLICY)
    log = folder / "log" / "audit.log"
    server = start_apiserver(
        f"--audit-policy-file={folder / 'policy.yaml'}",
        f"--audit-log-path={log}",
        "--event-ttl=2s",
        "--min-request-timeout=1",
    )
    yield Audited(server.client(), server.client("alice-token"), log)


def test_requests_and_answers_are_written_down(audited: Audited) -> None:
    body = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "audited"}, "data": {"a": "b"}}
    path = "/api/v1/namespaces/default/configmaps"
    made = audited.api.post(path, json=body, headers={"audit-id": "my-own-id"})
    assert (made.status_code, made.headers["audit-id"]) == (201, "my-own-id")
    (event,) = until(lambda: audited.events(auditID="my-own-id"))
    assert (event["stage"], event["verb"], event["level"]) == ("ResponseComplete", "create", "RequestResponse")
    assert event["objectRef"]["name"] == "audited"
    assert event["requestObject"]["data"] == {"a": "b"}
    assert event["responseObject"]["metadata"]["uid"] == made.json()["metadata"]["uid"]
    assert event["annotations"]["authorization.k8s.io/decision"] == "allow"
    audited.api.delete(f"{path}/audited")


def test_refusals_are_written_down_with_their_reason(audited: Audited) -> None:
    refused = audited.alice.get("/api/v1/namespaces/default/secrets")
    assert refused.status_code == 403
    (event,) = until(lambda: audited.events(auditID=refused.headers["audit-id"]))
    assert event["user"]["username"] == "alice"
    assert event["responseStatus"]["reason"] == "Forbidden" and event["responseStatus"]["code"] == 403
    assert event["annotations"]["authorization.k8s.io/decision"] == "forbid"
    unlogged = audited.api.get("/api/v1/namespaces/default/secrets")
    assert audited.events(auditID=unlogged.headers["audit-id"]) == []


def test_impersonation_names_both(audited: Audited) -> None:
    answer = audited.api.get("/api/v1/namespaces/default/configmaps", headers={"impersonate-user": "alice"})
    (event,) = until(lambda: audited.events(auditID=answer.headers["audit-id"]))
    assert event["user"]["username"] == "admin"
    assert event["impersonatedUser"] == {"username": "alice", "groups": ["system:authenticated"]}


def test_a_watch_is_told_when_it_begins_and_when_it_ends(audited: Audited) -> None:
    """The watch names no timeout: --min-request-timeout=1 ends it after one to two seconds."""
    with audited.api.stream(
        "GET", "/api/v1/namespaces/default/configmaps", params={"watch": "1"}, timeout=PATIENCE
    ) as answer:
        audit_id = answer.headers["audit-id"]
        assert [e["stage"] for e in until(lambda: audited.events(auditID=audit_id))] == ["ResponseStarted"]
        for _ in answer.iter_lines():
            pass
    assert until(lambda: audited.events(auditID=audit_id, stage="ResponseComplete"))


def test_events_are_forgotten(audited: Audited) -> None:
    event = {
        "kind": "Event", "apiVersion": "v1", "metadata": {"name": "brief", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}, "reason": "Because",
    }  # fmt: skip
    path = "/api/v1/namespaces/default/events"
    assert audited.api.post(path, json=event).status_code == 201
    assert until(lambda: audited.api.get(f"{path}/brief").status_code == 404)


def test_answers_tell_which_flow_they_belong_to(audited: Audited) -> None:
    answer = audited.alice.get("/version")
    schemas, levels = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", "prioritylevelconfigurations"
    uid = audited.api.get(f"{schemas}/global-default").json()["metadata"]["uid"]
    level = audited.api.get(f"/apis/flowcontrol.apiserver.k8s.io/v1/{levels}/global-default").json()
    until(lambda: audited.alice.get("/version").headers["x-kubernetes-pf-flowschema-uid"] == uid)
    answer = audited.alice.get("/version")
    assert answer.headers["x-kubernetes-pf-flowschema-uid"] == uid
    assert answer.headers["x-kubernetes-pf-prioritylevel-uid"] == level["metadata"]["uid"]


def test_a_schema_of_the_users_own_takes_effect(audited: Audited) -> None:
    path = "/apis/flowcontrol.apiserver.k8s.io/v1"
    limited = {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}
    level = {
        "kind": "PriorityLevelConfiguration", "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "metadata": {"name": "own"}, "spec": {"type": "Limited", "limited": limited},
    }  # fmt: skip
    rule = {
        "subjects": [{"kind": "User", "user": {"name": "alice"}}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }
    schema = {
        "kind": "FlowSchema", "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "metadata": {"name": "own"},
        "spec": {"priorityLevelConfiguration": {"name": "own"}, "matchingPrecedence": 42, "rules": [rule]},
    }  # fmt: skip
    assert audited.api.post(f"{path}/prioritylevelconfigurations", json=level).status_code == 201
    made = audited.api.post(f"{path}/flowschemas", json=schema)
    assert made.status_code == 201, made.text
    uid = made.json()["metadata"]["uid"]
    try:
        assert until(lambda: audited.alice.get("/version").headers["x-kubernetes-pf-flowschema-uid"] == uid)
    finally:
        audited.api.delete(f"{path}/flowschemas/own")
        audited.api.delete(f"{path}/prioritylevelconfigurations/own")


def test_every_group_version_is_a_local_api_service(audited: Audited) -> None:
    found = audited.api.get("/apis/apiregistration.k8s.io/v1/apiservices").json()["items"]
    local = {s["metadata"]["name"] for s in found if "service" not in s["spec"]}
    assert {"v1.", "v1.authentication.k8s.io", "v1.authorization.k8s.io", "v2.autoscaling"} <= local


def test_the_server_behind_an_api_service_is_asked(audited: Audited) -> None:
    """Its Service leads to a name that nobody has: the objects are in order, the answer does not come."""
    service = {
        "kind": "Service", "apiVersion": "v1", "metadata": {"name": "nobody"},
        "spec": {"type": "ExternalName", "externalName": "nobody.invalid"},
    }  # fmt: skip
    assert audited.api.post("/api/v1/namespaces/default/services", json=service).status_code == 201
    name, path = "v1.nobody.example", "/apis/apiregistration.k8s.io/v1/apiservices"
    spec = {
        "group": "nobody.example", "version": "v1", "groupPriorityMinimum": 10, "versionPriority": 10,
        "service": {"name": "nobody", "namespace": "default"}, "insecureSkipTLSVerify": True,
    }  # fmt: skip
    body = {"kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1", "metadata": {"name": name}, "spec": spec}
    made = audited.api.post(path, json=body)
    assert made.status_code == 201, made.text

    def reason() -> str:
        conditions = audited.api.get(f"{path}/{name}").json().get("status", {}).get("conditions") or [{}]
        return str(conditions[0].get("reason"))

    try:
        assert until(lambda: reason() == "FailedDiscoveryCheck"), reason()
    finally:
        audited.api.delete(f"{path}/{name}")
        audited.api.delete("/api/v1/namespaces/default/services/nobody")
