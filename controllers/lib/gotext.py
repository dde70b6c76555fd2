"""A pod template as Go prints the struct: the text that upstream hashes, ``(v1.PodTemplateSpec){ObjectMeta:(v1.ObjectMeta){...``.

Types, names and order of the fields are those of Kubernetes 1.36 (``scripts/go_layout.py``). Source of the form: the
documentation of go-spew's ``%#v`` with sorted keys, without methods and addresses, which k8s.io/kubernetes/pkg/util/hash uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson

NIL = "<nil>"
_ZERO_TIME = "{Time:(time.Time){wall:(uint64)0 ext:(int64)0 loc:(*time.Location)<nil>}}"
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


@cache
def _layout() -> tuple[Mapping[str, list[tuple[str, str, str]]], Mapping[str, str]]:
    found = orjson.loads((Path(__file__).parent / "podtemplate.json").read_bytes())
    return found["structs"], found["named"]


def pod_template_text(template: Mapping[str, Any]) -> str:
    """The template, as the API serves it, in Go's form. A timestamp in its metadata prints as if it were missing."""
    return "".join(_typed("v1.PodTemplateSpec", template))


def _typed(type_: str, value: Any) -> Iterator[str]:
    yield f"({type_})"
    yield from _plain(type_, value)


def _plain(type_: str, value: Any) -> Iterator[str]:
    """The value without its own type; inside a struct every field still tells its own."""
    structs, named = _layout()
    plain = named.get(type_, type_)
    if plain.startswith("*"):
        yield from _plain(plain[1:], value) if value is not None else (NIL,)
    elif plain.startswith("[]"):
        yield from _list(plain[2:], value) if value else (NIL,)
    elif plain.startswith("map["):
        key, _, element = plain[4:].partition("]")
        yield from _map(key, element, value) if value else (NIL,)
    elif plain in structs:
        yield from _struct(structs[plain], value or {})
    else:
        yield _SPECIAL[plain](value) if plain in _SPECIAL else _scalar(plain, value)


def _list(element: str, value: Any) -> Iterator[str]:
    for number, item in enumerate(value):
        yield " " if number else "["
        yield from _plain(element, item)
    yield "]"


def _map(key: str, element: str, value: Any) -> Iterator[str]:
    for number, name in enumerate(sorted(value)):
        yield " " if number else "map["
        yield from _plain(key, name)
        yield ":"
        yield from _plain(element, value[name])
    yield "]"


def _struct(fields: list[tuple[str, str, str]], value: Mapping[str, Any]) -> Iterator[str]:
    for number, (name, told, type_) in enumerate(fields):
        yield f"{' ' if number else '{'}{name}:"
        yield from _typed(type_, value.get(told) if told else value)
    yield "}"


def _scalar(type_: str, value: Any) -> str:
    if type_ == "bool":
        return "true" if value else "false"
    return str(value or (0 if type_.startswith(("int", "uint")) else ""))


def _time(_: Any) -> str:
    return _ZERO_TIME


def _int_or_string(value: Any) -> str:
    number, text = (0, value) if isinstance(value, str) else (value or 0, "")
    kind = int(isinstance(value, str))
    return f"{{Type:(intstr.Type){kind} IntVal:(int32){number} StrVal:(string){text}}}"


def _quantity(value: Any) -> str:
    """A quantity in the canonical form, as it is held after parsing; those of more than 18 digits are held otherwise there."""
    text = str(value or "")
    number, scale, form = _parsed(text) if text else (0, 0, "")
    amount = f"i:(resource.int64Amount){{value:(int64){number} scale:(resource.Scale){scale}}}"
    return (
        f"{{{amount} d:(resource.infDecAmount){{Dec:(*inf.Dec)<nil>}} s:(string){text} Format:(resource.Format){form}}}"
    )


def _parsed(text: str) -> tuple[int, int, str]:
    """(number, power of ten, format) of a quantity in canonical form."""
    if text[-2:] in _BINARY:
        return int(text[:-2]) << _BINARY[text[-2:]], 0, "BinarySI"
    digits, _, exponent = text.partition("e")
    if exponent:
        return int(digits), int(exponent), "DecimalExponent"
    scale = _DECIMAL.get(text[-1], 0)
    return int(text[:-1] if scale else text), scale, "DecimalSI"


_SPECIAL = {"v1.Time": _time, "intstr.IntOrString": _int_or_string, "resource.Quantity": _quantity}
