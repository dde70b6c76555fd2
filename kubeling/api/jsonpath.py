"""JSONPath as Kubernetes uses it in printer columns, selectable fields and scale subresources.

Source: https://kubernetes.io/docs/reference/kubectl/jsonpath/ (field access with escapes, quoted names, indices, slices,
wildcards, recursive descent, unions and comparing filters; ``range`` and text around expressions are kubectl's alone).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Values = Iterator[Any]
Step = Callable[[Any], Values]

_NAME = re.compile(r"(?:\\.|[^.\[\\\s])+")
_SLICE = re.compile(r"\s*(-?\d*)\s*(?::\s*(-?\d*)\s*)?(?::\s*(-?\d*)\s*)?")
_FILTER = re.compile(r"\?\(\s*@(?P<left>.*?)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<right>.+?))?\s*\)")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class JSONPathError(ValueError):
    """The text is no path."""


@dataclass(frozen=True, slots=True)
class JSONPath:
    """A parsed path. ``find`` gives what it names in a value, in order; what is missing gives nothing."""

    text: str
    steps: tuple[Step, ...]

    def find(self, value: Any) -> list[Any]:
        found = [value]
        for step in self.steps:
            found = [inner for outer in found for inner in step(outer)]
        return found


def parse(text: str) -> JSONPath:
    """``.spec.ports[0].name`` to a path. Raises JSONPathError."""
    steps: list[Step] = []
    rest = text.removeprefix("$")
    while rest:
        step, rest = _step(rest)
        if step is not None:
            steps.append(step)
    return JSONPath(text, tuple(steps))


def _step(rest: str) -> tuple[Step | None, str]:
    if rest.startswith("["):
        inner, rest = _bracket(rest)
        return _bracketed(inner), rest
    descend = rest.startswith("..")
    rest = rest[2:] if descend else rest.removeprefix(".")
    if descend and rest.startswith("["):
        return _descendants, rest
    if not rest:
        return None, rest
    if rest.startswith("*"):
        return (_deep(_all) if descend else _all), rest[1:]
    if rest.startswith("["):
        return None, rest
    match = _NAME.match(rest)
    if match is None:
        raise JSONPathError(f"unexpected {rest[:1]!r}")
    field = _field(re.sub(r"\\(.)", r"\1", match[0]))
    return (_deep(field) if descend else field), rest[match.end() :]


def _bracket(rest: str) -> tuple[str, str]:
    """What stands between a bracket and its partner, quotes and nested brackets passed over."""
    depth, quote = 0, ""
    for i, char in enumerate(rest):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
            if not depth:
                return rest[1:i], rest[i + 1 :]
    raise JSONPathError("unterminated array")


def _bracketed(inner: str) -> Step:
    inner = inner.strip()
    if inner == "*":
        return _all
    if inner.startswith("?"):
        return _filter(inner)
    parts = re.findall(r"'(?:\\.|[^'])*'|\"(?:\\.|[^\"])*\"|[^,]+", inner)
    if len(parts) > 1:
        steps = [_bracketed(part) for part in parts]
        return lambda value: (found for step in steps for found in step(value))
    if inner[:1] in "'\"" and inner[:1] == inner[-1:] and len(inner) > 1:
        return _field(re.sub(r"\\(.)", r"\1", inner[1:-1]))
    return _slice(inner)


def _slice(inner: str) -> Step:
    match = _SLICE.fullmatch(inner)
    if match is None or not inner:
        raise JSONPathError(f"invalid array index {inner}")
    start, end, step = match.groups()
    if end is None:
        index = int(start)
        return lambda v: iter(v[index : index + 1 or None] if isinstance(v, list) else ())
    chosen = slice(*(int(text) if text else None for text in (start, end, step)))
    return lambda v: iter(v[chosen] if isinstance(v, list) else ())


def _field(name: str) -> Step:
    def step(value: Any) -> Values:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _all(value: Any) -> Values:
    return iter(value if isinstance(value, list) else value.values() if isinstance(value, dict) else ())


def _descendants(value: Any) -> Values:
    yield value
    for inner in _all(value):
        yield from _descendants(inner)


def _deep(step: Step) -> Step:
    return lambda value: (found for inner in _descendants(value) for found in step(inner))


def _filter(text: str) -> Step:
    match = _FILTER.fullmatch(text)
    if match is None:
        raise JSONPathError(f"invalid filter {text}")
    left = parse(match["left"])
    if match["op"] is None:
        return lambda value: (v for v in _all(value) if left.find(v))
    compare, right = _COMPARE[match["op"]], _operand(match["right"])

    def step(value: Any) -> Values:
        for item in _all(value):
            for a, b in zip(left.find(item), right(item), strict=False):
                if _comparable(a, b) and compare(a, b):
                    yield item

    return step


def _operand(text: str) -> Callable[[Any], list[Any]]:
    if text.startswith("@"):
        return parse(text[1:]).find
    if text[:1] in "'\"":
        return lambda _: [text[1:-1]]
    if text in ("true", "false"):
        return lambda _: [text == "true"]
    try:
        number = float(text) if "." in text else int(text)
    except ValueError:
        raise JSONPathError(f"unrecognized value {text}") from None
    return lambda _: [number]


def _comparable(a: Any, b: Any) -> bool:
    numbers = (int, float)
    return type(a) is type(b) or (
        isinstance(a, numbers) and isinstance(b, numbers) and not isinstance(a, bool) and not isinstance(b, bool)
    )
