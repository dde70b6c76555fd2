from typing import Any

import pytest

from controllers.admissionpolicies.checking import Kind, Plural, kinds_of, param_kind, resources_of, warnings_of
from controllers.admissionpolicies.controller import is_due, status_of
from controllers.admissionpolicies.schemas import type_in
from kubeling.api.cel.types import Type
from kubeling.api.meta import Object

DEPLOYMENT, STATEFUL_SET = Kind("apps", "v1", "Deployment"), Kind("apps", "v1", "StatefulSet")
REFERENCE = "#/components/schemas/"
DOCUMENT: dict[str, Any] = {
    "components": {
        "schemas": {
            "Deployment": {
                "type": "object",
                "properties": {
                    "spec": {"allOf": [{"$ref": REFERENCE + "Spec"}], "default": {}},
                    "parent": {"$ref": REFERENCE + "Deployment"},
                },
                "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Deployment"}],
            },
            "Spec": {
                "type": "object",
                "properties": {
                    "replicas": {"type": "integer"},
                    "surge": {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
                    "names": {"type": "array", "items": {"$ref": REFERENCE + "Name"}},
                },
            },
            "Name": {"type": "string"},
        }
    }
}


def rule(groups: list[str], versions: list[str], resources: list[str]) -> Object:
    return {"apiGroups": groups, "apiVersions": versions, "resources": resources, "operations": ["CREATE"]}


def policy(*rules: Object, **spec: Any) -> Object:
    return {"metadata": {"name": "p", "generation": 2}, "spec": {"matchConstraints": {"resourceRules": rules}, **spec}}


def deployment_type() -> Type:
    found = type_in(DOCUMENT, DEPLOYMENT)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], ""),
        ([rule(["apps"], ["v1"], ["b", "a"])], "A B"),
        ([rule(["apps"], ["v1"], ["a", "a/status", "*", "*/scale", "unknown"])], "A"),
        ([rule(["*"], ["v1"], ["a"]), rule(["apps"], ["*"], ["a"])], ""),
        ([rule(["apps", "*"], ["v1"], ["a"]), rule(["apps"], ["v1"], ["c"]), rule(["apps"], ["v1"], ["c"])], "C"),
        ([rule(["apps"], ["v1"], list("lkjihgfedcba"))], "A B C D E F G H I J"),
        ([rule(["apps"], ["v1"], ["l"]), rule(["apps"], ["v1"], list("abcdefghij"))], "A B C D E F G H I J L"),
        ([rule(["apps"], ["v1"], list("abcdefghij")), rule(["apps"], ["v1"], ["l"])], "A B C D E F G H I J"),
    ],
)
def test_kinds_to_check(rules: list[Object], expected: str) -> None:
    known = {Plural("apps", "v1", c): Kind("apps", "v1", c.upper()) for c in "abcdefghijkl"}
    assert " ".join(k.kind for k in kinds_of(policy(*rules), known)) == expected


def test_resources_asked_for_are_those_of_all_rules_that_name_them() -> None:
    asked = resources_of(policy(rule(["apps"], ["v1", "v2"], ["a", "*"]), rule([""], ["v1"], ["pods", "pods/exec"])))
    assert asked == {Plural("apps", "v1", "a"), Plural("apps", "v2", "a"), Plural("", "v1", "pods")}


def test_kind_of_parameters() -> None:
    assert param_kind(policy()) is None
    assert param_kind(policy(paramKind={"apiVersion": "v1", "kind": "ConfigMap"})) == Kind("", "v1", "ConfigMap")
    assert param_kind(policy(paramKind={"apiVersion": "a.b/v1", "kind": "C"})) == Kind("a.b", "v1", "C")


@pytest.mark.parametrize(
    ("expression", "issue"),
    [
        ("object.spec.replicas > 1", ""),
        ("oldObject.spec.names[0].startsWith('x')", ""),
        ("object.spec.surge == 1 || object.spec.surge == '1%'", ""),
        ("object.replicas > 1", "1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^"),
        ("object.spec.names == 1", "1:19: found no matching overload for '_==_' applied to '(list(string), int)'"),
        ("object.parent.spec", "1:14: undefined field 'spec'\n | object.parent.spec\n | .............^"),
        ("object.spec.replicas", ""),  # what it gives is the API server's business
        ("params.x == 1", "1:1: undeclared reference to 'params' (in container '')\n | params.x == 1\n | ^"),
        ("variables.wrong.anything", ""),
        (
            "variables.right + 'a' == ''",
            "1:17: found no matching overload for '_+_' applied to '(int, string)'",
        ),
    ],
)
def test_warnings(expression: str, issue: str) -> None:
    variables = [
        {"name": "wrong", "expression": "object.none"},
        {"name": "right", "expression": "object.spec.replicas"},
    ]
    subject = policy(validations=[{"expression": expression}], variables=variables)
    warnings = warnings_of(subject, {DEPLOYMENT: deployment_type()}, None)
    if not issue:
        assert warnings == []
        return
    (warning,) = warnings
    assert warning["fieldRef"] == "spec.validations[0].expression"
    assert warning["warning"].startswith(f"apps/v1, Kind=Deployment: ERROR: <input>:{issue}")
    assert warning["warning"].endswith("^\n")


def test_every_kind_tells_its_own_and_messages_are_checked_too() -> None:
    types = {STATEFUL_SET: deployment_type(), DEPLOYMENT: deployment_type()}
    validations = [{"expression": "true"}, {"expression": "true", "messageExpression": "object.x"}]
    issue = "ERROR: <input>:1:7: undefined field 'x'\n | object.x\n | ......^\n"
    assert warnings_of(policy(validations=validations), types, None) == [
        {
            "fieldRef": "spec.validations[1].messageExpression",
            "warning": f"apps/v1, Kind=Deployment: {issue}\napps/v1, Kind=StatefulSet: {issue}",
        }
    ]


def test_parameters_have_their_type() -> None:
    subject = policy(validations=[{"expression": "params.spec.replicas > 1"}, {"expression": "params.none == 1"}])
    warnings = warnings_of(subject, {DEPLOYMENT: deployment_type()}, deployment_type())
    assert [w["fieldRef"] for w in warnings] == ["spec.validations[1].expression"]


def test_a_kind_that_the_document_does_not_define_has_no_type() -> None:
    assert type_in(DOCUMENT, STATEFUL_SET) is None
    assert type_in({}, STATEFUL_SET) is None


def test_each_generation_is_checked_once() -> None:
    checked = policy()
    assert is_due(checked)
    checked["status"] = status_of(checked, [])
    assert checked["status"] == {"observedGeneration": 2, "typeChecking": {}}
    assert not is_due(checked)
    checked["metadata"]["generation"] = 3
    assert is_due(checked)
