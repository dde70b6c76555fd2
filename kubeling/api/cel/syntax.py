"""The syntax tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class Node:
    """``offset`` is where cel-go reports complaints: an operator, an opening bracket, a dot, a name's first character."""

    offset: int


@dataclass(slots=True, eq=False)
class Const(Node):
    value: Any


@dataclass(slots=True, eq=False)
class Ident(Node):
    name: str


@dataclass(slots=True, eq=False)
class Select(Node):
    operand: Node
    name: str
    test: bool = False


@dataclass(slots=True, eq=False)
class Call(Node):
    function: str
    args: list[Node]
    target: Node | None = None


@dataclass(slots=True, eq=False)
class ListNode(Node):
    items: list[Node]
    optional: set[int] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Entry:
    offset: int
    key: Any
    value: Node
    optional: bool = False


@dataclass(slots=True, eq=False)
class MapNode(Node):
    entries: list[Entry]


@dataclass(slots=True, eq=False)
class Struct(Node):
    """Construction of an object: ``Name{field: value}``; keys are strings."""

    name: str
    entries: list[Entry]


@dataclass(slots=True, eq=False)
class Comprehension(Node):
    """A fold over a list or map; with ``var2`` the first variable is the index or key and the second the value."""

    var: str
    var2: str | None
    range: Node
    accu: str
    init: Node
    condition: Node
    step: Node
    result: Node


def qualified_name(node: Node) -> str | None:
    """``a.b.c`` of a chain of selects on a name."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and not node.test:
        prefix = qualified_name(node.operand)
        return None if prefix is None else f"{prefix}.{node.name}"
    return None


def walk(node: Node) -> list[Node]:
    """The node and all below it, parents first."""
    found, todo = [], [node]
    while todo:
        current = todo.pop()
        found.append(current)
        todo.extend(reversed(children(current)))
    return found


def children(node: Node) -> list[Node]:
    match node:
        case Select():
            return [node.operand]
        case Call():
            return ([node.target] if node.target is not None else []) + node.args
        case ListNode():
            return node.items
        case MapNode():
            return [n for e in node.entries for n in (e.key, e.value)]
        case Struct():
            return [e.value for e in node.entries]
        case Comprehension():
            return [node.range, node.init, node.condition, node.step, node.result]
    return []
