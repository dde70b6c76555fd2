"""Trees to closures. A closure takes the frame of one evaluation and gives a value, or raises CelError."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import checker
from .env import Env
from .errors import CelError, CostExceeded
from .fold import fold
from .lazy import Lazy
from .operators import index, optional_index, select, select_optional, unwrapped
from .parser import parse
from .syntax import Call, Comprehension, Const, Ident, ListNode, MapNode, Node, Select, Struct, qualified_name
from .types import BOOL, Type
from .values import NO_OVERLOAD, Optional, StructValue

PER_CALL_LIMIT = 1_000_000
"""What one evaluation may cost; all of one request's may cost ten times as much."""
LIST_COST, MAP_COST, STRUCT_COST = 10, 30, 40


class Frame:
    """One evaluation: the variables in sight, what it has cost, what it may cost."""

    __slots__ = ("cost", "limit", "variables")

    def __init__(self, variables: dict[str, Any], limit: int) -> None:
        self.variables, self.limit, self.cost = variables, limit, 0

    def charge(self, amount: int) -> None:
        self.cost += amount
        if self.cost > self.limit:
            raise CostExceeded("operation cancelled: actual cost limit exceeded")


Closure = Callable[[Frame], Any]


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled expression: ``type`` is what it gives as far as the checker can tell."""

    source: str
    type: Type
    run: Closure

    def evaluate(self, variables: Mapping[str, Any], limit: int = PER_CALL_LIMIT) -> Any:
        """The value. Raises CelError and nothing else."""
        return self.measured(variables, limit)[0]

    def measured(self, variables: Mapping[str, Any], limit: int = PER_CALL_LIMIT) -> tuple[Any, int]:
        """The value and what it cost. Raises CelError."""
        frame = Frame(dict(variables), limit)
        try:
            return self.run(frame), frame.cost
        except RecursionError:
            raise CelError("evaluation is nested too deeply") from None


def compile_program(env: Env, source: str) -> Program:
    """Raises CompileError."""
    tree = parse(source, bindings=env.bindings)
    result = checker.check(env, source, tree)
    return Program(source, result, _Compiler(env).node(tree))


def accepts(program: Program, *types: Type) -> bool:
    """Whether the result may be one of these types (dyn may be anything)."""
    return program.type.kind == "dyn" or program.type in types


IS_BOOL = (BOOL,)


class _Compiler:
    def __init__(self, env: Env) -> None:
        self.env = env
        self.local: list[str] = []

    def node(self, node: Node) -> Closure:
        match node:
            case Const():
                value = node.value
                return lambda f: value
            case Ident():
                return self.name(node.name.removeprefix("."))
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

    def name(self, name: str) -> Closure:
        constant = None if name in self.env.variables or name in self.local else self.env.named(name)

        def run(f: Frame) -> Any:
            f.charge(1)
            try:
                value = f.variables[name]
            except KeyError:
                if constant is not None:
                    return constant
                raise CelError(f"no such attribute(s): {name}") from None
            return value.get() if type(value) is Lazy else value

        return run

    def select(self, node: Select) -> Closure:
        name, test = node.name, node.test
        dotted = None if test else qualified_name(node)
        if (
            dotted
            and dotted.split(".")[0] not in self.local
            and (dotted in self.env.variables or self.env.named(dotted))
        ):
            return self.name(dotted)
        operand = self.node(node.operand)
        if test:
            return lambda f: select(operand(f), name, True)

        def run(f: Frame) -> Any:
            value = operand(f)
            f.charge(1)
            found = value[name] if type(value) is dict and name in value else select(value, name, False)
            return found.get() if type(found) is Lazy else found

        return run

    def call(self, node: Call) -> Closure:
        special = {"_&&_": self.logical, "_||_": self.logical, "_?_:_": self.conditional, "@not_strictly_false": self.lenient,
                   "_[_]": self.index, "_[?_]": self.index, "_?._": self.index}.get(node.function)  # fmt: skip
        if special is not None:
            return special(node)
        if node.target is not None and node.function in ("or", "orValue"):
            return self.otherwise(node)
        name, target = node.function.removeprefix("."), node.target
        if target is not None and (prefix := qualified_name(target)) is not None:
            qualified = f"{prefix}.{name}".removeprefix(".")
            if qualified in self.env.functions:
                name, target = qualified, None
        parts = [self.node(n) for n in ([target] if target is not None else []) + node.args]
        declared = self.env.functions[name]
        return _application(declared.implementation, parts, declared.cost)

    def logical(self, node: Call) -> Closure:
        """A side that decides wins over an error on the other side."""
        left, right = self.node(node.args[0]), self.node(node.args[1])
        decides = node.function == "_||_"

        def run(f: Frame) -> Any:
            failure: CelError | None = None
            try:
                value = left(f)
                if value is decides:
                    return decides
                if value is not (not decides):
                    failure = CelError(NO_OVERLOAD)
            except CostExceeded:
                raise
            except CelError as error:
                failure = error
            value = right(f) if failure is None else _attempt(right, f)
            if value is decides:
                return decides
            if failure is not None:
                raise failure
            if value is not (not decides):
                raise CelError(NO_OVERLOAD)
            return value

        return run

    def conditional(self, node: Call) -> Closure:
        condition, yes, no = (self.node(a) for a in node.args)

        def run(f: Frame) -> Any:
            chosen = condition(f)
            if chosen is True:
                return yes(f)
            if chosen is False:
                return no(f)
            raise CelError(NO_OVERLOAD)

        return run

    def lenient(self, node: Call) -> Closure:
        value = self.node(node.args[0])

        def run(f: Frame) -> bool:
            f.charge(1)
            try:
                return value(f) is not False
            except CostExceeded:
                raise
            except CelError:
                return True

        return run

    def index(self, node: Call) -> Closure:
        operand, key = self.node(node.args[0]), self.node(node.args[1])
        find = {"_[_]": index, "_[?_]": optional_index, "_?._": select_optional}[node.function]

        def run(f: Frame) -> Any:
            value = operand(f)
            at = key(f)
            f.charge(1)
            found = find(value, at)
            return found.get() if type(found) is Lazy else found

        return run

    def otherwise(self, node: Call) -> Closure:
        assert node.target is not None
        value, other = self.node(node.target), self.node(node.args[0])
        unwrap = node.function == "orValue"

        def run(f: Frame) -> Any:
            found = value(f)
            if not isinstance(found, Optional):
                raise CelError(NO_OVERLOAD)
            if found.present:
                return found.value if unwrap else found
            return other(f)

        return run

    def list(self, node: ListNode) -> Closure:
        parts = [(self.node(n), i in node.optional) for i, n in enumerate(node.items)]

        def run(f: Frame) -> list[Any]:
            f.charge(LIST_COST)
            items: list[Any] = []
            for part, optional in parts:
                value = part(f)
                if optional:
                    items += unwrapped(value)
                else:
                    items.append(value)
            return items

        return run

    def map(self, node: MapNode) -> Closure:
        parts = [(self.node(e.key), self.node(e.value), e.optional) for e in node.entries]

        def run(f: Frame) -> dict[Any, Any]:
            f.charge(MAP_COST)
            found: dict[Any, Any] = {}
            for key, value, optional in parts:
                name = key(f)
                if not isinstance(name, str | int):
                    raise CelError("unsupported key type")
                given = unwrapped(value(f)) if optional else [value(f)]
                if given:
                    if name in found:
                        raise CelError(f"failed with repeated key: {name}")
                    found[name] = given[0]
            return found

        return run

    def struct(self, node: Struct) -> Closure:
        parts = [(str(e.key), self.node(e.value), e.optional) for e in node.entries]
        name = node.name

        def run(f: Frame) -> StructValue:
            f.charge(STRUCT_COST)
            fields: dict[str, Any] = {}
            for key, value, optional in parts:
                given = unwrapped(value(f)) if optional else [value(f)]
                if given:
                    fields[key] = given[0]
            return StructValue(name, fields)

        return run

    def comprehension(self, node: Comprehension) -> Closure:
        names = [node.accu, node.var, *([node.var2] if node.var2 else [])]
        over, init = self.node(node.range), self.node(node.init)
        self.local += names
        condition, step, result = self.node(node.condition), self.node(node.step), self.node(node.result)
        del self.local[-len(names) :]
        return fold(node, over, init, condition, step, result)


def _attempt(part: Closure, f: Frame) -> Any:
    try:
        return part(f)
    except CostExceeded:
        raise
    except CelError:
        return None


def _application(implementation: Callable[..., Any], parts: list[Closure], cost: Any) -> Closure:
    def run(f: Frame) -> Any:
        args = [part(f) for part in parts]
        try:
            value = implementation(*args)
        except (TypeError, AttributeError, ValueError, KeyError, ArithmeticError):
            raise CelError(NO_OVERLOAD) from None  # the values are of types that the function does not take
        f.charge(1 if cost is None else cost(args, value))
        return value

    return run
