"""Validation shared by webhooks and admission policies: rules, match conditions, selectors.

Source: pkg/apis/admissionregistration/validation upstream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from apiserver.kinds.admissionregistration.expressions import check_conditions
from apiserver.kinds.validation.selectors import validate_label_selector
from kubeling.api import names
from kubeling.api.fields import ErrorList, Path, duplicate, invalid, not_supported, required, too_many

Fields = Mapping[str, Any]

OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
SCOPES = ("*", "Cluster", "Namespaced")
FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
REVIEW_VERSIONS = ("v1", "v1beta1")
MAX_MATCH_CONDITIONS = 64


def validate_rule(rule: Fields, path: Path, *, subresources: bool = True) -> ErrorList:
    """A rule with its operations, as both kinds of configuration have them."""
    errors: ErrorList = []
    operations = rule.get("operations") or ()
    if not operations:
        errors.append(required(path.child("operations")))
    if len(operations) > 1 and "*" in operations:
        why = "if '*' is present, must not specify other operations"
        errors.append(invalid(path.child("operations"), list(operations), why))
    for i, operation in enumerate(operations):
        if operation not in OPERATIONS:
            errors.append(not_supported(path.child("operations").index(i), operation, OPERATIONS))
    for field, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        errors += _wildcard_alone(rule.get(field) or (), path.child(field), what)
    errors += _resources(rule.get("resources") or (), path.child("resources"), subresources)
    scope = rule.get("scope")
    if scope is not None and scope not in SCOPES:
        errors.append(not_supported(path.child("scope"), scope, SCOPES))
    return errors


def _wildcard_alone(values: Sequence[str], path: Path, what: str) -> ErrorList:
    if not values:
        return [required(path)]
    errors: ErrorList = []
    if len(values) > 1 and "*" in values:
        errors.append(invalid(path, list(values), f"if '*' is present, must not specify other {what}"))
    if what == "API versions":
        errors += [required(path.index(i)) for i, v in enumerate(values) if not v]
    return errors


def _resources(resources: Sequence[str], path: Path, subresources: bool) -> ErrorList:
    if not resources:
        return [required(path)]
    errors: ErrorList = []
    covered_parents = {r.partition("/")[0] for r in resources if r.endswith("/*")}
    covered_subs = {r.partition("/")[2] for r in resources if r.startswith("*/")}
    for i, resource in enumerate(resources):
        parent, slash, sub = resource.partition("/")
        if not resource:
            errors.append(required(path.index(i)))
        if not slash:
            continue
        if not subresources:
            errors.append(invalid(path.index(i), resource, "must not specify subresources"))
            continue
        if sub != "*" and parent in covered_parents:
            why = f"if '{parent}/*' is present, must not specify {resource}"
            errors.append(invalid(path.index(i), resource, why))
        elif parent != "*" and sub in covered_subs:
            why = f"if '*/{sub}' is present, must not specify {resource}"
            errors.append(invalid(path.index(i), resource, why))
    if "*/*" in resources and len(resources) > 1:
        why = "if '*/*' is present, must not specify other resources"
        errors.append(invalid(path, list(resources), why))
    if "*" in resources and any("/" not in r and r != "*" for r in resources):
        why = "if '*' is present, must not specify other resources without subresources"
        errors.append(invalid(path, list(resources), why))
    return errors


def validate_match_conditions(conditions: Sequence[Fields] | None, path: Path, *, params: bool = False) -> ErrorList:
    """``params``: the expressions may ask for the policy's parameters."""
    errors: ErrorList = []
    conditions = conditions or ()
    if len(conditions) > MAX_MATCH_CONDITIONS:
        errors.append(too_many(path, len(conditions), MAX_MATCH_CONDITIONS))
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        errors += match_condition(condition, path.index(i))
        name = condition.get("name", "")
        if name and name in seen:
            errors.append(duplicate(path.index(i).child("name"), name))
        seen.add(name)
    return errors + check_conditions(conditions, path, params=params)


def match_condition(condition: Fields, path: Path) -> ErrorList:
    errors = expression(condition.get("expression", ""), path.child("expression"))
    name = condition.get("name", "")
    if not name:
        return [*errors, required(path.child("name"))]
    return errors + [invalid(path.child("name"), name, m) for m in names.is_qualified_name(name)]


def expression(text: str, path: Path) -> ErrorList:
    """A CEL expression must be there."""
    return [] if text.strip() else [required(path)]


def validate_selectors(holder: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    for field in ("namespaceSelector", "objectSelector"):
        if holder.get(field) is not None:
            errors += validate_label_selector(holder[field], path.child(field))
    return errors


def validate_client_config(config: Fields, path: Path) -> ErrorList:
    """Exactly one of a URL (https, bare) and a Service."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    return _url(url, path.child("url")) if url is not None else _service(service or {}, path.child("service"))


_URL_FORM = "; desired format: https://host[/path]"


def _url(url: str, path: Path) -> ErrorList:
    try:
        parts = urlsplit(url)
    except ValueError as err:
        return [required(path, f"url must be a valid URL: {err}{_URL_FORM}")]
    errors: ErrorList = []
    if parts.scheme != "https":
        errors.append(invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_URL_FORM}"))
    user, at, host = parts.netloc.rpartition("@")
    if not host:
        errors.append(invalid(path, parts.netloc, f"host must be specified{_URL_FORM}"))
    if at:
        errors.append(invalid(path, user, "user information is not permitted in the URL"))
    if parts.fragment:
        errors.append(invalid(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        errors.append(invalid(path, parts.query, "query parameters are not permitted in the URL"))
    return errors


def _service(service: Fields, path: Path) -> ErrorList:
    errors = [required(path.child(f)) for f in ("name", "namespace") if not service.get(f)]
    port = service.get("port", 443)
    errors += [invalid(path.child("port"), port, "port is not valid: " + m) for m in names.is_port_number(port)]
    url_path = service.get("path")
    if url_path is None or url_path in ("", "/"):
        return errors
    where = path.child("path")
    if not url_path.startswith("/"):
        errors.append(invalid(where, url_path, "must start with a '/'"))
    segments = url_path[1:].split("/")
    if url_path.endswith("/"):
        segments.pop()
    for i, segment in enumerate(segments):
        if not segment:
            errors.append(invalid(where, url_path, f"segment[{i}] may not be empty"))
            continue
        errors += [invalid(where, url_path, f"segment[{i}]: {m}") for m in names.is_dns1123_subdomain(segment)]
    return errors
