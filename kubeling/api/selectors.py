"""Label and field selectors: parsing their text form, building them from ``LabelSelector``, matching.

Source: the label selector documentation and k8s.io/apimachinery/pkg/labels and /fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeling.api import names


class SelectorError(ValueError):
    """The text is no selector; the message is upstream's."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """``operator``: ``in``, ``notin``, ``=``, ``==``, ``!=``, ``exists``, ``!``, ``gt``, ``lt``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in" | "=" | "==":
                return value is not None and value in self.values
            case "notin" | "!=":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        if value is None or not re.fullmatch(r"[+-]?\d+", value):
            return False
        bound = int(self.values[0])
        return int(value) > bound if self.operator == "gt" else int(value) < bound

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return "!" + self.key
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == 'gt' else '<'}{self.values[0]}"
        return f"{self.key}{self.operator}{self.values[0]}"


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; ``nothing`` matches no object at all."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        return not self.nothing and all(r.matches(labels) for r in self.requirements)

    @property
    def empty(self) -> bool:
        """True when it selects everything."""
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(str(r) for r in self.requirements)


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)

_TOKEN = re.compile(r"\s*(!=|==|=|!|\(|\)|,|>|<|[^\s!=(),<>]+)")


class _Tokens:
    def __init__(self, text: str) -> None:
        self.items: list[str] = []
        at, text = 0, text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise SelectorError(f"unable to parse requirement: found '{text[at:]}'")
            self.items.append(match.group(1))
            at = match.end()
        self.at = 0

    def peek(self) -> str:
        return self.items[self.at] if self.at < len(self.items) else ""

    def next(self) -> str:
        token = self.peek()
        self.at += 1
        return token


_SYNTAX = {"!", "=", "==", "!=", "(", ")", ",", ">", "<", ""}


def parse_labels(text: str) -> Selector:
    """A label selector as kubectl's ``-l`` takes it. Raises SelectorError."""
    tokens = _Tokens(text)
    requirements: list[Requirement] = []
    if not tokens.items:
        return EVERYTHING
    while True:
        requirements.append(_requirement(tokens))
        token = tokens.next()
        if token == "":
            break
        if token != ",":
            raise SelectorError(f"found '{token}', expected: ',' or 'end of string'")
        if tokens.peek() == "":
            raise SelectorError("found '', expected: identifier after ','")
    return Selector(tuple(sorted(requirements, key=lambda r: r.key)))


def _requirement(tokens: _Tokens) -> Requirement:
    negated = tokens.peek() == "!"
    if negated:
        tokens.next()
    key = tokens.next()
    if key in _SYNTAX:
        prefix = "unable to parse requirement: " if negated else ""
        raise SelectorError(f"{prefix}found '{key}', expected: !, identifier, or 'end of string'")
    _check_key(key)
    if negated:
        return Requirement(key, "!")
    operator = tokens.peek()
    if operator in ("", ","):
        return Requirement(key, "exists")
    tokens.next()
    match operator:
        case "in" | "notin":
            values = _values(tokens)
        case "=" | "==" | "!=" | ">" | "<":
            values = ("",) if tokens.peek() in ("", ",") else (tokens.next(),)
            if values[0] in _SYNTAX - {""}:
                raise SelectorError(f"unable to parse requirement: found '{values[0]}', expected: identifier")
        case _:
            expected = "in, notin, =, ==, !=, gt, lt"
            raise SelectorError(f"unable to parse requirement: found '{operator}', expected: {expected}")
    if operator in (">", "<"):
        if not re.fullmatch(r"[+-]?\d+", values[0]):
            raise SelectorError(
                f'unable to parse requirement: values[0]: Invalid value: "{values[0]}": '
                "for 'Gt', 'Lt' operators, the value must be an integer"
            )
        return Requirement(key, "gt" if operator == ">" else "lt", values)
    for i, value in enumerate(values):
        _check_value(key, i, value)
    return Requirement(key, operator, values)


def _values(tokens: _Tokens) -> tuple[str, ...]:
    opening = tokens.next()
    if opening != "(":
        raise SelectorError(f"unable to parse requirement: found '{opening}' expected: '('")
    values: list[str] = []
    expect_value = True
    while True:
        token = tokens.next()
        if token == ")":
            if expect_value:
                values.append("")
            return tuple(dict.fromkeys(values))
        if token == ",":
            if expect_value:
                values.append("")
            expect_value = True
        elif token in _SYNTAX or not expect_value:
            raise SelectorError(f"unable to parse requirement: found '{token}', expected: ',', or ')'")
        else:
            values.append(token)
            expect_value = False


def _check_key(key: str) -> None:
    errors = names.is_qualified_name(key)
    if errors:
        raise SelectorError(f'unable to parse requirement: <nil>: Invalid value: "{key}": {"; ".join(errors)}')


def _check_value(key: str, index: int, value: str) -> None:
    errors = names.is_label_value(value)
    if errors:
        where = f"values[{index}][{key}]"
        raise SelectorError(f'unable to parse requirement: {where}: Invalid value: "{value}": {"; ".join(errors)}')


_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt"}


def from_label_selector(selector: Mapping[str, Any] | None) -> Selector:
    """A selector from ``metav1.LabelSelector``: None selects nothing, an empty one everything."""
    if selector is None:
        return NOTHING
    requirements = [Requirement(k, "=", (v,)) for k, v in (selector.get("matchLabels") or {}).items()]
    requirements += from_expressions(selector.get("matchExpressions"))
    return Selector(tuple(sorted(requirements, key=lambda r: r.key)))


def from_expressions(expressions: Any) -> list[Requirement]:
    """Requirements from ``matchExpressions`` (also those of node selector terms). Raises SelectorError."""
    found = []
    for e in expressions or ():
        operator = _OPERATORS.get(e.get("operator", ""))
        if operator is None:
            raise SelectorError(f'"{e.get("operator", "")}" is not a valid label selector operator')
        found.append(Requirement(e["key"], operator, tuple(e.get("values") or ())))
    return found


def from_map(labels: Mapping[str, str] | None) -> Selector:
    """A selector from a plain map (a Service's); an empty or missing one selects nothing."""
    if not labels:
        return NOTHING
    return Selector(tuple(Requirement(k, "=", (v,)) for k, v in sorted(labels.items())))


@dataclass(frozen=True, slots=True)
class FieldTerm:
    field: str
    equal: bool
    value: str


@dataclass(frozen=True, slots=True)
class FieldSelector:
    terms: tuple[FieldTerm, ...] = ()

    def matches(self, value_of: Callable[[str], str]) -> bool:
        """``value_of`` gives the object's value for a field name."""
        return all((value_of(t.field) == t.value) == t.equal for t in self.terms)

    @property
    def empty(self) -> bool:
        return not self.terms

    def required(self, field: str) -> str | None:
        """The value that the selector demands of a field, or None."""
        return next((t.value for t in self.terms if t.equal and t.field == field), None)

    def __str__(self) -> str:
        return ",".join(f"{t.field}{'=' if t.equal else '!='}{escape_field(t.value)}" for t in self.terms)


def escape_field(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def parse_fields(text: str) -> FieldSelector:
    """A field selector as kubectl's ``--field-selector`` takes it. Raises SelectorError."""
    terms = []
    for term in re.findall(r"(?:\\.|[^\\,])+", text):
        match = re.fullmatch(r"((?:\\.|[^\\=!])*?)(!=|==|=)((?:\\.|[^\\])*)", term, re.S)
        if match is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        value = match.group(3)
        if re.search(r"(?<!\\)(?:\\\\)*=", value):
            raise SelectorError(f"invalid field selector: unescaped '=' in '{value}'")
        terms.append(FieldTerm(match.group(1), match.group(2) != "!=", re.sub(r"\\(.)", r"\1", value)))
    return FieldSelector(tuple(terms))


def go_text(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as Go prints one inside upstream's messages."""
    if selector is None:
        return "nil"
    labels = "".join(f"{k}: {v}," for k, v in sorted((selector.get("matchLabels") or {}).items()))
    terms = "".join(
        f"LabelSelectorRequirement{{Key:{e['key']},Operator:{e['operator']},Values:[{' '.join(e.get('values') or ())}],}},"
        for e in selector.get("matchExpressions") or ()
    )
    return f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{terms}}},}}"
