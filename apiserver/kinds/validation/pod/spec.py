"""Validation of a pod's spec, in a Pod and in templates (pkg/apis/core/validation: ValidatePodSpec, ValidatePodTemplateSpec)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.common import (
    MAX_INT32,
    dns_label,
    dns_subdomain,
    in_range,
    named,
    one_of,
    qualified_name,
)
from apiserver.kinds.validation.ip import validate_ip
from apiserver.kinds.validation.meta import validate_annotations, validate_labels
from apiserver.kinds.validation.pod.annotations import validate_pod_annotations
from apiserver.kinds.validation.pod.containers import (
    PodFacts,
    validate_containers,
    validate_ephemeral_containers,
    validate_init_containers,
)
from apiserver.kinds.validation.pod.env import validate_file_volumes
from apiserver.kinds.validation.pod.internal import as_internal
from apiserver.kinds.validation.pod.requirements import validate_pod_level, validate_requirements
from apiserver.kinds.validation.pod.scheduling import (
    validate_affinity,
    validate_scheduling_gates,
    validate_tolerations,
    validate_topology_spread,
)
from apiserver.kinds.validation.pod.security import validate_host_users, validate_pod_security
from apiserver.kinds.validation.pod.volumes import validate_volumes
from apiserver.kinds.validation.pod.windows import validate_host_process, validate_os
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path

Fields = Mapping[str, Any]
RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_MAX_NAMESERVERS, _MAX_SEARCHES, _MAX_SEARCH_CHARS = 3, 32, 2048
_HOSTNAME_LIMIT = 64
_SEARCH_LABEL = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"


def validate_pod_spec(spec: Fields, path: Path, *, pod_name: str = "", is_pod: bool = False) -> ErrorList:
    """Everything wrong with a spec, in upstream's order. ``is_pod``: it is a Pod's own, not a template's."""
    errors: ErrorList = []
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is None:
        errors.append(fields.required(path.child("terminationGracePeriodSeconds")))
    volumes = spec.get("volumes") or []
    usable, found = validate_volumes(volumes, path.child("volumes"), pod_name=pod_name, is_pod=is_pod)
    claims = {c["name"] for c in spec.get("resourceClaims") or () if c.get("name")}
    errors += found + _validate_resource_claims(spec.get("resourceClaims") or (), path.child("resourceClaims"))
    host_users = spec.get("hostUsers") is not False
    facts = PodFacts(usable, claims, grace, spec.get("restartPolicy") or "", host_users)
    errors += validate_containers(spec.get("containers") or [], facts, path.child("containers"))
    errors += validate_init_containers(spec, facts, path.child("initContainers"))
    errors += validate_ephemeral_containers(spec, facts, path.child("ephemeralContainers"))
    errors += validate_file_volumes(spec, path)
    errors += validate_pod_level(spec, claims, path.child("resources"))
    errors += _validate_host_ports(spec, path, is_pod)
    errors += one_of(spec.get("restartPolicy"), path.child("restartPolicy"), RESTART_POLICIES)
    errors += one_of(spec.get("dnsPolicy"), path.child("dnsPolicy"), _DNS_POLICIES)
    errors += validate_labels(spec.get("nodeSelector"), path.child("nodeSelector"))
    errors += validate_pod_security(spec, path.child("securityContext"))
    errors += validate_affinity(spec.get("affinity"), path.child("affinity"))
    errors += _validate_dns_config(spec, path.child("dnsConfig"))
    for i, gate in enumerate(spec.get("readinessGates") or ()):
        at = path.child("readinessGates").index(i).child("conditionType")
        errors += qualified_name(gate.get("conditionType") or "", at)
    errors += validate_scheduling_gates(spec.get("schedulingGates") or [], path.child("schedulingGates"))
    spread = spec.get("topologySpreadConstraints") or []
    errors += validate_topology_spread(spread, path.child("topologySpreadConstraints"))
    errors += validate_host_process(spec, path) + validate_host_users(spec, path)
    errors += _validate_names(spec, path)
    errors += _validate_tail(spec, claims, path)
    return errors + validate_os(spec, path)


def _validate_names(spec: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    for field in ("serviceAccountName", "nodeName"):
        if spec.get(field):
            errors += dns_subdomain(spec[field], path.child(field))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None:
        errors += in_range(deadline, path.child("activeDeadlineSeconds"), 1, MAX_INT32)
    for field in ("hostname", "subdomain"):
        if spec.get(field):
            errors += dns_label(spec[field], path.child(field))
    return errors


def _validate_tail(spec: Fields, claims: set[str], path: Path) -> ErrorList:
    errors = validate_tolerations(spec.get("tolerations") or [], path.child("tolerations"))
    errors += _validate_host_aliases(spec.get("hostAliases") or (), path.child("hostAliases"))
    for field in ("priorityClassName", "runtimeClassName"):
        if spec.get(field) or (field == "runtimeClassName" and spec.get(field) is not None):
            errors += dns_subdomain(spec[field], path.child(field))
    policy = spec.get("preemptionPolicy")
    if policy is not None:
        errors += one_of(policy, path.child("preemptionPolicy"), ["PreemptLowerPriority", "Never"])
    if spec.get("overhead") is not None:
        errors += validate_requirements({"limits": spec["overhead"]}, claims, path.child("overhead"))
    return errors + _validate_hostname_override(spec, path)


def _validate_hostname_override(spec: Fields, path: Path) -> ErrorList:
    override = spec.get("hostnameOverride")
    if override is None:
        return []
    at = path.child("hostnameOverride")
    errors = dns_subdomain(override, at)
    if len(override) > _HOSTNAME_LIMIT:
        errors.append(fields.too_long(at, _HOSTNAME_LIMIT))
    if spec.get("hostNetwork"):
        errors.append(fields.forbidden(at, "may not be specified when hostNetwork is true"))
    if spec.get("setHostnameAsFQDN"):
        errors.append(fields.forbidden(at, "may not be specified when setHostnameAsFQDN is true"))
    return errors


def _validate_resource_claims(claims: Any, path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, claim in enumerate(claims):
        at, name = path.index(i), claim.get("name") or ""
        direct, template = claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName")
        shown = as_internal("PodResourceClaim", claim)
        if not name:
            errors.append(fields.required(at.child("name")))
        elif name in seen:
            errors.append(fields.duplicate(at.child("name"), name))
        else:
            errors += dns_label(name, at.child("name"))
            seen.add(name)
        if direct is not None and template is not None:
            detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.append(fields.invalid(at, shown, detail))
        if direct is None and template is None:
            detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(fields.invalid(at, shown, detail))
        for field in ("resourceClaimName", "resourceClaimTemplateName"):
            if claim.get(field) is not None:
                errors += dns_subdomain(claim[field], at.child(field))
    return errors


def _validate_host_ports(spec: Fields, path: Path, is_pod: bool) -> ErrorList:
    if not spec.get("hostNetwork"):
        return []
    errors: ErrorList = []
    for i, container in enumerate(spec.get("containers") or ()):
        for j, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort") or 0
            if (is_pod or host) and host != (port.get("containerPort") or 0):
                at = path.child("containers").index(i).child("ports").index(j).child("hostPort")
                detail = "must match `containerPort` when `hostNetwork` is true"
                errors.append(fields.invalid(at, host, detail))
    return errors


def _validate_dns_config(spec: Fields, path: Path) -> ErrorList:
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [fields.required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [fields.required(path.child("nameservers"), detail)]
    if config is None:
        return []
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    errors: ErrorList = []
    at = path.child("nameservers")
    if len(servers) > _MAX_NAMESERVERS:
        errors.append(fields.invalid(at, servers, f"must not have more than {_MAX_NAMESERVERS} nameservers"))
    for i, server in enumerate(servers):
        errors += validate_ip(server, at.index(i))
    at = path.child("searches")
    if len(searches) > _MAX_SEARCHES:
        errors.append(fields.invalid(at, searches, f"must not have more than {_MAX_SEARCHES} search paths"))
    if len(" ".join(searches)) > _MAX_SEARCH_CHARS:
        detail = f"must not have more than {_MAX_SEARCH_CHARS} characters (including spaces) in the search list"
        errors.append(fields.invalid(at, searches, detail))
    for i, search in enumerate(searches):
        if search != ".":
            errors += named(search.removesuffix("."), at.index(i), names.is_dns1123_subdomain_with_underscore)
    for i, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.append(fields.required(path.child("options").index(i), "must not be empty"))
    return errors


def _validate_host_aliases(aliases: Any, path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, alias in enumerate(aliases):
        errors += validate_ip(alias.get("ip") or "", path.index(i).child("ip"))
        for j, hostname in enumerate(alias.get("hostnames") or ()):
            errors += dns_subdomain(hostname, path.index(i).child("hostnames").index(j))
    return errors


def validate_template_spec(template: Fields, path: Path) -> ErrorList:
    """A ``PodTemplateSpec``: labels, annotations and the spec."""
    meta, spec = template.get("metadata") or {}, template.get("spec") or {}
    errors = validate_labels(meta.get("labels"), path.child("labels"))
    errors += validate_annotations(meta.get("annotations"), path.child("annotations"))
    errors += validate_pod_annotations(meta.get("annotations") or {}, spec, path.child("annotations"))
    errors += validate_pod_spec(spec, path.child("spec"))
    if spec.get("ephemeralContainers"):
        detail = "ephemeral containers not allowed in pod template"
        errors.append(fields.forbidden(path.child("spec", "ephemeralContainers"), detail))
    return errors
