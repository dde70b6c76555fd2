"""The loop behind every comprehension macro."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .errors import CelError, CostExceeded
from .lazy import Lazy
from .macros import UNUSED
from .syntax import Comprehension
from .values import NO_OVERLOAD

_ABSENT = object()


def fold(
    node: Comprehension,
    over: Callable[[Any], Any],
    init: Callable[[Any], Any],
    condition: Callable[[Any], Any],
    step: Callable[[Any], Any],
    result: Callable[[Any], Any],
) -> Callable[[Any], Any]:
    """The accumulator starts as ``init``; each element replaces it by ``step`` as long as ``condition`` holds."""
    names = [n for n in (node.accu, node.var, node.var2) if n is not None]
    accu, var, var2 = node.accu, node.var, node.var2
    plain = node.var == UNUSED

    def run(f: Any) -> Any:
        items = () if plain else _elements(over(f), var2 is not None)
        variables = f.variables
        saved = [variables.get(n, _ABSENT) for n in names]
        total = init(f)
        try:
            variables[accu] = total
            for first, second in items:
                variables[var] = first
                if var2 is not None:
                    variables[var2] = second
                if condition(f) is False:
                    break
                variables[accu] = _kept(step, f, node)
            return result(f)
        finally:
            for name, value in zip(names, saved, strict=True):
                if value is _ABSENT:
                    variables.pop(name, None)
                else:
                    variables[name] = value

    return run


def _kept(step: Callable[[Any], Any], f: Any, node: Comprehension) -> Any:
    try:
        return step(f)
    except CostExceeded:
        raise
    except CelError as error:
        if not _quantified(node):
            raise
        caught = error

    def fail() -> Any:
        raise caught

    return Lazy(fail)


def _quantified(node: Comprehension) -> bool:
    return getattr(node.step, "function", "") in ("_&&_", "_||_")


def _elements(value: Any, two: bool) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, list):
        return ((i, v) for i, v in enumerate(value)) if two else ((v, None) for v in value)
    if isinstance(value, dict):
        return iter(list(value.items()))
    raise CelError(NO_OVERLOAD)
