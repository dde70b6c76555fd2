"""Gradual type checking: every node gets a type, and complaints are cel-go's."""

from __future__ import annotations

from . import regexp
from .env import Env, Function
from .errors import CelError, CompileError, Issue
from .syntax import Call, Comprehension, Const, Entry, Ident, ListNode, MapNode, Node, Select, Struct, qualified_name
from .types import BOOL, DYN, ERROR, INT, Type, is_optional, list_of, map_of, optional_of, type_of
from .unify import Substitution
from .values import parse_duration, parse_timestamp, type_value


def check(env: Env, source: str, tree: Node) -> Type:
    """The type a tree gives. Raises CompileError with all complaints."""
    checker = Checker(env)
    result = checker.check(tree)
    if checker.issues:
        raise CompileError(source, checker.issues)
    if checker.literals:
        raise CompileError(source, checker.literals)
    return checker.known.final(result)


class Checker:
    def __init__(self, env: Env) -> None:
        self.env = env
        self.scopes: list[dict[str, Type]] = []
        self.issues: list[Issue] = []
        self.literals: list[Issue] = []
        self.known = Substitution()

    def report(self, offset: int, message: str) -> Type:
        self.issues.append(Issue(offset, message))
        return ERROR

    def name(self, t: Type) -> str:
        return str(self.known.final(t))

    def lookup(self, name: str) -> Type | None:
        name = name.removeprefix(".")
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        found = self.env.variables.get(name)
        named = self.env.named(name) if found is None else None
        return found if named is None else type_of(named)

    def check(self, node: Node) -> Type:
        match node:
            case Const():
                return type_value(node.value)
            case Ident():
                return self.lookup(node.name) or self.report(
                    node.offset, f"undeclared reference to '{node.name.removeprefix('.')}' (in container '')"
                )
            case Select():
                return self.select(node)
            case Call():
                return self.call(node)
            case ListNode():
                return self.list(node)
            case MapNode():
                return self.map(node)
            case Struct():
                return self.struct(node)
            case Comprehension():
                return self.comprehension(node)
        raise TypeError(f"no node: {node!r}")

    def select(self, node: Select) -> Type:
        name = None if node.test else qualified_name(node)
        found = self.lookup(name) if name else None
        if found is not None:
            return found
        result = self.field(node.offset, self.check(node.operand), node.name)
        return BOOL if node.test else result

    def field(self, offset: int, operand: Type, name: str) -> Type:
        target = self.known.resolve(operand)
        if is_optional(target):
            inner = self.field(offset, target.params[0], name)
            return inner if is_optional(inner) else optional_of(inner)
        if target.kind == "map":
            return target.params[1]
        if target.kind == "object":
            if target.fields is None:
                return DYN
            return target.fields.get(name) or self.report(offset, f"undefined field '{name}'")
        if target.kind == "param":
            self.known.assignable(target, DYN)
            return DYN
        if target.kind in ("dyn", "error"):
            return DYN
        return self.report(offset, f"type '{self.name(target)}' does not support field selection")

    def call(self, node: Call) -> Type:
        if node.function == "_?._":
            return self.optional_select(node)
        self.literal(node)
        if node.target is not None and (prefix := qualified_name(node.target)) is not None:
            qualified = f"{prefix}.{node.function}".removeprefix(".")
            if qualified in self.env.functions:
                return self.resolve(node, self.env.functions[qualified], [self.check(a) for a in node.args], False)
        args = [self.check(a) for a in node.args]
        if node.target is not None:
            args.insert(0, self.check(node.target))
        name = node.function.removeprefix(".")
        found = self.env.functions.get(name)
        if found is None:
            return self.report(node.offset, f"undeclared reference to '{name}' (in container '')")
        return self.resolve(node, found, args, node.target is not None)

    def optional_select(self, node: Call) -> Type:
        field = node.args[1]
        if not isinstance(field, Const) or not isinstance(field.value, str):
            return self.report(field.offset, "unsupported optional field selection")
        result = self.field(node.offset, self.check(node.args[0]), field.value)
        return result if is_optional(result) else optional_of(result)

    def resolve(self, node: Call, declared: Function, args: list[Type], member: bool) -> Type:
        result: Type | None = None
        for overload in declared.overloads:
            if overload.member != member or len(overload.args) != len(args):
                continue
            wanted, gives = self.known.fresh(overload.args, overload.result)
            if self.known.all_assignable(args, wanted):
                gives = self.known.resolve(gives)
                if result is None:
                    result = gives
                elif self.known.final(result) != self.known.final(gives):
                    result = DYN
        if result is not None:
            return result
        shown = [self.name(a) for a in args]
        signature = f"{shown[0]}.({', '.join(shown[1:])})" if member else f"({', '.join(shown)})"
        return self.report(node.offset, f"found no matching overload for '{declared.name}' applied to '{signature}'")

    def literal(self, node: Call) -> None:
        """Constants that are no duration, no time, no pattern are refused before anything runs."""
        name, args = node.function, node.args
        if name == "matches" and args and isinstance(args[-1], Const) and isinstance(args[-1].value, str):
            try:
                regexp.compiled(args[-1].value)
            except CelError as error:
                self.literals.append(Issue(args[-1].offset, f"invalid matches argument: {error}"))
        if name in ("duration", "timestamp") and len(args) == 1 and node.target is None:
            value = args[0].value if isinstance(args[0], Const) else None
            if isinstance(value, str):
                try:
                    (parse_duration if name == "duration" else parse_timestamp)(value)
                except CelError:
                    self.literals.append(Issue(args[0].offset, f"invalid {name} argument"))

    def element(self, node: Node, optional: bool) -> Type:
        found = self.check(node)
        if not optional:
            return found
        target = self.known.resolve(found)
        if is_optional(target):
            return target.params[0]
        if target.kind not in ("dyn", "error"):
            self.report(
                node.offset, f"expected type '{self.name(optional_of(target))}' but found '{self.name(target)}'"
            )
        return DYN

    def join(self, offset: int, before: Type | None, current: Type) -> Type:
        """What members of a literal have in common; they must agree."""
        if before is None:
            return current
        if self.known.assignable(current, before):
            return self.known.general(before, current)
        self.report(offset, f"expected type '{self.name(before)}' but found '{self.name(current)}'")
        return before

    def list(self, node: ListNode) -> Type:
        element: Type | None = None
        for i, item in enumerate(node.items):
            element = self.join(item.offset, element, self.element(item, i in node.optional))
        return list_of(element or self.known.variable())

    def map(self, node: MapNode) -> Type:
        key: Type | None = None
        value: Type | None = None
        for entry in node.entries:
            key = self.join(entry.key.offset, key, self.check(entry.key))
            value = self.join(entry.value.offset, value, self.element(entry.value, entry.optional))
        return map_of(key or self.known.variable(), value or self.known.variable())

    def struct(self, node: Struct) -> Type:
        found = self.lookup(node.name)
        result = ERROR
        if found is None:
            self.report(node.offset, f"undeclared reference to '{node.name}' (in container '')")
        elif found.kind != "type":
            self.report(node.offset, f"'{self.name(found)}' is not a type")
        elif found.params[0].kind != "object":
            self.report(node.offset, f"'{self.name(found.params[0])}' is not a message type")
        else:
            result = found.params[0]
        for entry in node.entries:
            self.initializer(result, entry)
        return result

    def initializer(self, target: Type, entry: Entry) -> None:
        wanted = self.field(entry.offset, target, entry.key)
        value = self.element(entry.value, entry.optional)
        if not self.known.assignable(value, wanted):
            text = f"expected type of field '{entry.key}' is '{self.name(wanted)}' but provided type is '{self.name(value)}'"
            self.report(entry.offset, text)

    def comprehension(self, node: Comprehension) -> Type:
        over = self.known.resolve(self.check(node.range))
        accu = self.check(node.init)
        first, second = DYN, DYN
        if over.kind == "list":
            first, second = (over.params[0], DYN) if node.var2 is None else (INT, over.params[0])
        elif over.kind == "map":
            first, second = over.params
        elif over.kind == "param":
            self.known.assignable(over, DYN)
        elif over.kind not in ("dyn", "error"):
            text = f"expression of type '{self.name(over)}' cannot be range of a comprehension (must be list, map, or dynamic)"
            self.report(node.range.offset, text)
            first = second = ERROR
        self.scopes.append({node.accu: accu})
        self.scopes.append({node.var: first} | ({node.var2: second} if node.var2 else {}))
        self.require(node.condition, BOOL)
        self.require(node.step, accu)
        self.scopes.pop()
        result = self.check(node.result)
        self.scopes.pop()
        return self.known.resolve(result)

    def require(self, node: Node, wanted: Type) -> None:
        found = self.check(node)
        if not self.known.assignable(found, wanted):
            self.report(node.offset, f"expected type '{self.name(wanted)}' but found '{self.name(found)}'")
