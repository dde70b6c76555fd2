"""Rules of custom resources: when they are asked, what they say, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest

from kubeling.api.fields import Path
from kubeling.api.structural.rules import ABSENT, BadRule, compile_rule, compile_rules

SCHEMA: dict[str, Any] = {
    "type": "object",
    "x-kubernetes-validations": [{"rule": "self.metadata.name.startsWith('w')", "message": "names start with w"}],
    "properties": {
        "spec": {
            "type": "object",
            "x-kubernetes-validations": [
                {"rule": "self.min <= self.max", "messageExpression": "'min above ' + string(self.max)", "fieldPath": ".min",
                 "reason": "FieldValueForbidden"},
                {"rule": "!has(oldSelf.fixed) || self.fixed == oldSelf.fixed", "message": "fixed is immutable"},
            ],
            "properties": {
                "min": {"type": "integer"},
                "max": {"type": "integer"},
                "fixed": {"type": "string"},
                "at": {"type": "string", "format": "date-time",
                       "x-kubernetes-validations": [{"rule": "self.getFullYear() > 2000"}]},
                "up": {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf", "message": "only up"}]},
                "opt": {"type": "integer", "x-kubernetes-validations": [
                    {"rule": "oldSelf.hasValue() || self < 10", "optionalOldSelf": True, "message": "starts small"}]},
                "my-name": {"type": "string"},
                "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {
                    "type": "object", "properties": {"n": {"type": "string"}, "v": {"type": "integer"}},
                    "x-kubernetes-validations": [{"rule": "self.v >= oldSelf.v", "message": "part shrank"}]}},
            },
        }
    },
}  # fmt: skip
GOOD = {"metadata": {"name": "wa"}, "spec": {"min": 1, "max": 5}}


def _with(**spec: Any) -> dict[str, Any]:
    return {**GOOD, "spec": {**GOOD["spec"], **spec}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("new", "old", "said"),
    [
        (GOOD, ABSENT, []),
        ({**GOOD, "metadata": {"name": "bad"}}, ABSENT, ["<nil>: Invalid value: names start with w"]),
        (_with(min=7), ABSENT, ["spec.min: Forbidden: min above 5"]),
        (_with(fixed="g"), _with(fixed="f"), ["spec: Invalid value: fixed is immutable"]),
        (
            GOOD,
            _with(fixed="f"),
            ['spec: Invalid value: "object": no such key: fixed evaluating rule: fixed is immutable'],
        ),
        (_with(up=4), ABSENT, []),
        (_with(up=4), _with(up=5), ["spec.up: Invalid value: 4: only up"]),
        (_with(opt=50), ABSENT, ["spec.opt: Invalid value: 50: starts small"]),
        (_with(opt=50), _with(opt=1), []),
        (_with(min=7), _with(min=7), []),
        (
            _with(at="1999-01-01T00:00:00Z"),
            ABSENT,
            ['spec.at: Invalid value: "1999-01-01T00:00:00Z": failed rule: self.getFullYear() > 2000'],
        ),
        (
            _with(parts=[{"n": "b", "v": 9}, {"n": "a", "v": 0}]),
            _with(parts=[{"n": "a", "v": 1}]),
            ["spec.parts[1]: Invalid value: part shrank"],
        ),
    ],
)
def test_what_rules_say(new: Any, old: Any, said: list[str]) -> None:
    rules = compile_rules(SCHEMA)
    assert rules is not None
    assert [str(e) for e in rules(new, old, Path())] == said


def test_a_schema_without_rules_costs_nothing() -> None:
    assert compile_rules({"type": "object", "properties": {"a": {"type": "string"}}}) is None


@pytest.mark.parametrize(
    ("schema", "rule", "why"),
    [
        (
            {"type": "string"},
            {"rule": "self.nope > 1"},
            "compilation failed: ERROR: <input>:1:5: type 'string' does not support field selection\n | self.nope > 1\n | ....^",
        ),
        ({"type": "integer"}, {"rule": "self + 1"}, "cel expression must evaluate to a bool"),
        (
            {"type": "integer"},
            {"rule": "self > 1", "messageExpression": "self"},
            "messageExpression must evaluate to a string",
        ),
    ],
)
def test_rules_that_are_refused(schema: Any, rule: Any, why: str) -> None:
    with pytest.raises(BadRule) as refused:
        compile_rule(schema, rule, root=False)
    assert str(refused.value) == why
