"""Admission policies and bindings: what is refused, expressions apart."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.kinds.admissionregistration.policy_validation import (
    validate_binding,
    validate_mutating_policy,
    validate_validating_policy,
)

_RULE = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}
_MATCH = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": [_RULE]}
_SPEC: dict[str, Any] = {
    "failurePolicy": "Fail",
    "matchConstraints": _MATCH,
    "validations": [{"expression": "true"}],
}


def _policy(**changes: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {**_SPEC, **changes}}


def test_a_good_policy_passes() -> None:
    assert validate_validating_policy(_policy()) == []


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"matchConstraints": None}, "spec.matchConstraints: Required value"),
        (
            {"paramKind": {"apiVersion": "a/b/c", "kind": "X"}},
            'spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
        ),
        (
            {"variables": [{"name": "bad name", "expression": "1"}]},
            'spec.variables[0].name: Invalid value: "bad name": must be a valid CEL identifier',
        ),
        (
            {"matchConstraints": {**_MATCH, "matchPolicy": "Odd"}},
            'spec.matchConstraints.matchPolicy: Unsupported value: "Odd": supported values: "Equivalent", "Exact"',
        ),
        (
            {"validations": [{"expression": "true", "message": "a\nb"}]},
            'spec.validations[0].message: Invalid value: "a\\nb": message must not contain line breaks',
        ),
    ],
)
def test_validating_policies(changes: dict[str, Any], wanted: str) -> None:
    assert [str(e) for e in validate_validating_policy(_policy(**changes))] == [wanted]


def test_a_policy_that_does_nothing() -> None:
    found = [str(e) for e in validate_mutating_policy({"metadata": {}, "spec": {"failurePolicy": "Fail"}})]
    assert found == [
        "spec.matchConstraints: Required value",
        "spec.mutations: Required value: mutations must contain at least one item",
        "spec.reinvocationPolicy: Required value",
    ]


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"validationActions": ["Deny"]}, ["spec.policyName"]),
        ({"policyName": "p", "validationActions": ["Deny", "Warn"]}, ["spec.validationActions"]),
        ({"policyName": "p"}, ["spec.validationActions"]),
        (
            {"policyName": "p", "validationActions": ["Deny"], "paramRef": {"name": "n", "selector": {}}},
            ["spec.paramRef.name", "spec.paramRef.selector", "spec.paramRef.parameterNotFoundAction"],
        ),
    ],
)
def test_bindings(spec: dict[str, Any], fields: list[str]) -> None:
    assert [str(e).partition(":")[0] for e in validate_binding({"spec": spec}, acts=True)] == fields
