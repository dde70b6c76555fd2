"""Type parameters and what they turned out to be: cel-go's assignability."""

from __future__ import annotations

from collections.abc import Sequence

from .types import DYN, Type

_NULLABLE = frozenset(["null_type", "object", "opaque", "google.protobuf.Timestamp", "google.protobuf.Duration"])


class Substitution:
    def __init__(self) -> None:
        self._bound: dict[str, Type] = {}
        self._count = 0

    def variable(self) -> Type:
        self._count += 1
        return Type("param", f"_var{self._count - 1}")

    def fresh(self, args: Sequence[Type], result: Type) -> tuple[list[Type], Type]:
        """The signature with parameters of its own."""
        named: dict[str, Type] = {}
        return [self._rename(a, named) for a in args], self._rename(result, named)

    def _rename(self, t: Type, named: dict[str, Type]) -> Type:
        if t.kind == "param":
            if t.name not in named:
                named[t.name] = self.variable()
            return named[t.name]
        if not t.params:
            return t
        return Type(t.kind, t.name, tuple(self._rename(p, named) for p in t.params), t.fields)

    def resolve(self, t: Type) -> Type:
        """Follows parameters at the top."""
        while t.kind == "param" and t.name in self._bound:
            t = self._bound[t.name]
        return t

    def final(self, t: Type) -> Type:
        """All parameters replaced, the free ones by dyn."""
        t = self.resolve(t)
        if t.kind == "param":
            return DYN
        if not t.params:
            return t
        return Type(t.kind, t.name, tuple(self.final(p) for p in t.params), t.fields)

    def all_assignable(self, given: Sequence[Type], wanted: Sequence[Type]) -> bool:
        """All or nothing: what was learnt on the way to a failure is forgotten."""
        before = dict(self._bound)
        if all(self._fits(g, w) for g, w in zip(given, wanted, strict=True)):
            return True
        self._bound = before
        return False

    def assignable(self, given: Type, wanted: Type) -> bool:
        return self.all_assignable([given], [wanted])

    def general(self, a: Type, b: Type) -> Type:
        """The less specific of two that fit each other."""
        return b if self.final(b).kind == "dyn" else a

    def _fits(self, given: Type, wanted: Type) -> bool:
        root_given, root_wanted = self._root(given), self._root(wanted)
        a, b = self.resolve(given), self.resolve(wanted)
        if a == b and a.kind == "param":
            return True
        if b.kind == "param":
            return self._bind(b, a)
        if a.kind == "param":
            return self._bind(a, b)
        if a.kind in ("dyn", "error") or b.kind in ("dyn", "error"):
            if a.kind == "dyn" and root_wanted is not None:
                self._bound[root_wanted] = a  # what was taken for something special takes anything
            if b.kind == "dyn" and root_given is not None:
                self._bound[root_given] = b
            return True
        if a.kind == "null_type" or b.kind == "null_type":
            return (b if a.kind == "null_type" else a).kind in _NULLABLE
        if a.kind == "type" and b.kind == "type":
            return True
        if a.kind != b.kind or a.name != b.name or len(a.params) != len(b.params):
            return False
        return all(self._fits(x, y) for x, y in zip(a.params, b.params, strict=True))

    def _root(self, t: Type) -> str | None:
        """The last parameter before the type it stands for."""
        found = None
        while t.kind == "param" and t.name in self._bound:
            found, t = t.name, self._bound[t.name]
        return found

    def _bind(self, parameter: Type, to: Type) -> bool:
        if self._occurs(parameter.name, to):
            return False
        self._bound[parameter.name] = to
        return True

    def _occurs(self, name: str, t: Type) -> bool:
        t = self.resolve(t)
        return (t.kind == "param" and t.name == name) or any(self._occurs(name, p) for p in t.params)
