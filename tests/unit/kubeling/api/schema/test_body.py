"""From the bytes of a request to an object: syntax errors, kinds, strict errors."""

from __future__ import annotations

import pytest

from kubeling.api.errors import StatusError
from kubeling.api.schema import GVK, SyntaxFailure, decode_body, parse_json, parse_yaml, schemas_for

SCHEMAS = schemas_for()
CONFIG_MAP = GVK("", "v1", "ConfigMap")
DEPLOYMENT = GVK("apps", "v1", "Deployment")


def decode(
    body: str, gvk: GVK = CONFIG_MAP, *, yaml: bool = False, validation: str = "Warn"
) -> tuple[object, list[str]]:
    done = decode_body(body.encode(), gvk, SCHEMAS.of(*gvk), SCHEMAS, yaml=yaml, field_validation=validation)
    return done.obj, done.warnings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{not json", "invalid character 'n' looking for beginning of object key string"),
        ("", "unexpected end of JSON input"),
        ('{"a":1} x', "invalid character 'x' after top-level value"),
        ("nulo", "invalid character 'o' in literal null (expecting 'l')"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ("[1 2]", "invalid character '2' after array element"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ("01", "invalid character '1' after top-level value"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ('"\\q"', "invalid character 'q' in string escape code"),
        ("'a'", "invalid character '\\'' looking for beginning of value"),
        ('"\x01"', "invalid character '\\x01' in string literal"),
    ],
)
def test_json_syntax_errors_are_gos(text: str, message: str) -> None:
    with pytest.raises(SyntaxFailure) as caught:
        parse_json(text.encode())
    assert str(caught.value) == message


def test_repeated_keys_are_found_with_their_paths() -> None:
    value, repeated = parse_json(b'{"a":{"b":1,"b":2},"c":[{"x":1,"x":2}],"s":"\\"k\\": 1"}')
    assert value == {"a": {"b": 2}, "c": [{"x": 2}], "s": '"k": 1'}
    assert repeated == ['duplicate field "a.b"', 'duplicate field "c[0].x"']


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "yaml: line 1: did not find expected node content"),
        ("a: 1\nb: [1\n", "yaml: line 2: did not find expected ',' or ']'"),
    ],
)
def test_yaml_syntax_errors_are_upstreams(text: str, message: str) -> None:
    with pytest.raises(SyntaxFailure) as caught:
        parse_yaml(text.encode())
    assert str(caught.value) == message


def test_yaml_scalars_are_those_of_yaml_1_1() -> None:
    text = 'a: yes\nb: "yes"\nc: 1.0\nd: 0777\ne: 2024-01-01\nf: ~\ng:\nh: 1_000\ni: !!str 5\nj: 1e3\n1: x\nk: *a\n'
    value, _ = parse_yaml(text.replace("a: yes", "a: &a yes").encode())
    assert value == {
        "a": True, "b": "yes", "c": 1, "d": 511, "e": "2024-01-01", "f": None, "g": None, "h": 1000, "i": "5", "j": "1e3",
        "1": "x", "k": True,
    }  # fmt: skip


def test_a_body_without_kind_is_taken_as_the_one_expected() -> None:
    assert decode('{"data": {"a": "b"}}') == (
        {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}, "data": {"a": "b"}},
        [],
    )


@pytest.mark.parametrize(
    ("body", "yaml", "message"),
    [
        (
            "{not json",
            False,
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: "
            "invalid character 'n' looking for beginning of object key string ({not json)",
        ),
        (
            "[]",
            False,
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: json: "
            'cannot unmarshal array into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
            'Kind string "json:\\"kind,omitempty\\"" } (5b5d)',
        ),
        (
            "a: [",
            True,
            "the object provided is unrecognized (must be of type ConfigMap): yaml: line 1: did not find expected node content "
            "(613a205b)",
        ),
        (
            '{"kind": "Gizmo", "apiVersion": "v1"}',
            False,
            'Gizmo in version "v1" cannot be handled as a ConfigMap: no kind "Gizmo" is registered for version "v1" in scheme '
            '"pkg/api/legacyscheme/scheme.go:30"',
        ),
        (
            '{"kind": "Secret", "apiVersion": "v1"}',
            False,
            'Secret in version "v1" cannot be handled as a ConfigMap: '
            "converting (v1.Secret) to (core.ConfigMap): unknown conversion",
        ),
        (
            '{"data": []}',
            False,
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal array into Go struct field '
            "ConfigMap.data of type map[string]string",
        ),
    ],
)
def test_bodies_that_are_refused(body: str, yaml: bool, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        decode(body, yaml=yaml)
    assert (caught.value.code, caught.value.message) == (400, message)


def test_strict_errors_are_warnings_failures_or_nothing() -> None:
    body = '{"spec": {"bogus": 1, "paused": true, "paused": true}}'
    found = ['duplicate field "spec.paused"', 'unknown field "spec.bogus"']
    assert decode(body, DEPLOYMENT)[1] == found
    assert decode(body, DEPLOYMENT, validation="Ignore")[1] == []
    with pytest.raises(StatusError) as caught:
        decode(body, DEPLOYMENT, validation="Strict")
    assert caught.value.message.endswith("as a Deployment: strict decoding error: " + ", ".join(found))


def test_keys_that_yaml_repeats_are_one_error_but_a_warning_each() -> None:
    body = "spec:\n  paused: true\n  paused: false\n  replicas: 1\n  replicas: 1\n"
    lines = ['line 3: key "paused" already set in map', 'line 5: key "replicas" already set in map']
    assert decode(body, DEPLOYMENT, yaml=True)[1] == lines
    with pytest.raises(StatusError) as caught:
        decode(body, DEPLOYMENT, yaml=True, validation="Strict")
    assert caught.value.message.endswith("strict decoding error: yaml: unmarshal errors:\n  " + "\n  ".join(lines))
