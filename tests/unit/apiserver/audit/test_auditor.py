from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apiserver.audit.auditor import Auditor, log_patch, log_request
from apiserver.audit.event import json_line, legacy_line
from apiserver.audit.log import AuditFile, Rotation
from apiserver.audit.policy import Policy
from apiserver.http.message import Request, Response
from apiserver.http.request import User

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ALICE = User("alice", "alice-uid", ("dev",))


def request(method: str, path: str, query: str = "", **headers: str) -> Request:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": raw,
        "client": ("10.0.0.7", 4711),
    }  # fmt: skip
    made = Request(scope, receive)
    made.user = ALICE
    return made


@pytest.fixture
def events() -> list[dict[str, Any]]:
    return []


def auditor(events: list[dict[str, Any]], level: str, **rest: object) -> Auditor:
    rules = [{"level": level, **rest}]
    policy = Policy.model_validate({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules})
    return Auditor(policy, events.append, lambda: NOW)


def answer(status: int, body: Any) -> Response:
    return Response(json.dumps(body).encode(), status)


def test_a_creation_is_told_in_two_events(events: list[dict[str, Any]]) -> None:
    audit = auditor(events, "RequestResponse", omitManagedFields=True)
    asked = request("POST", "/api/v1/namespaces/a/pods", "dryRun=All", user_agent="kubectl/1", audit_id="given")
    audit.received(asked)
    pod = {"kind": "Pod", "metadata": {"name": "p", "managedFields": [{}]}}
    log_request(asked.audit, pod)
    pod["metadata"]["name"] = "changed later"
    stored = {"kind": "Pod", "metadata": {"name": "p", "uid": "u", "managedFields": [{}]}}
    audit.finished(asked, answer(201, stored))
    received, complete = events
    assert (received["stage"], complete["stage"]) == ("RequestReceived", "ResponseComplete")
    assert "responseStatus" not in received
    assert list(complete) == [
        "kind", "apiVersion", "level", "auditID", "stage", "requestURI", "verb", "user", "sourceIPs", "userAgent",
        "objectRef", "responseStatus", "requestObject", "responseObject", "requestReceivedTimestamp", "stageTimestamp",
    ]  # fmt: skip
    assert complete["auditID"] == "given"
    assert complete["requestURI"] == "/api/v1/namespaces/a/pods?dryRun=All"
    assert complete["user"] == {"username": "alice", "uid": "alice-uid", "groups": ["dev"]}
    assert complete["objectRef"] == {"resource": "pods", "namespace": "a", "name": "p", "apiVersion": "v1"}
    assert complete["responseStatus"] == {"metadata": {}, "code": 201}
    assert complete["requestObject"] == {"kind": "Pod", "metadata": {"name": "p"}}
    assert complete["responseObject"] == {"kind": "Pod", "metadata": {"name": "p", "uid": "u"}}
    assert complete["stageTimestamp"] == "2026-01-02T03:04:05.678901Z"


def test_metadata_keeps_the_objects_to_itself(events: list[dict[str, Any]]) -> None:
    audit = auditor(events, "Metadata")
    asked = request("PATCH", "/apis/apps/v1/namespaces/a/deployments/d/scale")
    audit.received(asked)
    log_patch(asked, b'{"spec": {"replicas": 2}}')
    status = {
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": "no",
        "reason": "Forbidden",
        "code": 403,
    }
    audit.finished(asked, answer(403, status))
    event = events[-1]
    assert "requestObject" not in event and "responseObject" not in event
    assert event["objectRef"]["subresource"] == "scale"
    assert event["responseStatus"] == {
        "metadata": {}, "status": "Failure", "message": "no", "reason": "Forbidden", "code": 403,
    }  # fmt: skip


def test_yaml_patches_are_recorded_as_json(events: list[dict[str, Any]]) -> None:
    audit = auditor(events, "Request")
    asked = request("PATCH", "/api/v1/namespaces/a/configmaps/c")
    audit.received(asked)
    log_patch(asked, b"data: {a: b}\n")
    audit.finished(asked, answer(200, {}))
    assert events[-1]["requestObject"] == {"data": {"a": "b"}}


def test_stages_that_the_policy_omits_are_not_written(events: list[dict[str, Any]]) -> None:
    audit = auditor(events, "Metadata", omitStages=["RequestReceived", "ResponseStarted"])
    asked = request("GET", "/api/v1/pods", "watch=1")
    audit.received(asked)
    audit.started(asked, Response())
    audit.finished(asked, Response())
    assert [e["stage"] for e in events] == ["ResponseComplete"]


def test_who_is_not_let_in_leaves_one_event(events: list[dict[str, Any]]) -> None:
    audit = auditor(events, "Metadata")
    audit.finished(request("GET", "/api/v1/pods", authorization="Bearer x"), answer(401, {}))
    (event,) = events
    assert (event["stage"], event["user"]) == ("ResponseStarted", {})
    assert event["responseStatus"] == {
        "metadata": {},
        "message": "Authentication failed, attempted: bearer",
        "code": 401,
    }


def test_level_none_records_nothing(events: list[dict[str, Any]]) -> None:
    audit = auditor(events, "None")
    asked = request("GET", "/api/v1/pods")
    audit.received(asked)
    audit.finished(asked, answer(200, {}))
    assert asked.audit is None and events == []


def test_proxies_name_the_sources(events: list[dict[str, Any]]) -> None:
    asked = request("GET", "/version", x_forwarded_for="1.2.3.4, 5.6.7.8")
    auditor(events, "Metadata").received(asked)
    assert events[0]["sourceIPs"] == ["1.2.3.4", "5.6.7.8", "10.0.0.7"]
    assert "objectRef" not in events[0]


def test_lines(events: list[dict[str, Any]]) -> None:
    auditor(events, "Metadata").received(request("GET", "/api/v1/namespaces/a/pods", audit_id="i"))
    assert json.loads(json_line(events[0])) == events[0]
    assert legacy_line(events[0]) == (
        '2026-01-02T03:04:05.678901Z AUDIT: id="i" stage="RequestReceived" ip="10.0.0.7" method="list" user="alice" '
        'groups="\\"dev\\"" as="<self>" asgroups="<lookup>" user-agent="" namespace="a" uri="/api/v1/namespaces/a/pods" '
        'response="<deferred>"'
    )


def test_full_files_are_put_aside_and_old_ones_removed(tmp_path: Path) -> None:
    now = [NOW]
    file = AuditFile(str(tmp_path / "audit.log"), Rotation(max_size=1, max_backups=2), lambda: now[0])
    for _ in range(5):
        now[0] += timedelta(seconds=1)
        file.write("x" * 600_000)
    file.close()
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["audit-2026-01-02T03-04-09.678.log", "audit-2026-01-02T03-04-10.678.log", "audit.log"]


def test_backups_age_and_shrink(tmp_path: Path) -> None:
    old = tmp_path / "audit-2025-01-01T00-00-00.000.log"
    old.write_text("old")
    file = AuditFile(str(tmp_path / "audit.log"), Rotation(max_size=1, max_age=7, compress=True), lambda: NOW)
    file.write("x" * 600_000)
    file.write("y" * 600_000)
    file.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["audit-2026-01-02T03-04-05.678.log.gz", "audit.log"]
