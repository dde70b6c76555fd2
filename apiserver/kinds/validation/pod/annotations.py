"""Validation of the annotations that mean something for a pod."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.common import local_descending_path
from apiserver.kinds.validation.pod.scheduling import validate_tolerations
from apiserver.kinds.validation.pod.security import (
    APPARMOR_CONTAINER,
    SECCOMP_CONTAINER,
    SECCOMP_POD,
    containers_with_paths,
)
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path

MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")


def validate_pod_annotations(annotations: Mapping[str, str], spec: Mapping[str, Any], path: Path) -> ErrorList:
    errors: ErrorList = []
    if MIRROR in annotations and not spec.get("nodeName"):
        detail = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(fields.invalid(path.key(MIRROR), annotations[MIRROR], detail))
    errors += _validate_tolerations(annotations.get(_TOLERATIONS, ""), path)
    cost = annotations.get(DELETION_COST)
    if cost is not None and not (_INTEGER.fullmatch(cost) and -(2**31) <= int(cost) < 2**31):
        errors.append(fields.invalid(path.key(DELETION_COST), cost, "must be a 32bit integer"))
    for key, profile in sorted(annotations.items()):
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER):
            errors += _validate_seccomp(profile, path.child(key))
    return errors + _validate_apparmor(annotations, spec, path)


def _validate_tolerations(text: str, path: Path) -> ErrorList:
    if not text:
        return []
    try:
        tolerations = json.loads(text)
    except ValueError as error:
        return [fields.invalid(path, _TOLERATIONS, str(error))]
    return validate_tolerations(tolerations or [], path.child(_TOLERATIONS))


def _validate_seccomp(profile: str, path: Path) -> ErrorList:
    if profile in ("runtime/default", "docker/default", "unconfined"):
        return []
    if profile.startswith("localhost/"):
        return local_descending_path(profile.removeprefix("localhost/"), path)
    return [fields.invalid(path, profile, "must be a valid seccomp profile")]


def _validate_apparmor(annotations: Mapping[str, str], spec: Mapping[str, Any], path: Path) -> ErrorList:
    errors: ErrorList = []
    known = {c.get("name") for c, _ in containers_with_paths(spec, path)}
    for key, profile in sorted(annotations.items()):
        if not key.startswith(APPARMOR_CONTAINER):
            continue
        name = key.removeprefix(APPARMOR_CONTAINER)
        if name not in known:
            errors.append(fields.invalid(path.key(key), name, "container not found"))
        if profile not in ("", "runtime/default", "unconfined") and not profile.startswith("localhost/"):
            detail = f"invalid AppArmor profile name: {fields.quoted(profile)}"
            errors.append(fields.invalid(path.key(key), profile, detail))
    return errors


def validate_annotation_updates(
    new: Mapping[str, str], old: Mapping[str, str], spec: Mapping[str, Any], path: Path
) -> ErrorList:
    """AppArmor and mirror annotations of a pod never change."""
    errors: ErrorList = []
    for key, value in sorted(old.items()):
        if new.get(key) != value:
            errors += _refuse(key, path, "remove or update")
    for key in sorted(set(new) - set(old)):
        errors += _refuse(key, path, "add")
    return errors + validate_pod_annotations(new, spec, path)


def _refuse(key: str, path: Path, verb: str) -> ErrorList:
    if key.startswith(APPARMOR_CONTAINER):
        return [fields.forbidden(path.key(key), f"may not {verb} AppArmor annotations")]
    if key == MIRROR:
        return [fields.forbidden(path.key(key), f"may not {verb} mirror pod annotation")]
    return []
