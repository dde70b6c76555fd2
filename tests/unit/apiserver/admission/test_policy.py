"""Policies: what their expressions say of a request, as values."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.admission.policy.program import CompiledPolicy
from apiserver.kinds.admissionregistration.policy_validation import validate_mutating_policy, validate_validating_policy

VALUES = {
    "object": {"metadata": {"name": "web"}, "data": {"a": "1", "B1": "2"}},
    "oldObject": None,
    "request": {"operation": "CREATE", "userInfo": {"username": "admin"}, "dryRun": False},
    "namespaceObject": None,
    "params": {"data": {"max": "2"}},
}
RULES = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
MATCH = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": [RULES]}


def _says(spec: dict[str, Any]) -> list[str]:
    return [d.message for d in CompiledPolicy(spec).judge(dict(VALUES)).denials]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"validations": [{"expression": "object.metadata.name == 'web'"}]}, []),
        ({"validations": [{"expression": " false "}]}, ["failed expression: false"]),
        ({"validations": [{"expression": "false", "message": "no"}]}, ["no"]),
        ({"validations": [{"expression": "false", "message": "no", "messageExpression": "'n' + 'o' + '!'"}]}, ["no!"]),
        ({"validations": [{"expression": "false", "message": "no", "messageExpression": "object.none"}]}, ["no"]),
        (
            {"validations": [{"expression": "object.spec.x == 1"}]},
            ["expression 'object.spec.x == 1' resulted in error: no such key: spec"],
        ),
        ({"failurePolicy": "Ignore", "validations": [{"expression": "object.spec.x == 1"}]}, []),
        ({"matchConditions": [{"name": "a", "expression": "false"}], "validations": [{"expression": "false"}]}, []),
        (
            {
                "variables": [
                    {"name": "keys", "expression": "object.data.map(k, k)"},
                    {"name": "bad", "expression": "variables.keys.filter(k, !k.matches('^[a-z]+$'))"},
                ],
                "validations": [
                    {
                        "expression": "variables.bad.size() == 0",
                        "messageExpression": "'bad: ' + variables.bad.join(', ')",
                    }
                ],
            },
            ["bad: B1"],
        ),
        (
            {
                "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                "validations": [{"expression": "int(params.data.max) > 2", "message": "too long"}],
            },
            ["too long"],
        ),
    ],
)
def test_what_a_policy_says(spec: dict[str, Any], said: list[str]) -> None:
    assert _says(spec) == said


def test_audit_annotations() -> None:
    spec = {"auditAnnotations": [{"key": "k", "valueExpression": "'name ' + object.metadata.name"}, {"key": "n", "valueExpression": "null"}]}  # fmt: skip  # noqa: E501
    assert CompiledPolicy(spec).judge(dict(VALUES)).annotations == {"k": "name web"}


def test_expressions_are_compiled_when_a_policy_is_written() -> None:
    policy = {
        "metadata": {"name": "p"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": MATCH,
            "matchConditions": [{"name": "a", "expression": "'x'"}],
            "validations": [{"expression": "variables.none"}, {"expression": "true", "messageExpression": "1"}],
        },
    }
    assert [str(e) for e in validate_validating_policy(policy)] == [
        "spec.matchConditions[0].expression: Invalid value: \"'x'\": must evaluate to bool but got string",
        'spec.validations[0].expression: Invalid value: "variables.none": compilation failed: ERROR: <input>:1:1: '
        "undeclared reference to 'variables' (in container '')\n | variables.none\n | ^",
        'spec.validations[1].messageExpression: Invalid value: "1": must evaluate to string but got int',
    ]
    mutating = {
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": MATCH,
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "'text'"}}],
        }
    }
    assert [str(e) for e in validate_mutating_policy(mutating)] == [
        "spec.mutations[0].jsonPatch.expression: Invalid value: \"'text'\": must evaluate to list(JSONPatch) but got string"
    ]
