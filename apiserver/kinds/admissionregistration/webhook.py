"""ValidatingWebhookConfiguration and MutatingWebhookConfiguration."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from apiserver.kinds.admissionregistration.matching import default_rules
from apiserver.kinds.admissionregistration.validation import (
    FAILURE_POLICIES,
    MATCH_POLICIES,
    REVIEW_VERSIONS,
    validate_client_config,
    validate_match_conditions,
    validate_rule,
    validate_selectors,
)
from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api.fields import ErrorList, Path, duplicate, invalid, not_supported, required
from kubeling.api.meta import Object, name_of
from kubeling.api.names import is_dns1035_label, is_dns1123_subdomain
from kubeling.api.resources import MUTATING_WEBHOOK_CONFIGURATIONS, VALIDATING_WEBHOOK_CONFIGURATIONS


class WebhookStrategy(Strategy):
    """Both kinds; ``reinvocation`` is the default reinvocation policy of the mutating one."""

    has_generation = True
    allow_unconditional_update = False

    def __init__(self, reinvocation: str = "") -> None:
        self._reinvocation = reinvocation

    def default(self, obj: Object) -> None:
        for hook in obj.get("webhooks") or ():
            hook.setdefault("failurePolicy", "Fail")
            hook.setdefault("matchPolicy", "Equivalent")
            hook.setdefault("namespaceSelector", {})
            hook.setdefault("objectSelector", {})
            hook.setdefault("timeoutSeconds", 10)
            if self._reinvocation:
                hook.setdefault("reinvocationPolicy", self._reinvocation)
            service = (hook.get("clientConfig") or {}).get("service")
            if service is not None:
                service.setdefault("port", 443)
            default_rules(hook.get("rules"))

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        errors: ErrorList = []
        seen: set[str] = set()
        for i, hook in enumerate(obj.get("webhooks") or ()):
            path = Path("webhooks").index(i)
            name = hook.get("name", "")
            errors += _hook(hook, path, mutating=bool(self._reinvocation))
            if name and name in seen:
                errors.append(duplicate(path.child("name"), name))
            seen.add(name)
        return errors

    def generation_changed(self, obj: Object, old: Object) -> bool:
        return obj.get("webhooks") != old.get("webhooks")


def _hook(hook: Object, path: Path, *, mutating: bool) -> ErrorList:
    errors = _name(hook.get("name", ""), path.child("name"))
    for i, rule in enumerate(hook.get("rules") or ()):
        errors += validate_rule(rule, path.child("rules").index(i))
    errors += _one_of(hook.get("failurePolicy"), path.child("failurePolicy"), FAILURE_POLICIES)
    errors += _one_of(hook.get("matchPolicy"), path.child("matchPolicy"), MATCH_POLICIES)
    side_effects = hook.get("sideEffects")
    if side_effects is None:
        errors.append(required(path.child("sideEffects"), "must specify one of None, NoneOnDryRun"))
    else:
        errors += _one_of(side_effects, path.child("sideEffects"), ("None", "NoneOnDryRun"))
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        why = "the timeout value must be between 1 and 30 seconds"
        errors.append(invalid(path.child("timeoutSeconds"), seconds, why))
    errors += validate_selectors(hook, path)
    if mutating:
        errors += _one_of(hook.get("reinvocationPolicy"), path.child("reinvocationPolicy"), ("IfNeeded", "Never"))
    errors += validate_client_config(hook.get("clientConfig") or {}, path.child("clientConfig"))
    errors += validate_match_conditions(hook.get("matchConditions"), path.child("matchConditions"))
    return errors + _review_versions(hook.get("admissionReviewVersions") or (), path.child("admissionReviewVersions"))


def _one_of(value: str | None, path: Path, supported: Sequence[str]) -> ErrorList:
    return [] if value is None or value in supported else [not_supported(path, value, supported)]


def _name(name: str, path: Path) -> ErrorList:
    """A domain name of at least three segments."""
    if not name:
        return [required(path)]
    errors = [invalid(path, name, m) for m in is_dns1123_subdomain(name)]
    if not errors and name.count(".") < 2:
        errors.append(invalid(path, name, "should be a domain with at least three segments separated by dots"))
    return errors


def _review_versions(versions: Sequence[str], path: Path) -> ErrorList:
    if not versions:
        return [required(path, f"must specify one of {', '.join(REVIEW_VERSIONS)}")]
    errors: ErrorList = []
    seen: set[str] = set()
    for i, version in enumerate(versions):
        if version in seen:
            errors.append(invalid(path.index(i), version, "duplicate version"))
            continue
        seen.add(version)
        errors += [invalid(path.index(i), version, m) for m in is_dns1035_label(version)]
    if not seen & set(REVIEW_VERSIONS):
        errors.append(invalid(path, list(versions), f"must include at least one of {', '.join(REVIEW_VERSIONS)}"))
    return errors


def _row(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), len(obj.get("webhooks") or ()), age_of(obj, now)]


_PRINTER = Printer(
    (
        NAME,
        column(
            "Webhooks", "Webhooks indicates the number of webhooks registered in this configuration", type="integer"
        ),
        AGE,
    ),
    _row,
)

VALIDATING_WEBHOOK = Kind(VALIDATING_WEBHOOK_CONFIGURATIONS, WebhookStrategy(), _PRINTER)
MUTATING_WEBHOOK = Kind(MUTATING_WEBHOOK_CONFIGURATIONS, WebhookStrategy("Never"), _PRINTER)
