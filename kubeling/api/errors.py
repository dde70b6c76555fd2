"""Errors of the Kubernetes API: one exception, constructors for every reason.

``StatusError`` carries the ``Status`` object that goes over the wire, so the server raises
exactly what the client catches::

    StatusError
    ├── is_not_found(err), is_conflict(err), ...   tests by reason
    └── not_found(...), conflict(...), invalid(...) ...   constructors with upstream's wording

Wording and codes follow k8s.io/apimachinery/pkg/api/errors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kubeling.api.fields import FieldError

Status = dict[str, Any]


class StatusError(Exception):
    """An API failure. ``status`` is the complete ``Status`` object (kind, apiVersion, message, reason, details, code)."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.get("message", ""))
        self.status = status

    @property
    def code(self) -> int:
        """HTTP status code."""
        return int(self.status.get("code", 500))

    @property
    def reason(self) -> str:
        """Machine-readable reason, empty where upstream gives none."""
        return str(self.status.get("reason", ""))

    @property
    def message(self) -> str:
        return str(self.status.get("message", ""))

    @property
    def details(self) -> Mapping[str, Any]:
        return self.status.get("details") or {}


def failure(
    code: int,
    reason: str,
    message: str,
    details: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> StatusError:
    """A ``StatusError`` from its parts; ``reason`` and ``details`` are left out when empty or None."""
    status: Status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": dict(metadata or {}),
        "status": "Failure",
        "message": message,
    }
    if reason:
        status["reason"] = reason
    if details is not None:
        status["details"] = dict(details)
    status["code"] = code
    return StatusError(status)


def qualified(group: str, name: str) -> str:
    """``deployments.apps``, or ``pods`` for the core group."""
    return f"{name}.{group}" if group else name


def _details(group: str, kind: str, name: str, **more: Any) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    details.update(more)
    return details


def not_found(group: str, plural: str, name: str) -> StatusError:
    return failure(404, "NotFound", f'{qualified(group, plural)} "{name}" not found', _details(group, plural, name))


def already_exists(group: str, plural: str, name: str) -> StatusError:
    return failure(
        409, "AlreadyExists", f'{qualified(group, plural)} "{name}" already exists', _details(group, plural, name)
    )


def generate_name_conflict(group: str, plural: str, name: str) -> StatusError:
    why = "already exists, the server was not able to generate a unique name for the object"
    message = f'{qualified(group, plural)} "{name}" {why}'
    return failure(409, "AlreadyExists", message, _details(group, plural, name, retryAfterSeconds=1))


OPTIMISTIC_LOCK_MESSAGE = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(group: str, plural: str, name: str, why: str = OPTIMISTIC_LOCK_MESSAGE) -> StatusError:
    message = f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}'
    return failure(409, "Conflict", message, _details(group, plural, name))


def invalid(group: str, kind: str, name: str, errors: Iterable[FieldError]) -> StatusError:
    """422 with a cause for each field error; ``kind`` is the kind's name (``Pod``), not the plural."""
    found = list(errors)
    causes = [{"reason": e.reason, "message": e.body(), "field": e.field} for e in found]
    texts = list(dict.fromkeys(str(e) for e in found))
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    message = f'{qualified(group, kind)} "{name}" is invalid' + (f": {text}" if texts else "")
    details = _details(group, kind, name)
    if causes:
        details["causes"] = causes
    return failure(422, "Invalid", message, details)


def bad_request(message: str) -> StatusError:
    return failure(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> StatusError:
    return failure(401, "Unauthorized", message)


def forbidden(group: str, plural: str, name: str, why: str) -> StatusError:
    """403. Without a plural the message is ``forbidden: <why>``, without a name it names the resource only."""
    if not plural:
        message = f"forbidden: {why}"
    elif not name:
        message = f"{qualified(group, plural)} is forbidden: {why}"
    else:
        message = f'{qualified(group, plural)} "{name}" is forbidden: {why}'
    return failure(403, "Forbidden", message, _details(group, plural, name))


def method_not_supported(group: str, plural: str, action: str) -> StatusError:
    message = f'{action} is not supported on resources of kind "{qualified(group, plural)}"'
    return failure(405, "MethodNotAllowed", message, _details(group, plural, ""))


def gone(message: str) -> StatusError:
    return failure(410, "Gone", message)


def expired(message: str) -> StatusError:
    return failure(410, "Expired", message)


def too_many_requests(message: str, retry_after_seconds: int = 0) -> StatusError:
    details: dict[str, Any] = {"retryAfterSeconds": retry_after_seconds} if retry_after_seconds else {}
    return failure(429, "TooManyRequests", message, details)


def request_entity_too_large(message: str) -> StatusError:
    return failure(413, "RequestEntityTooLarge", message)


def internal_error(why: str) -> StatusError:
    message = f"Internal error occurred: {why}"
    return failure(500, "InternalError", message, {"causes": [{"message": why}]})


def server_timeout(group: str, plural: str, operation: str, retry_after_seconds: int = 0) -> StatusError:
    message = f"The {operation} operation against {qualified(group, plural)} could not be completed at this time, please try again."
    details = _details(group, plural, "")
    if retry_after_seconds:
        details["retryAfterSeconds"] = retry_after_seconds
    return failure(500, "ServerTimeout", message, details)


def timeout(message: str, retry_after_seconds: int = 0) -> StatusError:
    details: dict[str, Any] = {"retryAfterSeconds": retry_after_seconds} if retry_after_seconds else {}
    return failure(504, "Timeout", f"Timeout: {message}", details)


def service_unavailable(message: str) -> StatusError:
    return failure(503, "ServiceUnavailable", message)


_SERVER_RESPONSES: dict[int, tuple[str, str]] = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    403: ("Forbidden", ""),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    406: ("NotAcceptable", ""),
    409: ("Conflict", "the server reported a conflict"),
    415: ("UnsupportedMediaType", ""),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: (
        "TooManyRequests",
        "the server has received too many requests and has asked us to try again later",
    ),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: (
        "Timeout",
        "the server was unable to return a response in the time allotted, but may still be processing the request",
    ),
}
"""Reason and message for a status; an empty message: what the server said itself."""


def server_response(code: int, said: str, group: str, plural: str, name: str) -> StatusError:
    """What another server's answer means (upstream: NewGenericServerResponse)."""
    reason, message = _SERVER_RESPONSES.get(code, ("", ""))
    if reason:
        message = message or said
    elif code >= 500:
        reason = "InternalError"
        message = f"an error on the server ({json.dumps(said)}) has prevented the request from succeeding"
    else:
        message = f"the server responded with the status code {code} but did not return more information"
    return failure(code, reason, f"{message} ( {qualified(group, plural)} {name})", _details(group, plural, name))


def is_not_found(err: BaseException) -> bool:
    return isinstance(err, StatusError) and err.code == 404


def is_already_exists(err: BaseException) -> bool:
    return isinstance(err, StatusError) and err.reason == "AlreadyExists"


def is_conflict(err: BaseException) -> bool:
    return isinstance(err, StatusError) and err.reason == "Conflict"


def is_invalid(err: BaseException) -> bool:
    return isinstance(err, StatusError) and err.reason == "Invalid"


def is_forbidden(err: BaseException) -> bool:
    return isinstance(err, StatusError) and err.code == 403


def is_expired(err: BaseException) -> bool:
    """True for 410: the resourceVersion asked for is gone (reasons ``Expired`` and ``Gone``)."""
    return isinstance(err, StatusError) and err.code == 410
