"""Validation of Ingresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.core.service_update import validate_ingress_hostname
from apiserver.kinds.validation.common import dns_label, dns_subdomain, port_number
from apiserver.kinds.validation.ip import parse_ip, validate_ip
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, annotations_of

Part = Mapping[str, Any]
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
SPEC = Path("spec")
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_SEQUENCES, _BAD_SUFFIXES = ("//", "/./", "/../", "%2f", "%2F"), ("/..", "/.")
_WILDCARD_RULE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
)
_WILDCARD = r"\*\." + names.DNS1123_SUBDOMAIN


def validate_ingress(obj: Object) -> ErrorList:
    errors = _validate_spec(obj["spec"], invalid_secrets=False, invalid_wildcards=False)
    annotation, name = annotations_of(obj).get(CLASS_ANNOTATION), obj["spec"].get("ingressClassName")
    if annotation is not None and name is not None and annotation != name:
        at = Path("annotations").child(CLASS_ANNOTATION)
        errors.append(fields.invalid(at, annotation, "must match `ingressClassName` when both are specified"))
    return errors


def validate_ingress_update(obj: Object, old: Object) -> ErrorList:
    """What the old object already had wrong about secret names and wildcard rules is tolerated."""
    before = old.get("spec") or {}
    secrets = any(names.is_dns1123_subdomain(t["secretName"]) for t in before.get("tls") or () if t.get("secretName"))
    rules = [r for r in before.get("rules") or () if "*" in (r.get("host") or "")]
    wildcards = any(_validate_http(r.get("http"), SPEC) for r in rules)
    return _validate_spec(obj["spec"], invalid_secrets=secrets, invalid_wildcards=wildcards)


def validate_ingress_status(obj: Object) -> ErrorList:
    errors: ErrorList = []
    for i, point in enumerate(obj["status"]["loadBalancer"].get("ingress") or ()):
        at = Path("status", "loadBalancer").child("ingress").index(i)
        if point.get("ip"):
            errors += validate_ip(point["ip"], at.child("ip"))
        errors += validate_ingress_hostname(point.get("hostname") or "", at.child("hostname"))
    return errors


def _validate_spec(spec: Part, *, invalid_secrets: bool, invalid_wildcards: bool) -> ErrorList:
    errors: ErrorList = []
    rules, backend = spec.get("rules") or [], spec.get("defaultBackend")
    if not rules and backend is None:
        detail = "either `defaultBackend` or `rules` must be specified"
        errors.append(fields.invalid(SPEC, spec.get("rules"), detail))
    if backend is not None:
        errors += _validate_backend(backend, SPEC.child("defaultBackend"))
    for i, rule in enumerate(rules):
        errors += _validate_rule(rule, SPEC.child("rules").index(i), invalid_wildcards)
    for i, tls in enumerate(spec.get("tls") or ()):
        at = SPEC.child("tls").index(i)
        for j, host in enumerate(tls.get("hosts") or ()):
            errors += _validate_host(host, at.child("hosts").index(j))
        if tls.get("secretName") and not invalid_secrets:
            errors += dns_subdomain(tls["secretName"], at.child("secretName"))
    name = spec.get("ingressClassName")
    return errors if name is None else errors + dns_subdomain(name, SPEC.child("ingressClassName"))


def is_wildcard_subdomain(value: str) -> list[str]:
    """``*.`` and a DNS subdomain."""
    errors = [names.max_length_error(253)] if len(value) > 253 else []
    if not value.startswith("*.") or [m for m in names.is_dns1123_subdomain(value[2:]) if "characters" not in m[:40]]:
        errors.append(names.regex_error(_WILDCARD_RULE, _WILDCARD, "*.example.com"))
    return errors


def _validate_host(host: str, path: Path) -> ErrorList:
    check = is_wildcard_subdomain if "*" in host else names.is_dns1123_subdomain
    return [fields.invalid(path, host, m) for m in check(host)]


def _validate_rule(rule: Part, path: Path, invalid_wildcards: bool) -> ErrorList:
    errors: ErrorList = []
    host = rule.get("host") or ""
    if host:
        if parse_ip(host) is not None:
            errors.append(fields.invalid(path.child("host"), host, "must be a DNS name, not an IP address"))
        errors += _validate_host(host, path.child("host"))
    if "*" in host and invalid_wildcards:
        return errors
    return errors + _validate_http(rule.get("http"), path)


def _validate_http(http: Part | None, path: Path) -> ErrorList:
    if http is None:
        return []
    at = path.child("http", "paths")
    paths = http.get("paths") or ()
    if not paths:
        return [fields.required(at)]
    return [e for i, p in enumerate(paths) for e in _validate_path(p, at.index(i))]


def _validate_path(rule: Part, path: Path) -> ErrorList:
    kind, text, at = rule.get("pathType"), rule.get("path") or "", path.child("path")
    if kind is None:
        return [fields.required(path.child("pathType"), "pathType must be specified")]
    errors: ErrorList = []
    exact = kind in ("Exact", "Prefix")
    if kind not in _PATH_TYPES:
        errors.append(fields.not_supported(path.child("pathType"), kind, _PATH_TYPES))
    elif (text or exact) and not text.startswith("/"):
        errors.append(fields.invalid(at, text, "must be an absolute path"))
    if exact:
        errors += [fields.invalid(at, text, f"must not contain '{s}'") for s in _BAD_SEQUENCES if s in text]
        errors += [fields.invalid(at, text, f"cannot end with '{s}'") for s in _BAD_SUFFIXES if text.endswith(s)]
    return errors + _validate_backend(rule.get("backend") or {}, path.child("backend"))


def _validate_backend(backend: Part, path: Path) -> ErrorList:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        return [fields.invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return validate_typed_reference(resource, path.child("resource"))
    if service is None:
        return [fields.invalid(path, "", "resource or service backend is required")]
    name, at_name = service.get("name") or "", path.child("service", "name")
    errors = dns_label(name, at_name) if name else [fields.required(at_name)]
    port = service.get("port") or {}
    at_port = path.child("service", "port")
    if port.get("name") and port.get("number"):
        errors.append(fields.invalid(path, "", "cannot set both port name & port number"))
    elif port.get("name"):
        at = at_port.child("name")
        errors += [fields.invalid(at, port["name"], m) for m in names.is_port_name(port["name"])]
    elif port.get("number"):
        errors += port_number(port["number"], at_port.child("number"))
    else:
        errors.append(fields.required(path, "port name or number is required"))
    return errors


def validate_typed_reference(reference: Part, path: Path) -> ErrorList:
    """``apiGroup``, ``kind`` and ``name`` of a reference."""
    group = reference.get("apiGroup")
    errors = [] if group is None else dns_subdomain(group, path.child("apiGroup"))
    for field in ("kind", "name"):
        value, at = reference.get(field) or "", path.child(field)
        if not value:
            errors.append(fields.required(at))
        errors += [fields.invalid(at, value, m) for m in names.is_path_segment_name(value)]
    return errors
