"""The strings extension, regular expressions, lists and sets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import regexp
from .env import Function, function, of, on
from .errors import CelError
from .formatting import format_string, quote
from .operators import add
from .standard import pattern_cost, walked
from .types import BOOL, BYTES, DOUBLE, DURATION, DYN, INT, STRING, TIMESTAMP, UINT, A, list_of
from .values import NO_OVERLOAD, compare, equal


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise CelError(NO_OVERLOAD)
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise CelError(NO_OVERLOAD)
    return value


def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(_str(text)):
        raise CelError(f"index out of range: {at}")
    return text[at : at + 1]


def _index_of(value: Any, item: Any, *start: int) -> int:
    if isinstance(value, list):
        return next((i for i, one in enumerate(value) if equal(one, item)), -1)
    if start and not 0 <= start[0] <= len(value):
        raise CelError(f"index out of range: {start[0]}")
    return _str(value).find(_str(item), *start)


def _last_index_of(value: Any, item: Any, *end: int) -> int:
    if isinstance(value, list):
        return next((i for i in range(len(value) - 1, -1, -1) if equal(value[i], item)), -1)
    if not end:
        return _str(value).rfind(_str(item))
    if not 0 <= end[0] <= len(value):
        raise CelError(f"index out of range: {end[0]}")
    return _str(value).rfind(_str(item), 0, end[0] + len(item))


def _substring(text: str, start: int, *end: int) -> str:
    size = len(_str(text))
    if not 0 <= start <= size:
        raise CelError(f"index out of range: {start}")
    if end and not 0 <= end[0] <= size:
        raise CelError(f"index out of range: {end[0]}")
    if end and start > end[0]:
        raise CelError(f"invalid substring range. start: {start}, end: {end[0]}")
    return text[start : end[0]] if end else text[start:]


def _replace(text: str, old: str, new: str, *count: int) -> str:
    return _str(text).replace(_str(old), _str(new), *(count if count and count[0] >= 0 else ()))


def _split(text: str, separator: str, *limit: int) -> list[str]:
    if limit and limit[0] == 0:
        return []
    if limit and limit[0] == 1:
        return [_str(text)]
    most = limit[0] - 1 if limit and limit[0] > 0 else -1
    if separator == "":
        return list(text) if most < 0 or len(text) <= most else [*text[:most], text[most:]]
    return _str(text).split(separator, most)


def _join(items: Any, separator: str = "") -> str:
    return _str(separator).join(_str(i) for i in _list(items))


def _ascii(change: Callable[[str], str]) -> Callable[[Any], str]:
    return lambda text: "".join(change(c) if c.isascii() else c for c in _str(text))


def _find(text: str, pattern: str) -> str:
    found = regexp.compiled(_str(pattern)).search(_str(text))
    return found.group() if found else ""


def _find_all(text: str, pattern: str, *limit: int) -> list[str]:
    found = [m.group() for m in regexp.compiled(_str(pattern)).finditer(_str(text))]
    return found[: limit[0]] if limit and limit[0] >= 0 else found


def _is_sorted(items: Any) -> bool:
    return all(compare(a, b) <= 0 for a, b in zip(_list(items), items[1:], strict=False))


def _sum(items: Any) -> Any:
    if not _list(items):
        return 0
    total = items[0]
    for one in items[1:]:
        total = add(total, one)
    return total if not isinstance(total, str | list) else _refuse()


def _refuse() -> Any:
    raise CelError(NO_OVERLOAD)


def _extreme(name: str, sign: int) -> Callable[[Any], Any]:
    def run(items: Any) -> Any:
        if not _list(items):
            raise CelError(f"{name} called on empty list")
        best = items[0]
        for one in items[1:]:
            if compare(one, best) * sign > 0:
                best = one
        return best

    return run


def _contains(items: Any, sub: Any) -> bool:
    return all(any(equal(x, y) for y in _list(items)) for x in _list(sub))


def _product(args: list[Any], result: Any) -> int:
    return len(args[0]) * len(args[1])


_STRINGS, _SORTED = list_of(STRING), (INT, UINT, DOUBLE, BOOL, STRING, BYTES, DURATION, TIMESTAMP)
_WALK, _TWICE = walked(0.1, 0), walked(0.2, 0)


def _all(items: Any, result: Any) -> int:
    return math.ceil(len(items[0]) * 0.1) if isinstance(items[0], str) else len(items[0])


TEXT: tuple[Function, ...] = (
    function("charAt", _char_at, on(STRING, STRING, INT)),
    function("indexOf", _index_of, on(STRING, INT, STRING), on(STRING, INT, STRING, INT), on(list_of(A), INT, A), cost=_all),
    function("lastIndexOf", _last_index_of,
             on(STRING, INT, STRING), on(STRING, INT, STRING, INT), on(list_of(A), INT, A), cost=_all),
    function("join", _join, on(_STRINGS, STRING), on(_STRINGS, STRING, STRING), cost=lambda a, r: math.ceil(len(r) * 0.2)),
    function("lowerAscii", _ascii(str.lower), on(STRING, STRING), cost=_WALK),
    function("upperAscii", _ascii(str.upper), on(STRING, STRING), cost=_WALK),
    function("replace", _replace, on(STRING, STRING, STRING, STRING), on(STRING, STRING, STRING, STRING, INT), cost=_TWICE),
    function("split", _split, on(STRING, _STRINGS, STRING), on(STRING, _STRINGS, STRING, INT), cost=_TWICE),
    function("substring", _substring, on(STRING, STRING, INT), on(STRING, STRING, INT, INT), cost=_WALK),
    function("trim", lambda s: _str(s).strip(), on(STRING, STRING), cost=_WALK),
    function("format", lambda s, args: format_string(_str(s), _list(args)), on(STRING, STRING, list_of(DYN))),
    function("strings.quote", lambda s: quote(_str(s)), of(STRING, STRING)),
    function("find", _find, on(STRING, STRING, STRING), cost=pattern_cost),
    function("findAll", _find_all, on(STRING, _STRINGS, STRING), on(STRING, _STRINGS, STRING, INT), cost=pattern_cost),
    function("isSorted", _is_sorted, *(on(list_of(t), BOOL) for t in _SORTED), cost=_all),
    function("sum", _sum, *(on(list_of(t), t) for t in (INT, UINT, DOUBLE, DURATION)), cost=_all),
    function("max", _extreme("max", 1), *(on(list_of(t), t) for t in _SORTED), cost=_all),
    function("min", _extreme("min", -1), *(on(list_of(t), t) for t in _SORTED), cost=_all),
    function("sets.contains", _contains, of(BOOL, list_of(A), list_of(A)), cost=_product),
    function("sets.equivalent", lambda a, b: _contains(a, b) and _contains(b, a), of(BOOL, list_of(A), list_of(A)), cost=_product),
    function("sets.intersects", lambda a, b: any(equal(x, y) for x in _list(a) for y in _list(b)),
             of(BOOL, list_of(A), list_of(A)), cost=_product),
)  # fmt: skip
