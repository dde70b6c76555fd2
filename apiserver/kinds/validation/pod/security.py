"""Validation of security contexts: users and groups, seccomp, AppArmor, SELinux, sysctls, capabilities."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.kinds.validation.common import MAX_INT32, local_descending_path
from apiserver.kinds.validation.pod.internal import as_internal
from apiserver.kinds.validation.pod.windows import validate_windows_options
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path

Fields = Mapping[str, Any]
_PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
_ID_ERROR = f"must be between 0 and {MAX_INT32}, inclusive"
_SYSCTL_LIMIT = 253
_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"^({_SEGMENT}[\./])*{_SEGMENT}$"
_IPC_SYSCTLS = ("kernel.sem", "kernel.msg", "kernel.shm", "fs.mqueue.")
_APPARMOR_LIMIT = 4095

SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
APPARMOR_CONTAINER = "container.apparmor.security.beta.kubernetes.io/"


def containers_with_paths(spec: Fields, path: Path) -> Iterator[tuple[Fields, Path]]:
    """Every container with its path, in upstream's visiting order."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for i, container in enumerate(spec.get(field) or ()):
            yield container, path.child(field).index(i)


def _validate_ids(context: Fields, path: Path, *wanted: str) -> ErrorList:
    found = [(path.child(f), context[f]) for f in wanted if context.get(f) is not None]
    return [fields.invalid(at, value, _ID_ERROR) for at, value in found if not 0 <= value <= MAX_INT32]


def _validate_choice(context: Fields, field: str, path: Path, supported: frozenset[str]) -> ErrorList:
    value = context.get(field)
    return [] if value is None or value in supported else [fields.not_supported(path.child(field), value, supported)]


def validate_pod_security(spec: Fields, path: Path) -> ErrorList:
    """``spec.securityContext``; ``path`` is that of the context."""
    context = spec.get("securityContext") or {}
    errors = _validate_ids(context, path, "fsGroup", "runAsUser", "runAsGroup")
    for i, group in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= group <= MAX_INT32:
            errors.append(fields.invalid(path.child("supplementalGroups").index(i), group, _ID_ERROR))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(fields.invalid(path.child("shareProcessNamespace"), True, detail))
    errors += _validate_sysctls(spec, context.get("sysctls") or [], path.child("sysctls"))
    errors += _validate_choice(context, "fsGroupChangePolicy", path, frozenset({"OnRootMismatch", "Always"}))
    errors += _validate_seccomp(context.get("seccompProfile"), path.child("seccompProfile"))
    errors += validate_windows_options(context.get("windowsOptions"), path.child("windowsOptions"))
    errors += _validate_apparmor(context.get("appArmorProfile"), path.child("appArmorProfile"))
    errors += _validate_choice(context, "supplementalGroupsPolicy", path, frozenset({"Merge", "Strict"}))
    return errors + _validate_choice(context, "seLinuxChangePolicy", path, frozenset({"Recursive", "MountOption"}))


def validate_container_security(context: Fields | None, path: Path, *, host_users: bool) -> ErrorList:
    if context is None:
        return []
    errors = _validate_ids(context, path, "runAsUser", "runAsGroup")
    mount = context.get("procMount")
    if mount is not None:
        if mount not in ("Default", "Unmasked"):
            errors.append(fields.not_supported(path.child("procMount"), mount, ["Default", "Unmasked"]))
        if host_users and mount == "Unmasked":
            detail = "`hostUsers` must be false to use `Unmasked`"
            errors.append(fields.invalid(path.child("procMount"), mount, detail))
    errors += _validate_seccomp(context.get("seccompProfile"), path.child("seccompProfile"))
    if context.get("allowPrivilegeEscalation") is False:
        shown = as_internal("SecurityContext", context)
        refused = "cannot set `allowPrivilegeEscalation` to false and "
        if context.get("privileged"):
            errors.append(fields.invalid(path, shown, refused + "`privileged` to true"))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            errors.append(fields.invalid(path, shown, refused + "`capabilities.Add` CAP_SYS_ADMIN"))
    errors += validate_windows_options(context.get("windowsOptions"), path.child("windowsOptions"))
    return errors + _validate_apparmor(context.get("appArmorProfile"), path.child("appArmorProfile"))


def _validate_seccomp(profile: Fields | None, path: Path) -> ErrorList:
    if profile is None:
        return []
    errors: ErrorList = []
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    if not kind:
        errors.append(fields.required(path.child("type"), "type is required when seccompProfile is set"))
    elif kind not in _PROFILE_TYPES:
        errors.append(fields.not_supported(path.child("type"), kind, _PROFILE_TYPES))
    at = path.child("localhostProfile")
    if kind == "Localhost":
        if local is None:
            return [*errors, fields.required(at, "must be set when seccomp type is Localhost")]
        return errors + local_descending_path(local, at)
    if local is not None:
        shown = as_internal("SeccompProfile", profile)
        errors.append(fields.invalid(at, shown, "can only be set when seccomp type is Localhost"))
    return errors


def _validate_apparmor(profile: Fields | None, path: Path) -> ErrorList:
    if profile is None:
        return []
    kind, local, at = profile.get("type") or "", profile.get("localhostProfile"), path.child("localhostProfile")
    if kind == "Localhost":
        return _validate_apparmor_local(local, at)
    if kind in _PROFILE_TYPES:
        if local is None:
            return []
        return [fields.invalid(at, local, "can only be set when AppArmor type is Localhost")]
    if not kind:
        return [fields.required(path.child("type"), "type is required when appArmorProfile is set")]
    return [fields.not_supported(path.child("type"), kind, _PROFILE_TYPES)]


def _validate_apparmor_local(local: str | None, path: Path) -> ErrorList:
    missing = fields.required(path, "must be set when AppArmor type is Localhost")
    if local is None:
        return [missing]
    errors: ErrorList = []
    if local.strip() != local:
        errors.append(fields.invalid(path, local, "must not be padded with whitespace"))
    elif not local:
        errors.append(missing)
    if len(local) > _APPARMOR_LIMIT:
        errors.append(fields.too_long(path, _APPARMOR_LIMIT))
    return errors


def _validate_sysctls(spec: Fields, sysctls: list[Fields], path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, sysctl in enumerate(sysctls):
        name, at = sysctl.get("name") or "", path.index(i).child("name")
        if not name:
            errors.append(fields.required(at))
        elif len(name) > _SYSCTL_LIMIT or not re.search(_SYSCTL, name):
            detail = f"must have at most {_SYSCTL_LIMIT} characters and match regex {_SYSCTL}"
            errors.append(fields.invalid(at, name, detail))
        elif name in seen:
            errors.append(fields.duplicate(at, name))
        plain = name.replace("/", ".")
        if spec.get("hostNetwork") and plain.startswith("net."):
            errors.append(fields.invalid(at, name, "may not be specified when 'hostNetwork' is true"))
        elif spec.get("hostIPC") and plain.startswith(_IPC_SYSCTLS):
            errors.append(fields.invalid(at, name, "may not be specified when 'hostIPC' is true"))
        seen.add(name)
    return errors


def validate_host_users(spec: Fields, path: Path) -> ErrorList:
    """A user namespace of its own excludes the host's namespaces."""
    if spec.get("hostUsers") is not False:
        return []
    refused = (("hostNetwork", "hostNetwork"), ("hostPID", "hostPID"), ("hostIPC", "hostIPC"))
    return [fields.forbidden(path.child(f), "when `hostUsers` is false") for name, f in refused if spec.get(name)]


def validate_annotations_match(annotations: Mapping[str, str], spec: Fields, path: Path) -> ErrorList:
    """On creation the old seccomp and AppArmor annotations must say what the fields say."""
    errors: ErrorList = []
    context = spec.get("securityContext") or {}
    if SECCOMP_POD in annotations and context.get("seccompProfile") is not None:
        at = path.child("securityContext", "seccompProfile")
        errors += _match_seccomp(annotations[SECCOMP_POD], context["seccompProfile"], at)
    for container, at in containers_with_paths(spec, path):
        key = SECCOMP_CONTAINER + (container.get("name") or "")
        profile = (container.get("securityContext") or {}).get("seccompProfile")
        if key in annotations and profile is not None:
            errors += _match_seccomp(annotations[key], profile, at.child("securityContext", "seccompProfile"))
    if (spec.get("os") or {}).get("name") == "windows":
        return errors
    for container, at in containers_with_paths(spec, path):
        key = APPARMOR_CONTAINER + (container.get("name") or "")
        profile = (container.get("securityContext") or {}).get("appArmorProfile") or context.get("appArmorProfile")
        if key in annotations and profile is not None:
            errors += _match_apparmor(annotations[key], profile, at.child("securityContext", "appArmorProfile"))
    return errors


def _match(annotation: str, profile: Fields, path: Path, noun: str, names: Mapping[str, tuple[str, ...]]) -> ErrorList:
    kind = profile.get("type")
    mismatch = [fields.forbidden(path.child("type"), f"{noun} type in annotation and field must match")]
    if kind == "Localhost":
        if not annotation.startswith("localhost/"):
            return mismatch
        if annotation.removeprefix("localhost/") == profile.get("localhostProfile"):
            return []
        detail = f"{noun} profile in annotation and field must match"
        return [fields.forbidden(path.child("localhostProfile"), detail)]
    return [] if annotation in names.get(kind or "", (annotation,)) else mismatch


def _match_seccomp(annotation: str, profile: Fields, path: Path) -> ErrorList:
    names = {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default", "docker/default")}
    return _match(annotation, profile, path, "seccomp", names)


def _match_apparmor(annotation: str, profile: Fields, path: Path) -> ErrorList:
    names = {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default",)}
    return _match(annotation, profile, path, "apparmor", names)
