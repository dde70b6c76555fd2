"""Validation of what is special to Windows pods, and of what a pod's operating system rules out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.kinds.validation.common import named
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path

Fields = Mapping[str, Any]
_SPEC_LIMIT = 64 * 1024
_DOMAIN_LIMIT, _USER_LIMIT = 256, 104
_NETBIOS = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}')
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DNS = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NOT_FOR_WINDOWS = "cannot be set for a windows pod"
_POD_FIELDS = (
    ("securityContext", "appArmorProfile"),
    ("securityContext", "seLinuxOptions"),
    ("", "hostUsers"),
    ("", "hostPID"),
    ("", "hostIPC"),
    ("securityContext", "seccompProfile"),
    ("securityContext", "fsGroup"),
    ("securityContext", "fsGroupChangePolicy"),
    ("securityContext", "sysctls"),
    ("", "shareProcessNamespace"),
    ("securityContext", "runAsUser"),
    ("securityContext", "runAsGroup"),
    ("securityContext", "supplementalGroups"),
    ("securityContext", "supplementalGroupsPolicy"),
    ("securityContext", "seLinuxChangePolicy"),
)
_CONTAINER_FIELDS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)


def _visit(spec: Fields, path: Path) -> Iterator[tuple[Fields, Path]]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for i, container in enumerate(spec.get(field) or ()):
            yield container, path.child(field).index(i)


def validate_os(spec: Fields, path: Path) -> ErrorList:
    """``spec.os`` and the fields that the named system does not know; ``path`` is that of the spec."""
    if spec.get("os") is None:
        return []
    name = spec["os"].get("name") or ""
    if not name:
        return [fields.required(path.child("os", "name"), "cannot be empty")]
    if name == "linux":
        return _validate_linux(spec, path)
    if name == "windows":
        return _validate_windows(spec, path)
    return [fields.not_supported(path.child("os"), name, frozenset({"linux", "windows"}))]


def _validate_linux(spec: Fields, path: Path) -> ErrorList:
    contexts = [(spec, path), *_visit(spec, path)]
    return [
        fields.forbidden(at.child("securityContext", "windowsOptions"), "windows options cannot be set for a linux pod")
        for owner, at in contexts
        if (owner.get("securityContext") or {}).get("windowsOptions") is not None
    ]


def _validate_windows(spec: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    for owner, field in _POD_FIELDS:
        holder, at = (spec.get(owner) or {}, path.child(owner)) if owner else (spec, path)
        value = holder.get(field)
        if value is not None and value != [] and not (field in ("hostPID", "hostIPC") and not value):
            errors.append(fields.forbidden(at.child(field), _NOT_FOR_WINDOWS))
    for container, at in _visit(spec, path):
        context = container.get("securityContext") or {}
        for field in _CONTAINER_FIELDS:
            if context.get(field) is not None:
                errors.append(fields.forbidden(at.child("securityContext", field), _NOT_FOR_WINDOWS))
    return errors


def validate_host_process(spec: Fields, path: Path) -> ErrorList:
    """HostProcess containers: all or none, and only with the host's network."""
    errors: ErrorList = []
    pod_value = _host_process(spec)
    count = total = 0
    for container, at in _visit(spec, path):
        total += 1
        own = _host_process(container)
        if pod_value is not None and own is not None and pod_value != own:
            detail = f"pod hostProcess value must be identical if both are specified, was {str(pod_value).lower()}"
            where = at.child("securityContext", "windowsOptions", "hostProcess")
            errors.append(fields.invalid(where, own, detail))
        count += bool(pod_value if own is None else own)
    if not count:
        return errors
    if count != total:
        detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        errors.append(fields.invalid(path, "", detail))
    if not spec.get("hostNetwork"):
        detail = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.append(fields.invalid(path.child("hostNetwork"), False, detail))
    return errors


def _host_process(owner: Fields) -> bool | None:
    value: bool | None = ((owner.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
    return value


def validate_windows_options(options: Fields | None, path: Path) -> ErrorList:
    if options is None:
        return []
    errors: ErrorList = []
    if options.get("gmsaCredentialSpecName") is not None:
        at = path.child("gmsaCredentialSpecName")
        errors += named(options["gmsaCredentialSpecName"], at, names.is_dns1123_subdomain)
    spec = options.get("gmsaCredentialSpec")
    if spec == "":
        detail = "gmsaCredentialSpec cannot be an empty string"
        errors.append(fields.invalid(path.child("gmsaCredentialSpec"), spec, detail))
    elif spec is not None and len(spec) > _SPEC_LIMIT:
        detail = "gmsaCredentialSpec size must be under 64 KiB"
        errors.append(fields.invalid(path.child("gmsaCredentialSpec"), spec, detail))
    user = options.get("runAsUserName")
    if user is not None:
        errors += [fields.invalid(path.child("runAsUserName"), user, m) for m in _user_name_errors(user)]
    return errors


def _user_name_errors(text: str) -> list[str]:
    if not text:
        return ["runAsUserName cannot be an empty string"]
    if re.search(r"[\x00-\x1f\x7f]", text):
        return ["runAsUserName cannot contain control characters"]
    if text.count("\\") > 1:
        return ["runAsUserName cannot contain more than one backslash"]
    domain, slash, user = text.rpartition("\\")
    found: list[str] = []
    if len(domain) >= _DOMAIN_LIMIT:
        found.append(f"runAsUserName's Domain length must be under {_DOMAIN_LIMIT} characters")
    if slash and not (_NETBIOS.fullmatch(domain) or _DNS.fullmatch(domain)):
        found.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        found.append("runAsUserName's User cannot be empty")
    elif len(user) > _USER_LIMIT:
        found.append(f"runAsUserName's User length must not be longer than {_USER_LIMIT} characters")
    if re.fullmatch(r"[. ]+", user):
        found.append("runAsUserName's User cannot contain only periods or spaces")
    if re.search(r'["/\\:;|=,+*?<>@\[\]]', user):
        found.append("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
    return found
