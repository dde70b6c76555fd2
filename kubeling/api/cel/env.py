"""What an expression may use: variables, functions with their overloads, object types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Type,
    list_of,
    map_of,
    object_type,
    type_of,
)

Cost = Callable[[list[Any], Any], int]


@dataclass(frozen=True, slots=True)
class Overload:
    """One signature; of a ``member`` the first argument is the receiver."""

    args: tuple[Type, ...]
    result: Type
    member: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """``implementation`` takes the receiver first and tells overloads apart by the values; ``cost`` is 1 where None."""

    name: str
    overloads: tuple[Overload, ...]
    implementation: Callable[..., Any]
    cost: Cost | None = None


def function(name: str, implementation: Callable[..., Any], *overloads: Overload, cost: Cost | None = None) -> Function:
    return Function(name, overloads, implementation, cost)


def of(result: Type, *args: Type) -> Overload:
    """A global overload."""
    return Overload(args, result)


def on(receiver: Type, result: Type, *args: Type) -> Overload:
    """A member overload."""
    return Overload((receiver, *args), result, True)


TYPE_NAMES: Mapping[str, Type] = {
    "bool": BOOL, "int": INT, "uint": UINT, "double": DOUBLE, "string": STRING, "bytes": BYTES, "null_type": NULL, "dyn": DYN,
    "list": list_of(DYN), "map": map_of(DYN, DYN), "type": type_of(DYN),
    "google.protobuf.Timestamp": TIMESTAMP, "google.protobuf.Duration": DURATION,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Env:
    """``types`` are the object types that expressions may build by name. ``bindings``: ``cel.bind`` is there."""

    variables: Mapping[str, Type] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    types: Mapping[str, Type] = field(default_factory=dict)
    bindings: bool = False
    tree: str = ""
    """A type name under which, path by path, objects of any shape can be built (``Object.spec.containers``)."""

    def named(self, name: str) -> Type | None:
        """The type of this name."""
        found = TYPE_NAMES.get(name) or self.types.get(name)
        if found is None and self.tree and (name == self.tree or name.startswith(self.tree + ".")):
            return object_type(name, None)
        return found

    def extend(
        self, variables: Mapping[str, Type] | None = None, functions: Iterable[Function] = (),
        types: Mapping[str, Type] | None = None, *, bindings: bool = False, tree: str = "",
    ) -> Env:  # fmt: skip
        return Env(
            {**self.variables, **(variables or {})},
            merge(self.functions, functions),
            {**self.types, **(types or {})},
            self.bindings or bindings,
            self.tree or tree,
        )


def merge(known: Mapping[str, Function], more: Iterable[Function]) -> dict[str, Function]:
    """Functions by name. A name that two libraries share must have one implementation that serves both."""
    found = dict(known)
    for one in more:
        before = found.get(one.name)
        if before is not None:
            raise ValueError(f"function {one.name} is declared twice")
        found[one.name] = one
    return found
