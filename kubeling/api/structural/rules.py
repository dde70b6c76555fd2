"""``x-kubernetes-validations``: the CEL rules of a custom resource's schema, compiled once, run on every write.

Source: k8s.io/apiextensions-apiserver pkg/apiserver/schema/cel (compilation.go, validation.go).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeling.api import fields
from kubeling.api.cel.env import Env
from kubeling.api.cel.errors import CelError, CompileError
from kubeling.api.cel.kubernetes import BASE
from kubeling.api.cel.parser import parse
from kubeling.api.cel.program import Program, compile_program
from kubeling.api.cel.schemas import Convert, Schema, converter, schema_type
from kubeling.api.cel.syntax import Ident, walk
from kubeling.api.cel.types import DYN, optional_of
from kubeling.api.cel.values import NONE, Optional, equal
from kubeling.api.fields import ErrorList, FieldError, Path

ABSENT: Any = object()
"""The old value of something that was not there, or that cannot be told apart from its neighbours."""
Rules = Callable[[Any, Any, Path], ErrorList]
"""New value, old value or ABSENT, where."""


class BadRule(Exception):
    """A rule that does not compile: the field it is about and why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


@dataclass(frozen=True, slots=True)
class Rule:
    """``transition``: it speaks of the old value, and is silent where there is none (unless ``optional_old``)."""

    source: Mapping[str, Any]
    program: Program
    shown: Program | None
    transition: bool
    optional_old: bool

    @property
    def message(self) -> str:
        said = str(self.source.get("message") or "").strip()
        return said or f"failed rule: {str(self.source['rule']).strip()}"


def compile_rule(schema: Schema, source: Mapping[str, Any], *, root: bool) -> Rule:
    """Raises BadRule."""
    own = schema_type(schema, "selfType", root=root) or DYN
    optional = bool(source.get("optionalOldSelf"))
    env = BASE.extend({"self": own, "oldSelf": optional_of(own) if optional else own})
    text = str(source.get("rule") or "").strip()
    program = _compiled(env, text, "rule", "bool", "cel expression must evaluate to a bool")
    message = str(source.get("messageExpression") or "").strip()
    shown = None
    if message:
        shown = _compiled(env, message, "messageExpression", "string", "messageExpression must evaluate to a string")
    transition = any(isinstance(n, Ident) and n.name == "oldSelf" for n in walk(parse(text)))
    return Rule(source, program, shown, transition, optional)


def _compiled(env: Env, text: str, field: str, kind: str, complaint: str) -> Program:
    try:
        program = compile_program(env, text)
    except CompileError as error:
        prefix = "compilation failed: " if field == "rule" else "messageExpression compilation failed: "
        raise BadRule(field, f"{prefix}{error}") from None
    if program.type.kind not in (kind, "dyn"):
        raise BadRule(field, complaint)
    return program


def compile_rules(schema: Schema, *, root: bool = True) -> Rules | None:
    """The rules of a schema and all within, in the order upstream looks at them; None where there are none."""
    own: list[Rule] = []
    for source in schema.get("x-kubernetes-validations") or ():
        try:
            own.append(compile_rule(schema, source, root=root))
        except BadRule:
            continue  # a definition with such a rule is refused when it is written
    convert = converter(schema, root=root)
    within = _within(schema)
    if not own and within is None:
        return None

    def run(value: Any, old: Any, path: Path) -> ErrorList:
        found: ErrorList = []
        if value is None:
            return found
        if own:
            found += _run(own, schema, convert, value, old, path)
        return found + within(value, old, path) if within is not None else found

    return run


def _run(rules: list[Rule], schema: Schema, convert: Convert | None, value: Any, old: Any, path: Path) -> ErrorList:
    found: ErrorList = []
    same = old is not ABSENT and equal(value, old)
    new = convert(value) if convert else value
    before = ABSENT if old is ABSENT else (convert(old) if convert else old)
    for rule in rules:
        if rule.transition:
            if before is ABSENT and not rule.optional_old:
                continue
        elif same:
            continue  # what was stored may stay, even if rules have come since
        earlier = before
        if rule.optional_old:
            earlier = NONE if before is ABSENT else Optional(before)
        error = _judge(rule, schema, {"self": new, "oldSelf": earlier}, value, path)
        if error is not None:
            found.append(error)
    return found


def _judge(rule: Rule, schema: Schema, values: dict[str, Any], value: Any, path: Path) -> FieldError | None:
    try:
        if rule.program.evaluate(values) is True:
            return None
    except CelError as error:
        return fields.invalid(path, schema.get("type") or "", f"{error} evaluating rule: {rule.message}")
    detail = rule.message
    if rule.shown is not None:
        try:
            said = rule.shown.evaluate(values)
        except CelError:
            said = ""
        if isinstance(said, str) and said.strip() and "\n" not in said.strip():
            detail = said.strip()
    where = _relative(path, rule.source.get("fieldPath") or "")
    match rule.source.get("reason"):
        case "FieldValueForbidden":
            return fields.forbidden(where, detail)
        case "FieldValueRequired":
            return fields.required(where, detail)
        case "FieldValueDuplicate":
            return fields.duplicate(where, value)
    if isinstance(value, dict | list):
        return FieldError("FieldValueInvalid", "Invalid value", str(where), None, detail)
    return fields.invalid(where, value, detail)


def _relative(path: Path, text: str) -> Path:
    """``.a.b['c.d']`` below a path."""
    for part in text.replace("']", "").replace("['", "\0[").replace(".", "\0").split("\0") if text else ():
        if part:
            path = path.key(part[1:]) if part.startswith("[") else path.child(part)
    return path


def _within(schema: Schema) -> Rules | None:
    extra, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(extra, Mapping):
        every = compile_rules(extra, root=False)
        return None if every is None else lambda v, old, path: _entries(every, v, old, path)
    if isinstance(items, Mapping):
        each = compile_rules(items, root=False)
        keys = (
            tuple(schema.get("x-kubernetes-list-map-keys") or ())
            if schema.get("x-kubernetes-list-type") == "map"
            else ()
        )
        return None if each is None else lambda v, old, path: _items(each, keys, v, old, path)
    named = {n: compile_rules(s, root=False) for n, s in sorted((schema.get("properties") or {}).items())}
    rules = {n: r for n, r in named.items() if r is not None}
    return (lambda v, old, path: _fields(rules, v, old, path)) if rules else None


def _old(old: Any, name: str) -> Any:
    return old.get(name, ABSENT) if isinstance(old, dict) else ABSENT


def _fields(rules: Mapping[str, Rules], value: Any, old: Any, path: Path) -> ErrorList:
    if not isinstance(value, dict):
        return []
    return [e for n, rule in rules.items() if n in value for e in rule(value[n], _old(old, n), path.child(n))]


def _entries(rule: Rules, value: Any, old: Any, path: Path) -> ErrorList:
    if not isinstance(value, dict):
        return []
    return [e for n in sorted(value) for e in rule(value[n], _old(old, n), path.key(n))]


def _items(rule: Rules, keys: tuple[str, ...], value: Any, old: Any, path: Path) -> ErrorList:
    if not isinstance(value, list):
        return []
    known: dict[Any, Any] = {}
    if keys and isinstance(old, list):
        known = {tuple(o.get(k) for k in keys): o for o in old if isinstance(o, dict)}
    found: ErrorList = []
    for i, one in enumerate(value):
        before = known.get(tuple(one.get(k) for k in keys), ABSENT) if keys and isinstance(one, dict) else ABSENT
        found += rule(one, before, path.index(i))
    return found
