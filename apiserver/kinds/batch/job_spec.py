"""Validation of a Job's spec, in Jobs and in CronJobs (pkg/apis/batch/validation)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.batch.indexes import parse_indexes
from apiserver.kinds.validation.common import qualified_name
from apiserver.kinds.validation.meta import nonnegative
from apiserver.kinds.validation.pod.internal import Structs, as_internal, struct_fields
from apiserver.kinds.validation.pod.spec import validate_template_spec
from apiserver.kinds.validation.workloads import validate_counts
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, FieldError, Path

Fields = Mapping[str, Any]
INDEXED = "Indexed"
_MANAGED_BY_LIMIT = 63
_MAX_PARALLELISM = _MAX_FAILED_INDEXES = 100_000
_SOFT_COMPLETIONS = 100_000
_MAX_AT_MANY_COMPLETIONS = 10_000
_RULE_LIMIT, _CODES_LIMIT, _CONDITIONS_LIMIT, _SUCCESS_RULES_LIMIT = 20, 255, 20, 20
_INDEXES_TEXT_LIMIT = 64 * 1024
_ACTIONS = frozenset({"Count", "FailIndex", "FailJob", "Ignore"})
_EXIT_OPERATORS = frozenset({"In", "NotIn"})
_CONDITION_STATUS = frozenset({"False", "True", "Unknown"})
_REPLACEMENT = frozenset({"Failed", "TerminatingOrFailed"})
_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)


_POLICIES: Structs = {
    name: struct_fields(text)
    for name, text in {
        "podFailurePolicy": "Rules::[]FailureRule",
        "FailureRule": "Action::string OnExitCodes::*FailureCodes OnPodConditions::[]FailureCondition",
        "FailureCodes": "ContainerName::*string Operator::string Values::[]int",
        "FailureCondition": "Type::string Status::string",
        "successPolicy": "Rules::[]SuccessRule",
        "SuccessRule": "SucceededIndexes::*string SucceededCount::*int",
    }.items()
}


def shown_field(field: str, value: Any) -> Any:
    """The value of a field of the spec as it prints in errors."""
    return as_internal(f"*{field}", value, _POLICIES) if field in _POLICIES else value


def without_value(path: Path, detail: str) -> FieldError:
    """``Invalid value`` that does not print the value."""
    return FieldError("FieldValueInvalid", "Invalid value", str(path), None, detail)


def validate_job_spec(spec: Fields, path: Path) -> ErrorList:
    """Everything but the selector."""
    errors = validate_counts(spec, path, _COUNTS)
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        errors.append(fields.required(path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
    errors += _validate_managed_by(spec.get("managedBy"), path.child("managedBy"))
    errors += _validate_completion_mode(spec, path)
    if spec.get("podFailurePolicy") is not None:
        errors += _validate_failure_policy(spec, path.child("podFailurePolicy", "rules"))
    success = spec.get("successPolicy")
    if success is not None and spec.get("completionMode") == INDEXED:
        errors += _validate_success_policy(spec, success, path.child("successPolicy", "rules"))
    elif success is not None:
        shown = shown_field("successPolicy", success)
        errors.append(fields.invalid(path.child("successPolicy"), shown, "requires indexed completion mode"))
    errors += _validate_replacement(spec, path.child("podReplacementPolicy"))
    errors += validate_template_spec(spec.get("template") or {}, path.child("template"))
    return errors + _validate_restart_policy(spec, path.child("template", "spec", "restartPolicy"))


def _validate_managed_by(name: str | None, path: Path) -> ErrorList:
    if name is None:
        return []
    errors: ErrorList = []
    domain, slash, rest = name.partition("/")
    if not name:
        errors.append(fields.required(path))
    elif not slash or not domain or not rest:
        detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
        errors.append(fields.invalid(path, name, detail))
    else:
        errors += [fields.invalid(path, domain, m) for m in names.is_dns1123_subdomain(domain)]
    if len(name) > _MANAGED_BY_LIMIT:
        errors.append(fields.too_long(path, _MANAGED_BY_LIMIT))
    return errors


def _validate_completion_mode(spec: Fields, path: Path) -> ErrorList:
    mode = spec.get("completionMode")
    errors: ErrorList = []
    if mode is not None and mode not in ("NonIndexed", INDEXED):
        errors.append(fields.not_supported(path.child("completionMode"), mode, ["NonIndexed", INDEXED]))
    if mode == INDEXED:
        errors += _validate_indexed(spec, path)
    if mode in (None, "NonIndexed"):
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(field) is not None:
                errors.append(fields.invalid(path.child(field), spec[field], "requires indexed completion mode"))
    return errors


def _validate_indexed(spec: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    completions, parallelism = spec.get("completions"), spec.get("parallelism")
    failed, per_index = spec.get("maxFailedIndexes"), spec.get("backoffLimitPerIndex")
    at_parallelism, at_failed = path.child("parallelism"), path.child("maxFailedIndexes")
    if completions is None:
        errors.append(fields.required(path.child("completions"), "when completion mode is Indexed"))
    if (parallelism or 0) > _MAX_PARALLELISM:
        detail = f"must be less than or equal to {_MAX_PARALLELISM} when completion mode is Indexed"
        errors.append(fields.invalid(at_parallelism, parallelism, detail))
    if completions is not None and failed is not None and failed > completions:
        errors.append(fields.invalid(at_failed, failed, "must be less than or equal to completions"))
    if (failed or 0) > _MAX_FAILED_INDEXES:
        errors.append(fields.invalid(at_failed, failed, f"must be less than or equal to {_MAX_FAILED_INDEXES}"))
    if (completions or 0) <= _SOFT_COMPLETIONS or per_index is None:
        return errors
    if failed is None:
        errors.append(fields.required(at_failed, f"must be specified when completions is above {_SOFT_COMPLETIONS}"))
    limit = (
        f"must be less than or equal to {_MAX_AT_MANY_COMPLETIONS} when completions are above {_SOFT_COMPLETIONS} "
        "and used with backoff limit per index"
    )
    for at, value in ((at_parallelism, parallelism), (at_failed, failed)):
        if (value or 0) > _MAX_AT_MANY_COMPLETIONS:
            errors.append(fields.invalid(at, value, limit))
    return errors


def _validate_replacement(spec: Fields, path: Path) -> ErrorList:
    policy = spec.get("podReplacementPolicy")
    if policy is None:
        return []
    supported = frozenset({"Failed"}) if spec.get("podFailurePolicy") is not None else _REPLACEMENT
    return [] if policy in supported else [fields.not_supported(path, policy, supported)]


def _validate_restart_policy(spec: Fields, path: Path) -> ErrorList:
    policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy") or ""
    if policy in ("", "Always"):
        return [fields.required(path, 'valid values: "OnFailure", "Never"')]
    if policy not in ("OnFailure", "Never"):
        return [fields.not_supported(path, policy, ["OnFailure", "Never"])]
    if spec.get("podFailurePolicy") is not None and policy != "Never":
        return [fields.invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')]
    return []


def _listed(choices: frozenset[str]) -> str:
    return "valid values: [" + " ".join(fields.quoted(c) for c in sorted(choices)) + "]"


def _validate_failure_policy(spec: Fields, path: Path) -> ErrorList:
    rules = spec["podFailurePolicy"].get("rules") or ()
    pod = (spec.get("template") or {}).get("spec") or {}
    containers = {c.get("name") for f in ("containers", "initContainers") for c in pod.get(f) or ()}
    errors = [fields.too_many(path, len(rules), _RULE_LIMIT)] if len(rules) > _RULE_LIMIT else []
    for i, rule in enumerate(rules):
        errors += _validate_failure_rule(spec, rule, containers, path.index(i))
    return errors


def _validate_failure_rule(spec: Fields, rule: Fields, containers: set[Any], path: Path) -> ErrorList:
    errors: ErrorList = []
    action, at = rule.get("action") or "", path.child("action")
    if not action:
        errors.append(fields.required(at, _listed(_ACTIONS)))
    elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        errors.append(fields.invalid(at, action, "requires the backoffLimitPerIndex to be set"))
    elif action not in _ACTIONS:
        errors.append(fields.not_supported(at, action, _ACTIONS))
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
    if codes is not None:
        errors += _validate_exit_codes(codes, containers, path.child("onExitCodes"))
    if conditions:
        errors += _validate_conditions(conditions, path.child("onPodConditions"))
    if codes is not None and conditions:
        errors.append(without_value(path, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if codes is None and not conditions:
        errors.append(without_value(path, "specifying one of OnExitCodes and OnPodConditions is required"))
    return errors


def _validate_conditions(conditions: Any, path: Path) -> ErrorList:
    errors: ErrorList = []
    if len(conditions) > _CONDITIONS_LIMIT:
        errors.append(fields.too_many(path, len(conditions), _CONDITIONS_LIMIT))
    for i, pattern in enumerate(conditions):
        errors += qualified_name(pattern.get("type") or "", path.index(i).child("type"))
        status, at = pattern.get("status") or "", path.index(i).child("status")
        if not status:
            errors.append(fields.required(at, _listed(_CONDITION_STATUS)))
        elif status not in _CONDITION_STATUS:
            errors.append(fields.not_supported(at, status, _CONDITION_STATUS))
    return errors


def _validate_exit_codes(codes: Fields, containers: set[Any], path: Path) -> ErrorList:
    errors: ErrorList = []
    operator, container, values = codes.get("operator") or "", codes.get("containerName"), codes.get("values") or []
    if not operator:
        errors.append(fields.required(path.child("operator"), _listed(_EXIT_OPERATORS)))
    elif operator not in _EXIT_OPERATORS:
        errors.append(fields.not_supported(path.child("operator"), operator, _EXIT_OPERATORS))
    if container is not None and container not in containers:
        detail = "must be one of the container or initContainer names in the pod template"
        errors.append(fields.invalid(path.child("containerName"), container, detail))
    at = path.child("values")
    if not values:
        errors.append(fields.invalid(at, codes.get("values"), "at least one value is required"))
    elif len(values) > _CODES_LIMIT:
        errors.append(fields.too_many(at, len(values), _CODES_LIMIT))
    for i, value in enumerate(values):
        if operator == "In" and value == 0:
            errors.append(fields.invalid(at.index(i), value, "must not be 0 for the In operator"))
        if value in values[:i]:
            errors.append(fields.duplicate(at.index(i), value))
    if values != sorted(values):
        errors.append(fields.invalid(at, values, "must be ordered"))
    return errors


def _validate_success_policy(spec: Fields, policy: Fields, path: Path) -> ErrorList:
    rules = policy.get("rules") or ()
    errors: ErrorList = []
    if not rules:
        detail = "at least one rules must be specified when the successPolicy is specified"
        errors.append(fields.required(path, detail))
    if len(rules) > _SUCCESS_RULES_LIMIT:
        errors.append(fields.too_many(path, len(rules), _SUCCESS_RULES_LIMIT))
    for i, rule in enumerate(rules):
        errors += _validate_success_rule(rule, spec.get("completions") or 0, path.index(i))
    return errors


def _validate_success_rule(rule: Fields, completions: int, path: Path) -> ErrorList:
    errors: ErrorList = []
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and indexes is None:
        detail = "at least one of succeededCount or succeededIndexes must be specified"
        errors.append(fields.required(path, detail))
    total = 0
    if indexes is not None:
        at = path.child("succeededIndexes")
        if len(indexes) > _INDEXES_TEXT_LIMIT:
            errors.append(fields.too_long(at, _INDEXES_TEXT_LIMIT))
        try:
            total = sum(last - first + 1 for first, last in parse_indexes(indexes, completions))
        except ValueError as error:
            errors.append(fields.invalid(at, indexes, f"error parsing succeededIndexes: {error}"))
    if count is not None:
        at = path.child("succeededCount")
        errors += nonnegative(count, at)
        if count > completions:
            detail = f"must be less than or equal to {completions} (the number of specified completions)"
            errors.append(fields.invalid(at, count, detail))
        if indexes is not None and count > total:
            detail = (
                f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            )
            errors.append(fields.invalid(at, count, detail))
    return errors
