"""Validation of probes, lifecycle hooks and what they do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from apiserver.kinds.validation.common import NOT_NEGATIVE, port_number, port_number_or_name
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path

Handler = Mapping[str, Any]
_SCHEMES = frozenset({"HTTP", "HTTPS"})
_HEADER = "[-A-Za-z0-9]+"
_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def _validate_exec(action: Handler, path: Path) -> ErrorList:
    return [] if action.get("command") else [fields.required(path.child("command"))]


def _validate_http(action: Handler, path: Path) -> ErrorList:
    errors = [] if action.get("path") else [fields.required(path.child("path"))]
    errors += port_number_or_name(action.get("port"), path.child("port"))
    scheme = action.get("scheme") or ""
    if scheme not in _SCHEMES:
        errors.append(fields.not_supported(path.child("scheme"), scheme, _SCHEMES))
    for header in action.get("httpHeaders") or ():
        name = header.get("name") or ""
        if not re.fullmatch(_HEADER, name):
            message = "a valid HTTP header must consist of alphanumeric characters or '-'"
            detail = names.regex_error(message, _HEADER, "X-Header-Name")
            errors.append(fields.invalid(path.child("httpHeaders"), name, detail))
    return errors


def _validate_tcp(action: Handler, path: Path) -> ErrorList:
    return port_number_or_name(action.get("port"), path.child("port"))


def _validate_grpc(action: Handler, path: Path) -> ErrorList:
    return port_number(action.get("port") or 0, path.child("port"))


_ACTIONS: Mapping[str, Callable[[Handler, Path], ErrorList]] = {
    "exec": _validate_exec,
    "httpGet": _validate_http,
    "tcpSocket": _validate_tcp,
    "grpc": _validate_grpc,
}


def validate_handler(handler: Handler, grace: int | None, path: Path) -> ErrorList:
    """Exactly one action. ``grace`` is the pod's termination grace period in seconds."""
    errors: ErrorList = []
    chosen = False
    for field in (*_ACTIONS, "sleep"):
        action = handler.get(field)
        if action is None:
            continue
        if chosen:
            errors.append(fields.forbidden(path.child(field), "may not specify more than 1 handler type"))
        elif field == "sleep":
            errors += _validate_sleep(action, grace, path.child("sleep"))
        else:
            errors += _ACTIONS[field](action, path.child(field))
        chosen = True
    return errors if chosen else [fields.required(path, "must specify a handler type")]


def _validate_sleep(action: Handler, grace: int | None, path: Path) -> ErrorList:
    seconds = action.get("seconds") or 0
    if grace is None or 0 <= seconds <= grace:
        return []
    detail = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
    return [fields.invalid(path, seconds, detail)]


def validate_lifecycle(lifecycle: Handler, grace: int | None, path: Path) -> ErrorList:
    errors: ErrorList = []
    for hook in ("postStart", "preStop"):
        if lifecycle.get(hook) is not None:
            errors += validate_handler(lifecycle[hook], grace, path.child(hook))
    return errors


def validate_probes(container: Handler, grace: int | None, path: Path) -> ErrorList:
    """The three probes of a container."""
    errors: ErrorList = []
    for field in PROBES:
        if container.get(field) is not None:
            errors += _validate_probe(container[field], field, grace, path.child(field))
    return errors


def _validate_probe(probe: Handler, field: str, grace: int | None, path: Path) -> ErrorList:
    errors = validate_handler(probe, grace, path)
    for count in _COUNTS:
        if (probe.get(count) or 0) < 0:
            errors.append(fields.invalid(path.child(count), probe[count], NOT_NEGATIVE))
    seconds, at = probe.get("terminationGracePeriodSeconds"), path.child("terminationGracePeriodSeconds")
    if seconds is not None and seconds <= 0:
        errors.append(fields.invalid(at, seconds, "must be greater than 0"))
    if field == "readinessProbe":
        if seconds is not None:
            errors.append(fields.invalid(at, seconds, "must not be set for readinessProbes"))
    elif probe.get("successThreshold") != 1:
        errors.append(fields.invalid(path.child("successThreshold"), probe.get("successThreshold") or 0, "must be 1"))
    return errors
