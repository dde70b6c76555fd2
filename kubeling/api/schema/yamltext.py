"""YAML as sigs.k8s.io/yaml reads it: YAML 1.1 scalars by its rules, then JSON; errors and repeated keys in its words."""

from __future__ import annotations

import base64
import re
from typing import Any

import orjson
import yaml

from kubeling.api.schema.text import MAX_DEPTH, SyntaxFailure, may_repeat, too_deep

_UNTAGGED = "untagged"


class _Loader(yaml.CSafeLoader):
    """Composes nodes; scalars stay text, ``_resolve`` finds out what they are."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        return _UNTAGGED


_WORDS: dict[str, Any] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_FLOAT = re.compile(r"[-+]?[0-9]*\.?[0-9]+([eE][-+][0-9]+)?")
_INTEGERS = (
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+"), 16),
    (re.compile(r"[-+]?0[bB][01]+"), 2),
    (re.compile(r"[-+]?0[oO]?[0-7]+"), 8),
    (re.compile(r"[-+]?(?:0|[1-9][0-9]*)"), 10),
)
_TAG = "tag:yaml.org,2002:"
_SPECIAL_FLOATS = frozenset(sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")) | {
    ".nan",
    ".NaN",
    ".NAN",
}


def parse_yaml(body: bytes) -> tuple[Any, list[str]]:
    """The value of the first document, and ``line 4: key "paused" already set in map`` for repeated keys (the last one counts).

    Raises SyntaxFailure with upstream's text (``yaml: line 6: did not find expected ',' or ']'``).
    """
    value = _as_json(body)
    if value is not None:
        return value, []
    loader = _Loader(body)
    try:
        _check_depth(body)
        if not loader.check_node():
            return None, []
        node = loader.get_node()
        assert node is not None
    except yaml.MarkedYAMLError as error:
        raise SyntaxFailure(_message(error)) from None
    except yaml.YAMLError as error:
        raise SyntaxFailure(f"yaml: {getattr(error, 'reason', None) or 'control characters are not allowed'}") from None
    finally:
        loader.dispose()
    builder = _Builder()
    return builder.value(node), builder.repeated


_FRACTION = re.compile(rb"[:,\[]\s*-?[0-9]+[.eE]")


def _as_json(body: bytes) -> Any:
    """The value where the YAML is plain JSON, as clients mostly send it; None where only a YAML parser can tell."""
    if not body.startswith((b"{", b"[")) or _FRACTION.search(body):
        return None
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return None if too_deep(value) or may_repeat(body, value) else value


def _check_depth(body: bytes) -> None:
    """Refuses deep nesting before nodes are composed, which recurses. Raises SyntaxFailure."""
    depth = 0
    for event in yaml.parse(body, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise SyntaxFailure("yaml: exceeded max depth")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _message(error: yaml.MarkedYAMLError) -> str:
    line = error.problem_mark.line if error.problem_mark else 0
    if line:
        line += isinstance(error, yaml.scanner.ScannerError)
    elif error.context_mark:
        line = error.context_mark.line
    return f"yaml: line {line}: {error.problem}" if line else f"yaml: {error.problem}"


class _Builder:
    def __init__(self) -> None:
        self.repeated: list[str] = []
        self._open: set[int] = set()

    def value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return scalar(node)
        if id(node) in self._open:
            raise SyntaxFailure("yaml: anchor contains itself")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item) for item in node.value]
            assert isinstance(node, yaml.MappingNode)
            return self._mapping(node)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        for key_node, value_node in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.value == "<<" and not key_node.style:
                merged.extend(self._merged(value_node))
                continue
            key = _key(key_node)
            if key in result:
                self.repeated.append(f'line {key_node.start_mark.line + 1}: key "{key}" already set in map')
            result[key] = self.value(value_node)
        for extra in merged:
            for key, value in extra.items():
                result.setdefault(key, value)
        return result

    def _merged(self, node: yaml.Node) -> list[dict[str, Any]]:
        values = [self.value(n) for n in node.value] if isinstance(node, yaml.SequenceNode) else [self.value(node)]
        if not all(isinstance(v, dict) for v in values):
            raise SyntaxFailure("yaml: map merge requires map or sequence of maps as the value")
        return values


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        kind = "[]interface {}" if isinstance(node, yaml.SequenceNode) else "map[interface {}]interface {}"
        raise SyntaxFailure(f"yaml: invalid map key: {kind}")
    value = scalar(node)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def scalar(node: yaml.ScalarNode) -> Any:
    """The JSON value of a scalar: quoted and block scalars are strings, plain ones are resolved, tags obeyed."""
    text: str = node.value
    if node.tag == f"{_TAG}binary":
        return base64.b64decode(text).decode("utf-8", errors="replace")
    explicit_text = node.tag not in (_UNTAGGED, *(_TAG + t for t in ("null", "int", "bool", "float")))
    return text if node.style or explicit_text else _resolve(text)


def _resolve(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if text in _SPECIAL_FLOATS:
        raise SyntaxFailure("error converting YAML to JSON: json: unsupported value: " + text)
    plain = text.replace("_", "")
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(plain):
            number = int(re.sub(r"0[xXbBoO]", "", plain, count=1) if base != 10 else plain, base)
            return number if -(1 << 63) <= number < (1 << 64) else float(number)
    if _FLOAT.fullmatch(plain):
        value = float(plain)
        return int(value) if value.is_integer() and abs(value) < 1e21 else value
    return text
