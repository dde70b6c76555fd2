"""Warnings about pods and pod templates: legal, but hardly meant (pkg/api/pod/warnings.go)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.kinds.validation.ip import warnings_for_ip
from apiserver.kinds.validation.pod.overlaps import overlapping_paths
from apiserver.kinds.validation.pod.pod_resources import is_sidecar
from apiserver.kinds.validation.pod.security import (
    APPARMOR_CONTAINER,
    SECCOMP_CONTAINER,
    SECCOMP_POD,
    containers_with_paths,
)
from kubeling.api import fields, names, quantity
from kubeling.api.fields import Path

Fields = Mapping[str, Any]
NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_VOLUMES = {
    "photonPersistentDisk": ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    "gitRepo": ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    "scaleIO": ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    "flocker": ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    "storageos": ("storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    "quobyte": ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    "cephfs": ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    "rbd": ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
}
_BYTES = ("memory", "ephemeral-storage")
_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'


def pod_warnings(spec: Fields, meta: Fields, path: Path, *, template: bool) -> list[str]:
    """``path`` is that of the object that has ``metadata`` and ``spec``: empty for a pod."""
    at, annotations = path.child("spec"), meta.get("annotations") or {}
    about = path.child("metadata", "annotations")
    return [
        *_about_labels(spec, at),
        *_about_spread(spec, at),
        *(f"{about.key(key)}: {text}" for key, text in _ANNOTATIONS.items() if key in annotations),
        *_about_volumes(spec, at),
        *overlapping_paths(spec),
        *_about_duplicates(spec, at),
        *_about_bytes(spec.get("overhead") or {}, at.child("overhead")),
        *_about_seccomp(spec, annotations, about),
        *_about_containers(spec, annotations, at, about, template),
        *_about_ports(spec, at),
        *_about_port_names(spec, at),
        *_about_spec(spec, at),
        *_about_addresses(spec, at),
    ]


def node_label_warning(key: str) -> str:
    """Why a node label should not be used any more; empty when it may be."""
    return NODE_LABELS.get(key, "")


def node_selector_term_warnings(term: Fields, path: Path, *, check_values: bool = False) -> Iterator[str]:
    """``check_values``: where validation lets pass values that no label can have."""
    for i, expression in enumerate(term.get("matchExpressions") or ()):
        key, at = expression.get("key") or "", path.child("matchExpressions").index(i)
        if key in NODE_LABELS:
            yield f"{at.child('key')}: {key} is {NODE_LABELS[key]}"
        for j, value in enumerate(expression.get("values") or ()) if check_values else ():
            for message in names.is_label_value(value):
                yield f"{at.child('values').index(j)}: {value} is invalid, {message}"


def _about_labels(spec: Fields, path: Path) -> Iterator[str]:
    for key in sorted(spec.get("nodeSelector") or ()):
        if key in NODE_LABELS:
            yield f"{path.child('nodeSelector').key(key)}: {NODE_LABELS[key]}"
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    at = path.child("affinity", "nodeAffinity")
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    for i, term in enumerate((affinity.get(required) or {}).get("nodeSelectorTerms") or ()):
        yield from node_selector_term_warnings(term, at.child(required, "nodeSelectorTerms").index(i))
    for i, weighted in enumerate(affinity.get(preferred) or ()):
        term = weighted.get("preference") or {}
        yield from node_selector_term_warnings(
            term, at.child(preferred).index(i).child("preference"), check_values=True
        )


def _about_spread(spec: Fields, path: Path) -> Iterator[str]:
    for i, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        at, key = path.child("topologySpreadConstraints").index(i), constraint.get("topologyKey") or ""
        if key in NODE_LABELS:
            yield f"{at.child('topologyKey')}: {key} is {NODE_LABELS[key]}"
        if constraint.get("labelSelector") is None:
            yield f"{at.child('labelSelector')}: a null labelSelector results in matching no pod"


def _about_volumes(spec: Fields, path: Path) -> Iterator[str]:
    for i, volume in enumerate(spec.get("volumes") or ()):
        for field, (shown, text) in _VOLUMES.items():
            if volume.get(field) is not None:
                yield f"{path.child('volumes').index(i).child(shown)}: {text}"
        claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if claim is not None:
            at = path.child("volumes").index(i).child("ephemeral", "volumeClaimTemplate", "spec")
            yield from claim_spec_warnings(claim.get("spec") or {}, at)


def claim_spec_warnings(spec: Fields, path: Path) -> Iterator[str]:
    resources = spec.get("resources") or {}
    for field in ("requests", "limits"):
        asked = (resources.get(field) or {}).get("storage")
        if asked is not None and quantity.parse(asked).milli() % 1000:
            at = path.child("resources").child(field).key("storage")
            yield f"{at}: fractional byte value {fields.quoted(quantity.canonical(asked))} is invalid, must be an integer"


def _about_duplicates(spec: Fields, path: Path) -> Iterator[str]:
    for field, key in (("hostAliases", "ip"), ("imagePullSecrets", "name")):
        seen: set[str] = set()
        for i, item in enumerate(spec.get(field) or ()):
            value = item.get(key) or ""
            if value in seen:
                yield f"{path.child(field).index(i).child(key)}: duplicate {key} {fields.quoted(value)}"
            seen.add(value)
    for i, item in enumerate(spec.get("imagePullSecrets") or ()):
        if not item.get("name"):
            yield f'{path.child("imagePullSecrets").index(i).child("name")}: invalid empty name ""'


def _about_bytes(amounts: Fields, path: Path) -> Iterator[str]:
    for name in _BYTES:
        if name in amounts and quantity.parse(amounts[name]).milli() % 1000:
            value = fields.quoted(quantity.canonical(amounts[name]))
            yield f"{path.key(name)}: fractional byte value {value} is invalid, must be an integer"


def _about_seccomp(spec: Fields, annotations: Fields, about: Path) -> Iterator[str]:
    if SECCOMP_POD in annotations and (spec.get("securityContext") or {}).get("seccompProfile") is None:
        yield f"{about.key(SECCOMP_POD)}: {_SECCOMP}"


def _about_containers(spec: Fields, annotations: Fields, path: Path, about: Path, template: bool) -> Iterator[str]:
    pod_profile = (spec.get("securityContext") or {}).get("appArmorProfile")
    for container, at in containers_with_paths(spec, path):
        context, name = container.get("securityContext") or {}, container.get("name") or ""
        if SECCOMP_CONTAINER + name in annotations and context.get("seccompProfile") is None:
            yield f"{about.key(SECCOMP_CONTAINER + name)}: {_SECCOMP}"
        profile = pod_profile or context.get("appArmorProfile")
        if template and APPARMOR_CONTAINER + name in annotations and profile is None:
            text = 'deprecated since v1.30; use the "appArmorProfile" field instead'
            yield f"{about.key(APPARMOR_CONTAINER + name)}: {text}"
        resources = container.get("resources") or {}
        for amount in _BYTES:
            for field in ("limits", "requests"):
                given = resources.get(field) or {}
                yield from _about_bytes(
                    {amount: given[amount]} if amount in given else {}, at.child("resources", field)
                )
        yield from _about_env(container.get("env") or (), at.child("env"))


def _about_env(variables: Any, path: Path) -> Iterator[str]:
    seen: set[str] = set()
    for i, variable in enumerate(variables):
        name, value = variable.get("name") or "", variable.get("value") or ""
        reference = f"$({name})"
        hides = variable.get("valueFrom") is not None or value == reference or reference not in value
        if name in seen and hides:
            text = f"hides previous definition of {fields.quoted(name)}, which may be dropped when using apply"
            yield f"{path.index(i)}: {text}"
        seen.add(name)


def _about_ports(spec: Fields, path: Path) -> Iterator[str]:
    seen: dict[tuple[Any, Any], list[tuple[Path, str, int]]] = {}
    for container, at in containers_with_paths(spec, path):
        for i, port in enumerate(container.get("ports") or ()):
            where = at.child("ports").index(i)
            host_ip, host_port = port.get("hostIP") or "", port.get("hostPort") or 0
            if host_ip and not host_port:
                yield f"{where}: hostIP set without hostPort: {_go_port(port)}"
            others = seen.setdefault((port.get("containerPort"), port.get("protocol")), [])
            for other, other_ip, other_port in others:
                problem = _port_problem((host_ip, host_port), (other_ip, other_port))
                if problem:
                    yield f"{where}: {problem} port definition with {other}"
            others.append((where, host_ip, host_port))


def _port_problem(own: tuple[str, int], other: tuple[str, int]) -> str:
    """How two definitions of one container port collide; empty when they do not."""
    if own == other:
        return "duplicate"
    if not own[1] or not other[1]:
        return "overlapping"
    same_port = own[1] == other[1]
    return "dangerously ambiguous" if same_port and (not own[0] or not other[0]) else ""


def _about_port_names(spec: Fields, path: Path) -> Iterator[str]:
    """Services and probes take the first port of a name, in a container that goes on running."""
    seen: dict[str, Path] = {}
    for container, at in containers_with_paths(spec, path):
        if "initContainers" in str(at) and not is_sidecar(container):
            continue
        for i, port in enumerate(container.get("ports") or ()):
            name, where = port.get("name") or "", at.child("ports").index(i)
            if name in seen:
                first = seen[name]
                yield (
                    f"{where}: duplicate port name {fields.quoted(name)} with {first}, "
                    f"services and probes that select ports by name will use {first}"
                )
            elif name:
                seen[name] = where


def _about_addresses(spec: Fields, path: Path) -> Iterator[str]:
    for i, server in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        yield from warnings_for_ip(server, path.child("dnsConfig", "nameservers").index(i))
    for i, alias in enumerate(spec.get("hostAliases") or ()):
        yield from warnings_for_ip(alias.get("ip") or "", path.child("hostAliases").index(i).child("ip"))


def _go_port(port: Fields) -> str:
    """A port as Go's ``%+v`` prints the internal type."""
    return (
        f"{{Name:{port.get('name') or ''} HostPort:{port.get('hostPort') or 0} "
        f"ContainerPort:{port.get('containerPort') or 0} Protocol:{port.get('protocol') or ''} "
        f"HostIP:{port.get('hostIP') or ''}}}"
    )


def _about_spec(spec: Fields, path: Path) -> Iterator[str]:
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        yield f"{path.child('terminationGracePeriodSeconds')}: must be >= 0; negative values are invalid and will be treated as 1"
    affinity = spec.get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(field) or {}
        at = path.child("affinity", field)
        for kind, unwrap in (("required", False), ("preferred", True)):
            name = f"{kind}DuringSchedulingIgnoredDuringExecution"
            for i, term in enumerate(terms.get(name) or ()):
                where = at.child(name).index(i)
                inner = (term.get("podAffinityTerm") or {}) if unwrap else term
                where = where.child("podAffinityTerm") if unwrap else where
                if inner.get("labelSelector") is None:
                    yield f"{where.child('labelSelector')}: a null labelSelector results in matching no pod"
