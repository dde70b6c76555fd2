"""Follows a request through its stages and writes the events that the policy asks for.

Stages and contents as in k8s.io/apiserver/pkg/endpoints/filters/audit.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson
import yaml

from apiserver.audit.event import event_of, named_by, without_managed_fields
from apiserver.audit.policy import Decision, Level, Policy
from apiserver.http.message import Request, Response
from apiserver.http.protocols import Attributes, AuditRecord
from apiserver.http.request import User
from kubeling.api.meta import Object

_NOBODY = User("")
_STATUS_FIELDS = ("status", "message", "reason", "details", "code")


class Auditor:
    """``write`` takes finished events."""

    def __init__(self, policy: Policy, write: Callable[[Object], None], clock: Callable[[], datetime]) -> None:
        self._policy = policy
        self._write = write
        self._clock = clock
        self.written = 0
        self.levels: Counter[str] = Counter()
        """Requests by the level that the policy gave them."""

    def received(self, request: Request) -> None:
        """Decides how the request is recorded; ``request.audit`` stays None when it is not."""
        decision = self._policy.evaluate(Attributes.of(request.user, request.info))
        self.levels[decision.level.text] += 1
        if decision.level is Level.NONE:
            return
        record = request.audit = self._record(request, request.user, decision)
        self._emit(record, "RequestReceived")

    def started(self, request: Request, response: Response) -> None:
        """A lasting request is about to be answered."""
        record = request.audit
        if record is not None:
            record.response_status = {"metadata": {}, "code": response.status}
            self._emit(record, "ResponseStarted")

    def finished(self, request: Request, response: Response) -> None:
        record = request.audit
        if record is None:
            if response.status == 401:
                self._unauthenticated(request)
            return
        record.response_status = _status_of(request, response)
        if record.recorded_objects >= Level.REQUEST_RESPONSE and request.info.is_resource:
            record.response_object = _trimmed(_content(response), record)
        self._emit(record, "Panic" if record.panicked else "ResponseComplete")

    def _unauthenticated(self, request: Request) -> None:
        """Who fails to authenticate never reaches the rest of the chain: one event, without a user."""
        decision = self._policy.evaluate(Attributes.of(_NOBODY, request.info))
        if decision.level is Level.NONE:
            return
        record = self._record(request, None, decision)
        record.response_status = {"metadata": {}, "message": _attempted(request), "code": 401}
        self._emit(record, "ResponseStarted")

    def _record(self, request: Request, user: User | None, decision: Decision) -> AuditRecord:
        return AuditRecord(
            request.audit_id,
            request.info,
            _uri(request),
            self._clock(),
            user,
            user_agent=request.header(b"user-agent"),
            source_ips=source_ips(request),
            level=decision.level.text,
            recorded_objects=decision.level,
            omitted=decision.omitted,
            omit_managed_fields=decision.omit_managed_fields,
        )

    def _emit(self, record: AuditRecord, stage: str) -> None:
        if stage not in record.omitted:
            self.written += 1
            self._write(event_of(record, stage, self._clock()))


def log_request(record: AuditRecord | None, body: Any) -> None:
    """Takes over what the client sent: what it says of the object, and, where the level asks for it, all of it."""
    if record is None or not isinstance(body, (dict, list)):
        return
    if isinstance(body, dict):
        record.named = named_by(body)
    if record.recorded_objects >= Level.REQUEST:
        copied = orjson.loads(orjson.dumps(body))  # what is recorded must not change with the object
        record.request_object = _trimmed(copied, record)


def _trimmed(obj: Any, record: AuditRecord) -> Any:
    return without_managed_fields(obj) if record.omit_managed_fields else obj


def _uri(request: Request) -> str:
    query = request.scope["query_string"].decode("latin-1")
    return f"{request.raw_path}?{query}" if query else request.raw_path


def source_ips(request: Request) -> tuple[str, ...]:
    """Those that proxies name, then the peer itself."""
    named = [part.strip() for part in request.header(b"x-forwarded-for").split(",") if part.strip()]
    real = request.header(b"x-real-ip")
    client = request.scope.get("client")
    found = [*named, *([real] if real else []), *([client[0]] if client else [])]
    return tuple(dict.fromkeys(found))


def _content(response: Response) -> Any:
    if response.stream is not None or response.app is not None:
        return None
    try:
        return orjson.loads(response.body)
    except ValueError:
        return None


def _status_of(request: Request, response: Response) -> Object:
    content = _content(response) if request.info.is_resource or response.status >= 400 else None
    if isinstance(content, dict) and content.get("kind") == "Status":
        return {"metadata": {}, **{f: content[f] for f in _STATUS_FIELDS if content.get(f)}, "code": response.status}
    return {"metadata": {}, "code": response.status}


def _attempted(request: Request) -> str:
    methods = []
    if request.scope.get("client_certificates"):
        methods.append("x509")
    scheme = request.header(b"authorization").partition(" ")[0].lower()
    if scheme in ("basic", "bearer"):
        methods.append(scheme)
    if "access_token" in request.query:
        methods.append("access_token")
    if not methods:
        return "Authentication failed, no credentials provided"
    return f"Authentication failed, attempted: {', '.join(methods)}"


def log_patch(request: Request, body: bytes) -> None:
    """A patch is recorded as sent, YAML as the JSON that it means."""
    record = request.audit
    if record is None or record.recorded_objects < Level.REQUEST:
        return
    try:
        record.request_object = yaml.load(body, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return  # the endpoint refuses it with a better message than could be recorded here
