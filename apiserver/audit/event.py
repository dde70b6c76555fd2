"""Events as ``audit.k8s.io/v1`` has them, in its field order, and the lines of a log of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from apiserver.http.protocols import AuditRecord
from apiserver.http.request import RequestInfo, User
from kubeling.api.meta import Object

Line = Callable[[Object], str]
_META = ("namespace", "name", "uid", "resourceVersion")


def micro_time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def user_info(user: User | None) -> Object:
    """``authentication.k8s.io/v1`` UserInfo, empty for nobody."""
    if user is None:
        return {}
    info: Object = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info


def object_ref(info: RequestInfo, named: Object) -> Object:
    """What the request is about; what the URL does not say comes from the object that was sent."""
    found = {
        "resource": info.resource,
        "namespace": info.namespace or named.get("namespace"),
        "name": info.name or named.get("name"),
        "uid": named.get("uid"),
        "apiGroup": info.group,
        "apiVersion": info.version,
        "resourceVersion": named.get("resourceVersion"),
        "subresource": info.subresource,
    }
    return {key: value for key, value in found.items() if value}


def event_of(record: AuditRecord, stage: str, now: datetime) -> Object:
    """The event that a stage writes."""
    event: Object = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": record.level,
        "auditID": record.audit_id,
        "stage": stage,
        "requestURI": record.uri,
        "verb": record.info.verb,
        "user": user_info(record.user),
    }
    optional = {
        "impersonatedUser": user_info(record.impersonated) if record.impersonated else None,
        "sourceIPs": list(record.source_ips),
        "userAgent": record.user_agent,
        "objectRef": object_ref(record.info, record.named) if record.info.is_resource else None,
        "responseStatus": record.response_status,
        "requestObject": record.request_object,
        "responseObject": record.response_object,
    }
    event |= {key: value for key, value in optional.items() if value}
    event["requestReceivedTimestamp"] = micro_time(record.received)
    event["stageTimestamp"] = micro_time(now)
    if record.annotations:
        event["annotations"] = dict(sorted(record.annotations.items()))
    return event


def named_by(obj: Object) -> Object:
    """The metadata that an object sent along tells of the object of a request."""
    metadata = obj.get("metadata")
    return {key: metadata[key] for key in _META if metadata.get(key)} if isinstance(metadata, dict) else {}


def without_managed_fields(obj: Any) -> Any:
    """The object, or the list's items, without managed fields; a copy where there were any."""
    if not isinstance(obj, dict):
        return obj
    if isinstance(obj.get("items"), list):
        obj = {**obj, "items": [without_managed_fields(item) for item in obj["items"]]}
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and "managedFields" in metadata:
        obj = {**obj, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
    return obj


def json_line(event: Object) -> str:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False)


def legacy_line(event: Object) -> str:
    """The line of ``--audit-log-format=legacy``."""
    user, acting = event["user"], event.get("impersonatedUser") or {}
    fields = {
        "id": event["auditID"],
        "stage": event["stage"],
        "ip": (event.get("sourceIPs") or ["<unknown>"])[0],
        "method": event["verb"],
        "user": user.get("username") or "<none>",
        "groups": _groups(user.get("groups"), "<none>"),
        "as": acting.get("username") or "<self>",
        "asgroups": _groups(acting.get("groups"), "<lookup>"),
        "user-agent": event.get("userAgent", ""),
        "namespace": (event.get("objectRef") or {}).get("namespace") or "<none>",
        "uri": event["requestURI"],
        "response": str((event.get("responseStatus") or {}).get("code", "<deferred>")),
    }
    words = " ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in fields.items())
    return f"{event['requestReceivedTimestamp']} AUDIT: {words}"


def _groups(groups: Sequence[str] | None, none: str) -> str:
    return ",".join(f'"{group}"' for group in groups) if groups else none
