"""Validation of a pod's containers: regular, init, sidecar and ephemeral ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apiserver.kinds.validation.common import dns_label, named, one_of, port_number
from apiserver.kinds.validation.pod.env import validate_env, validate_env_from
from apiserver.kinds.validation.pod.mounts import validate_devices, validate_mounts
from apiserver.kinds.validation.pod.pod_resources import is_sidecar
from apiserver.kinds.validation.pod.probes import PROBES, validate_lifecycle, validate_probes
from apiserver.kinds.validation.pod.requirements import validate_requirements
from apiserver.kinds.validation.pod.security import validate_container_security
from apiserver.kinds.validation.pod.volumes import PULL_POLICIES, Volumes
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path

Container = Mapping[str, Any]
PROTOCOLS = frozenset({"TCP", "UDP", "SCTP"})
_RESTART_POLICIES = frozenset({"Always", "Never", "OnFailure"})
_RULE_ACTIONS = frozenset({"Restart", "RestartAllContainers"})
_RULE_LIMIT, _RULE_VALUES_LIMIT = 20, 255
_RESIZABLE = frozenset({"cpu", "memory"})
_RESIZE_POLICIES = frozenset({"NotRequired", "RestartContainer"})
_NOT_FOR_EPHEMERAL = (
    ("ports", "ports"),
    ("resources", "resources"),
    ("resizePolicy", "resizePolicy"),
    ("restartPolicy", "restartPolicy"),
    ("restartPolicyRules", "restartPolicyRules"),
    ("livenessProbe", "livenessProbe"),
    ("readinessProbe", "readinessProbe"),
    ("startupProbe", "startupProbe"),
    ("lifecycle", "lifecycle"),
)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the validation of a container must know of its pod."""

    volumes: Volumes
    claims: Collection[str]
    grace: int | None
    restart_policy: str
    host_users: bool


def validate_containers(containers: list[Container], facts: PodFacts, path: Path) -> ErrorList:
    if not containers:
        return [fields.required(path)]
    errors: ErrorList = []
    seen: set[str] = set()
    for i, container in enumerate(containers):
        at, name = path.index(i), container.get("name") or ""
        errors += _validate_common(container, facts, at)
        if name in seen:
            errors.append(fields.duplicate(at.child("name"), name))
        seen.add(name)
        errors += _validate_running(container, facts, at)
        errors += _validate_restart_policy(container, at)
    return errors + _host_port_conflicts(containers, path)


def validate_init_containers(spec: Mapping[str, Any], facts: PodFacts, path: Path) -> ErrorList:
    errors: ErrorList = []
    seen = {c.get("name") or "" for c in spec.get("containers") or ()}
    for i, container in enumerate(spec.get("initContainers") or ()):
        at, name = path.index(i), container.get("name") or ""
        errors += _validate_common(container, facts, at)
        errors += _validate_restart_policy(container, at)
        if name in seen:
            errors.append(fields.duplicate(at.child("name"), name))
        elif name:
            seen.add(name)
        errors += _host_port_conflicts([container], path)
        if is_sidecar(container):
            errors += _validate_running(container, facts, at)
            continue
        for field in ("lifecycle", *PROBES):
            if container.get(field) is not None:
                detail = "may not be set for init containers without restartPolicy=Always"
                errors.append(fields.forbidden(at.child(field), detail))
    return errors


def validate_ephemeral_containers(spec: Mapping[str, Any], facts: PodFacts, path: Path) -> ErrorList:
    errors: ErrorList = []
    others = {c.get("name") or "" for f in ("containers", "initContainers") for c in spec.get(f) or ()}
    seen = set(others)
    for i, container in enumerate(spec.get("ephemeralContainers") or ()):
        at, name = path.index(i), container.get("name") or ""
        errors += _validate_common(container, facts, at) + validate_image_spaces(container, at)
        if name in seen:
            errors.append(fields.duplicate(at.child("name"), name))
        seen.add(name)
        target = container.get("targetContainerName")
        if target and target not in others:
            errors.append(fields.not_found(at.child("targetContainerName"), target))
        for field, shown in _NOT_FOR_EPHEMERAL:
            if container.get(field):
                errors.append(fields.forbidden(at.child(shown), "cannot be set for an Ephemeral Container"))
        for j, mount in enumerate(container.get("volumeMounts") or ()):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    where = at.child("volumeMounts").index(j).child(field)
                    errors.append(fields.forbidden(where, "cannot be set for an Ephemeral Container"))
    return errors


def validate_image_spaces(container: Container, path: Path) -> ErrorList:
    """For pods only, not for templates: no white space around the image."""
    image = container.get("image") or ""
    if image.strip() == image:
        return []
    return [fields.invalid(path.child("image"), image, "must not have leading or trailing whitespace")]


def _validate_common(container: Container, facts: PodFacts, path: Path) -> ErrorList:
    errors: ErrorList = []
    name = container.get("name") or ""
    errors += dns_label(name, path.child("name")) if name else [fields.required(path.child("name"))]
    if not container.get("image"):
        errors.append(fields.required(path.child("image")))
    policy = container.get("terminationMessagePolicy")
    errors += one_of(policy, path.child("terminationMessagePolicy"), ["File", "FallbackToLogsOnError"])
    errors += _validate_ports(container.get("ports") or (), path.child("ports"))
    errors += validate_env(container.get("env") or [], path.child("env"))
    errors += validate_env_from(container.get("envFrom") or [], path.child("envFrom"))
    errors += validate_mounts(container, facts.volumes, path.child("volumeMounts"))
    errors += validate_devices(container, facts.volumes, path.child("volumeDevices"))
    errors += one_of(container.get("imagePullPolicy"), path.child("imagePullPolicy"), PULL_POLICIES)
    errors += validate_requirements(container.get("resources") or {}, facts.claims, path.child("resources"))
    errors += _validate_resize_policy(container.get("resizePolicy") or (), facts, path.child("resizePolicy"))
    context = container.get("securityContext")
    return errors + validate_container_security(context, path.child("securityContext"), host_users=facts.host_users)


def _validate_running(container: Container, facts: PodFacts, path: Path) -> ErrorList:
    """What only containers have that go on running."""
    errors: ErrorList = []
    if container.get("lifecycle") is not None:
        errors += validate_lifecycle(container["lifecycle"], facts.grace, path.child("lifecycle"))
    return errors + validate_probes(container, facts.grace, path)


def _validate_restart_policy(container: Container, path: Path) -> ErrorList:
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    if policy is None:
        if not rules:
            return []
        return [fields.required(path.child("restartPolicy"), "must specify restartPolicy when restart rules are used")]
    errors: ErrorList = []
    if policy not in _RESTART_POLICIES:
        errors.append(fields.not_supported(path.child("restartPolicy"), policy, _RESTART_POLICIES))
    at = path.child("restartPolicyRules")
    if len(rules) > _RULE_LIMIT:
        errors.append(fields.too_many(at, len(rules), _RULE_LIMIT))
    for i, rule in enumerate(rules):
        errors += _validate_rule(rule, at.index(i))
    return errors


def _validate_rule(rule: Mapping[str, Any], path: Path) -> ErrorList:
    errors: ErrorList = []
    action, codes = rule.get("action") or "", rule.get("exitCodes")
    if action not in _RULE_ACTIONS:
        errors.append(fields.not_supported(path.child("action"), action, _RULE_ACTIONS))
    if codes is None:
        return [*errors, fields.required(path.child("exitCodes"), "must be specified")]
    at = path.child("exitCodes")
    operator = codes.get("operator") or ""
    if operator not in ("In", "NotIn"):
        errors.append(fields.not_supported(at.child("operator"), operator, frozenset({"In", "NotIn"})))
    count = len(codes.get("values") or ())
    if count > _RULE_VALUES_LIMIT:
        errors.append(fields.too_many(at.child("values"), count, _RULE_VALUES_LIMIT))
    return errors


def _validate_ports(ports: Iterable[Mapping[str, Any]], path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, port in enumerate(ports):
        at, name = path.index(i), port.get("name") or ""
        if name:
            messages = named(name, at.child("name"), names.is_port_name)
            if not messages and name in seen:
                messages = [fields.duplicate(at.child("name"), name)]
            errors += messages
            seen.add(name)
        if not port.get("containerPort"):
            errors.append(fields.required(at.child("containerPort")))
        else:
            errors += port_number(port["containerPort"], at.child("containerPort"))
        if port.get("hostPort"):
            errors += port_number(port["hostPort"], at.child("hostPort"))
        errors += one_of(port.get("protocol"), at.child("protocol"), PROTOCOLS)
    return errors


def _host_port_conflicts(containers: Iterable[Container], path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, container in enumerate(containers):
        for j, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if key in seen:
                errors.append(fields.duplicate(path.index(i).child("ports").index(j).child("hostPort"), key))
            seen.add(key)
    return errors


def _validate_resize_policy(policies: Iterable[Mapping[str, Any]], facts: PodFacts, path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, policy in enumerate(policies):
        name, restart = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if name in seen:
            errors.append(fields.duplicate(path.index(i), name))
        seen.add(name)
        errors += one_of(name, path, _RESIZABLE)
        errors += one_of(restart, path, _RESIZE_POLICIES)
        if facts.restart_policy == "Never" and restart != "NotRequired":
            detail = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            errors.append(fields.invalid(path, restart, detail))
    return errors
