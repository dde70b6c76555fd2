"""The macros: calls that become folds, presence tests and bindings while the source is parsed."""

from __future__ import annotations

from collections.abc import Callable

from .syntax import Call, Comprehension, Const, Ident, ListNode, MapNode, Node, Select

ACCU = "@result"
UNUSED = "#unused"


class MacroError(Exception):
    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset


def find(call: Call, bindings: bool) -> Callable[[Call], Node] | None:
    if call.target is None:
        return _has if call.function == "has" and len(call.args) == 1 else None
    if call.function == "bind" and isinstance(call.target, Ident) and call.target.name == "cel":
        return _bind if bindings and len(call.args) == 3 else None
    return _RECEIVER.get((call.function, len(call.args)))


def _has(call: Call) -> Node:
    argument = call.args[0]
    if not isinstance(argument, Select):
        raise MacroError(argument.offset, "invalid argument to has() macro")
    return Select(call.offset, argument.operand, argument.name, True)


def _variable(node: Node, message: str = "argument must be a simple name") -> str:
    if not isinstance(node, Ident) or node.name.startswith("."):
        raise MacroError(node.offset, message)
    if node.name in (ACCU, "__result__"):
        raise MacroError(node.offset, f"iteration variable overwrites accumulator variable: {node.name}")
    return node.name


def _bind(call: Call) -> Node:
    if not isinstance(call.args[0], Ident):
        raise MacroError(call.args[0].offset, "cel.bind() variable names must be simple identifiers")
    name, at = call.args[0].name, call.offset
    false = Const(at, False)
    return Comprehension(at, UNUSED, None, ListNode(at, []), name, call.args[1], false, Ident(at, name), call.args[2])


def _variables(call: Call, two: bool) -> tuple[str, str | None]:
    first = _variable(call.args[0])
    if not two:
        return first, None
    second = _variable(call.args[1])
    if second == first:
        raise MacroError(call.args[1].offset, f"duplicate iteration variable: {second}")
    return first, second


def _fold(call: Call, two: bool, init: Node, condition: Node, step: Node, result: Node) -> Node:
    assert call.target is not None
    first, second = _variables(call, two)
    return Comprehension(call.offset, first, second, call.target, ACCU, init, condition, step, result)


def _quantifier(call: Call, two: bool, every: bool) -> Node:
    at, predicate = call.offset, call.args[2 if two else 1]
    accu = Ident(at, ACCU)
    still = accu if every else Call(at, "!_", [accu])
    condition = Call(at, "@not_strictly_false", [still])
    step = Call(at, "_&&_" if every else "_||_", [Ident(at, ACCU), predicate])
    return _fold(call, two, Const(at, every), condition, step, Ident(at, ACCU))


def _exists_one(call: Call, two: bool) -> Node:
    at, predicate = call.offset, call.args[2 if two else 1]
    step = Call(at, "_?_:_", [predicate, Call(at, "_+_", [Ident(at, ACCU), Const(at, 1)]), Ident(at, ACCU)])
    result = Call(at, "_==_", [Ident(at, ACCU), Const(at, 1)])
    return _fold(call, two, Const(at, 0), Const(at, True), step, result)


def _append(call: Call, value: Node) -> Node:
    return Call(call.offset, "_+_", [Ident(call.offset, ACCU), ListNode(call.offset, [value])])


def _when(call: Call, predicate: Node | None, step: Node) -> Node:
    return step if predicate is None else Call(call.offset, "_?_:_", [predicate, step, Ident(call.offset, ACCU)])


def _list(call: Call, two: bool, predicate: Node | None, value: Node) -> Node:
    at = call.offset
    step = _when(call, predicate, _append(call, value))
    return _fold(call, two, ListNode(at, []), Const(at, True), step, Ident(at, ACCU))


def _filter(call: Call) -> Node:
    _variable(call.args[0])
    return _list(call, False, call.args[1], call.args[0])


def _map(call: Call) -> Node:
    return _list(call, False, call.args[1] if len(call.args) == 3 else None, call.args[-1])


def _transform_list(call: Call) -> Node:
    return _list(call, True, call.args[2] if len(call.args) == 4 else None, call.args[-1])


def _transform_map(call: Call) -> Node:
    at = call.offset
    insert = Call(at, "cel.@mapInsert", [Ident(at, ACCU), call.args[0], call.args[-1]])
    step = _when(call, call.args[2] if len(call.args) == 4 else None, insert)
    return _fold(call, True, MapNode(at, []), Const(at, True), step, Ident(at, ACCU))


def _transform_entry(call: Call) -> Node:
    at = call.offset
    insert = Call(at, "cel.@mapInsert", [Ident(at, ACCU), call.args[-1]])
    step = _when(call, call.args[2] if len(call.args) == 4 else None, insert)
    return _fold(call, True, MapNode(at, []), Const(at, True), step, Ident(at, ACCU))


def _optional(call: Call, flat: bool) -> Node:
    """``opt.optMap(v, e)``: e of the value where there is one."""
    assert call.target is not None
    name, at, target = _variable(call.args[0]), call.offset, "@target"
    value = Call(at, "value", [], Ident(at, target))
    bound = Comprehension(
        at, UNUSED, None, ListNode(at, []), name, value, Const(at, False), Ident(at, name), call.args[1]
    )
    some: Node = bound if flat else Call(at, "optional.of", [bound])
    has = Call(at, "hasValue", [], Ident(at, target))
    chosen = Call(at, "_?_:_", [has, some, Call(at, "optional.none", [])])
    return Comprehension(
        at, UNUSED, None, ListNode(at, []), target, call.target, Const(at, False), Ident(at, target), chosen
    )


_RECEIVER: dict[tuple[str, int], Callable[[Call], Node]] = {
    ("all", 2): lambda c: _quantifier(c, False, True),
    ("all", 3): lambda c: _quantifier(c, True, True),
    ("exists", 2): lambda c: _quantifier(c, False, False),
    ("exists", 3): lambda c: _quantifier(c, True, False),
    ("exists_one", 2): lambda c: _exists_one(c, False),
    ("existsOne", 2): lambda c: _exists_one(c, False),
    ("existsOne", 3): lambda c: _exists_one(c, True),
    ("map", 2): _map,
    ("map", 3): _map,
    ("filter", 2): _filter,
    ("transformList", 3): _transform_list,
    ("transformList", 4): _transform_list,
    ("transformMap", 3): _transform_map,
    ("transformMap", 4): _transform_map,
    ("transformMapEntry", 3): _transform_entry,
    ("transformMapEntry", 4): _transform_entry,
    ("optMap", 2): lambda c: _optional(c, False),
    ("optFlatMap", 2): lambda c: _optional(c, True),
}
