"""Validation of admission policies and their bindings.

Source: pkg/apis/admissionregistration/validation upstream.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from apiserver.kinds.admissionregistration.expressions import check_mutating_policy, check_validating_policy
from apiserver.kinds.admissionregistration.validation import (
    FAILURE_POLICIES,
    MATCH_POLICIES,
    Fields,
    validate_match_conditions,
    validate_rule,
)
from apiserver.kinds.validation.selectors import validate_label_selector
from kubeling.api import names
from kubeling.api.fields import ErrorList, Path, duplicate, forbidden, invalid, not_supported, required

ACTIONS = ("Audit", "Deny", "Warn")
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
REINVOCATION_POLICIES = ("IfNeeded", "Never")
MAX_AUDIT_ANNOTATIONS = 20
MAX_AUDIT_EXPRESSION = 5 * 1024
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED = frozenset(
    {
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    }
)
_NOTHING_TO_DO = "validations or auditAnnotations must contain at least one item"


def validate_validating_policy(obj: Fields) -> ErrorList:
    spec, path = obj.get("spec") or {}, Path("spec")
    errors = _common(spec, path)
    validations, annotations = spec.get("validations") or (), spec.get("auditAnnotations") or ()
    if not validations and not annotations:
        return [*errors, *(required(path.child(f), _NOTHING_TO_DO) for f in ("validations", "auditAnnotations"))]
    for i, validation in enumerate(validations):
        errors += _validation(validation, path.child("validations").index(i))
    name = obj.get("metadata", {}).get("name", "")
    errors += _audit_annotations(annotations, name, path.child("auditAnnotations"))
    return errors + check_validating_policy(spec)


def validate_mutating_policy(obj: Fields) -> ErrorList:
    spec, path = obj.get("spec") or {}, Path("spec")
    errors = _common(spec, path)
    mutations = spec.get("mutations") or ()
    if not mutations:
        errors.append(required(path.child("mutations"), "mutations must contain at least one item"))
    for i, mutation in enumerate(mutations):
        errors += _mutation(mutation, path.child("mutations").index(i))
    errors += check_mutating_policy(spec)
    return errors + _one_of(spec.get("reinvocationPolicy"), REINVOCATION_POLICIES, path.child("reinvocationPolicy"))


def validate_binding(obj: Fields, *, acts: bool) -> ErrorList:
    """A binding; ``acts``: it is one of a validating policy and says what follows from a failure."""
    spec, path = obj.get("spec") or {}, Path("spec")
    policy = spec.get("policyName") or ""
    if policy:
        errors: ErrorList = [invalid(path.child("policyName"), policy, m) for m in names.is_dns1123_subdomain(policy)]
    else:
        errors = [required(path.child("policyName"))]
    if spec.get("paramRef") is not None:
        errors += _param_ref(spec["paramRef"], path.child("paramRef"))
    if spec.get("matchResources") is not None:
        # the misspelling of upstream's path is what its users see
        errors += _match_resources(spec["matchResources"], path.child("matchResouces"))
    if acts:
        errors += _actions(spec.get("validationActions") or (), path.child("validationActions"))
    return errors


def _common(spec: Fields, path: Path) -> ErrorList:
    errors = _one_of(spec.get("failurePolicy"), FAILURE_POLICIES, path.child("failurePolicy"))
    if spec.get("paramKind") is not None:
        errors += _param_kind(spec["paramKind"], path.child("paramKind"))
    constraints = spec.get("matchConstraints")
    where = path.child("matchConstraints")
    if constraints is None:
        errors.append(required(where))
    else:
        errors += _match_resources(constraints, where)
        if not constraints.get("resourceRules"):
            errors.append(required(where.child("resourceRules")))
    params = spec.get("paramKind") is not None
    errors += validate_match_conditions(spec.get("matchConditions"), path.child("matchConditions"), params=params)
    for i, variable in enumerate(spec.get("variables") or ()):
        errors += _variable(variable, path.child("variables").index(i))
    return errors


def _one_of(value: str | None, supported: Sequence[str], path: Path) -> ErrorList:
    if not value:
        return [required(path)] if value is None else [not_supported(path, value, supported)]
    return [] if value in supported else [not_supported(path, value, supported)]


def _param_kind(kind: Fields, path: Path) -> ErrorList:
    errors = _group_version(kind.get("apiVersion") or "", path.child("apiVersion"))
    name = kind.get("kind") or ""
    if not name:
        return [*errors, required(path.child("kind"))]
    wrong = names.is_dns1035_label(name.lower())
    if wrong:
        why = "may have mixed case, but should otherwise match: " + ",".join(wrong)
        errors.append(invalid(path.child("kind"), name, why))
    return errors


def _group_version(text: str, path: Path) -> ErrorList:
    if not text:
        return [required(path)]
    if text.count("/") > 1:
        return [invalid(path, text, f"unexpected GroupVersion string: {text}")]
    group, _, version = text.rpartition("/")
    errors: ErrorList = []
    if group and (wrong := names.is_dns1123_subdomain(group)):
        errors.append(invalid(path, group, ",".join(wrong)))
    if not version:
        errors.append(invalid(path, text, "version must be specified"))
    elif wrong := names.is_dns1035_label(version):
        errors.append(invalid(path, version, ",".join(wrong)))
    return errors


def _match_resources(match: Fields, path: Path) -> ErrorList:
    errors = _one_of(match.get("matchPolicy"), MATCH_POLICIES, path.child("matchPolicy"))
    for field in ("namespaceSelector", "objectSelector"):
        if match.get(field) is None:
            errors.append(required(path.child(field)))
        else:
            errors += validate_label_selector(match[field], path.child(field))
    for field in ("resourceRules", "excludeResourceRules"):
        for i, rule in enumerate(match.get(field) or ()):
            errors += _named_rule(rule, path.child(field).index(i))
    return errors


def _named_rule(rule: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, name in enumerate(rule.get("resourceNames") or ()):
        where = path.child("resourceNames").index(i)
        errors += [invalid(where, name, m) for m in names.is_path_segment_name(name)]
        if name in seen:
            errors.append(duplicate(where, name))
        seen.add(name)
    return errors + validate_rule(rule, path)


def _expression(holder: Fields, field: str, path: Path) -> ErrorList:
    if (holder.get(field) or "").strip():
        return []
    return [required(path.child(field), f"{field} is not specified")]


def _variable(variable: Fields, path: Path) -> ErrorList:
    name = variable.get("name") or ""
    errors: ErrorList = []
    if not name.strip():
        errors.append(required(path.child("name"), "name is not specified"))
    elif not _IDENTIFIER.fullmatch(name) or name in _RESERVED:
        errors.append(invalid(path.child("name"), name, "must be a valid CEL identifier"))
    return errors + _expression(variable, "expression", path)


def _validation(validation: Fields, path: Path) -> ErrorList:
    errors = _expression(validation, "expression", path)
    shown, message = validation.get("messageExpression") or "", validation.get("message") or ""
    if shown and not shown.strip():
        errors.append(invalid(path.child("messageExpression"), shown, "must be non-empty if specified"))
    if message and not message.strip():
        errors.append(invalid(path.child("message"), message, "message must be non-empty if specified"))
    elif re.search(r"[\n\r]", message.strip()):
        errors.append(invalid(path.child("message"), message, "message must not contain line breaks"))
    reason = validation.get("reason")
    if reason is not None and reason not in REASONS:
        errors.append(not_supported(path.child("reason"), reason, REASONS))
    return errors


def _audit_annotations(annotations: Sequence[Fields], policy: str, path: Path) -> ErrorList:
    errors: ErrorList = []
    if len(annotations) > MAX_AUDIT_ANNOTATIONS:
        shown = [{"Key": a.get("key", ""), "ValueExpression": a.get("valueExpression", "")} for a in annotations]
        errors.append(invalid(path, shown, f"must not have more than {MAX_AUDIT_ANNOTATIONS} auditAnnotations"))
    seen: set[str] = set()
    for i, annotation in enumerate(annotations):
        where, key = path.index(i), annotation.get("key") or ""
        if policy:
            whole = f"{policy}/{key}"
            errors += [invalid(where.child("key"), whole, m) for m in names.is_qualified_name(whole)]
        else:
            errors.append(invalid(where.child("key"), key, "requires metadata.name be non-empty"))
        errors += _expression(annotation, "valueExpression", where)
        if len((annotation.get("valueExpression") or "").strip().encode()) > MAX_AUDIT_EXPRESSION:
            why = f"must not exceed {MAX_AUDIT_EXPRESSION} bytes in length"
            errors.append(required(where.child("valueExpression"), why))
        if key in seen:
            errors.append(duplicate(where.child("key"), key))
        seen.add(key)
    return errors


def _param_ref(reference: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    name, selector = reference.get("name") or "", reference.get("selector")
    both = "name and selector are mutually exclusive"
    if name:
        errors += [invalid(path.child("name"), name, m) for m in names.is_path_segment_name(name)]
        if selector is not None:
            errors.append(forbidden(path.child("name"), both))
    if selector is not None:
        errors += validate_label_selector(selector, path.child("selector"))
        if name:
            errors.append(forbidden(path.child("selector"), both))
    if not name and selector is None:
        errors.append(required(path, "one of name or selector must be specified"))
    where = path.child("parameterNotFoundAction")
    return errors + _one_of(reference.get("parameterNotFoundAction") or None, ("Deny", "Allow"), where)


def _actions(actions: Iterable[str], path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: list[str] = []
    for i, action in enumerate(actions):
        if action not in ACTIONS:
            errors.append(not_supported(path.index(i), action, ACTIONS))
        if action in seen:
            errors.append(duplicate(path.index(i), action))
        seen.append(action)
    if {"Deny", "Warn"} <= set(seen):
        why = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)"
        )
        errors.append(invalid(path, seen, why))
    return errors if seen else [*errors, required(path, "at least one validation action is required")]


_PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def _mutation(mutation: Fields, path: Path) -> ErrorList:
    kind = mutation.get("patchType") or ""
    if not kind:
        return [required(path.child("patchType"))]
    if kind not in _PATCHES:
        return [not_supported(path.child("patchType"), kind, sorted(_PATCHES))]
    field = _PATCHES[kind]
    errors: ErrorList = []
    if mutation.get(field) is None:
        errors.append(required(path.child(field), f"must be specified when patchType is {kind}"))
    elif not (mutation[field].get("expression") or "").strip():
        errors.append(required(path.child(field).child("expression")))
    for other in _PATCHES.values():
        if other != field and mutation.get(other) is not None:
            why = f"must not be specified when patchType is {kind}"
            errors.append(invalid(path.child(other), f"{{{other}}}", why))
    return errors
