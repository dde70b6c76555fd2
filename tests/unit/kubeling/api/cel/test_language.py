"""The language: values, complaints, and that nothing but CelError ever comes out of an evaluation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeling.api.cel.declared import (
    ADMISSION,
    DEVICE,
    OBJECT,
    PATCHES,
    Refused,
    admission_env,
    compiled,
    device_selector,
)
from kubeling.api.cel.errors import CelError, CompileError, CostExceeded
from kubeling.api.cel.parser import parse
from kubeling.api.cel.program import compile_program
from kubeling.api.cel.types import BOOL, INT, STRING, map_of
from kubeling.api.cel.values import Duration, UInt

ENV = ADMISSION.extend({"labels": map_of(STRING, STRING), "n": INT})
OBJ = {"metadata": {"name": "web", "labels": {"a": "b"}}, "spec": {"replicas": 3, "ports": [80, 443]}}
VALUES = {"object": OBJ, "oldObject": None, "labels": {"x": "1"}, "n": 7}

GIVES = [
    ("1 + 2 * 3", 7),
    ("-7 / 2", -3),
    ("-7 % 2", -1),
    ("1u + 2u", UInt(3)),
    ("1.5 * 2.0", 3.0),
    ("0x10 + 1", 17),
    ("'a' + \"b\" + r'\\n'", "ab\\n"),
    ("'\\u00e9\\x41\\101'", "éAA"),
    ("b'\\xff'", b"\xff"),
    ("object.spec.replicas > 2 && object.metadata.name.startsWith('w')", True),
    ("object.none || true", True),
    ("true || object.none", True),
    ("object.none && false", False),
    ("has(object.spec.none) ? 1 : 2", 2),
    ("object.spec.ports.all(p, p > 79)", True),
    ("object.spec.ports.exists(p, p / 0 == 1 || p == 80)", True),
    ("[1, 2, 3].exists_one(x, x > 2)", True),
    ("[1, 2, 3].map(x, x > 1, x * 2)", [4, 6]),
    ("[1, 2, 3].filter(x, x % 2 == 1)", [1, 3]),
    ("{'a': 1}.transformMap(k, v, v + 1)", {"a": 2}),
    ("[5, 6].transformList(i, v, i + v)", [5, 7]),
    ("[5, 6].all(i, v, v - i == 5)", True),
    ("[1, 2] == [1, 2] && {'a': 1} != {'a': 2}", True),
    ("dyn(1) == dyn(1.0) && 1 < 1.5", True),
    ("'a' in labels || 'x' in labels", True),
    ("object.metadata.?labels.?none.orValue('no')", "no"),
    ("object.?metadata.labels['a'].value()", "b"),
    ("optional.of(2).optMap(v, v * 2).orValue(0)", 4),
    ("[?optional.none(), 1]", [1]),
    ("{?'a': optional.of(1)}", {"a": 1}),
    ("string(1.5) + string(2) + string(true) + string(duration('90s'))", "1.52true90s"),
    ("string(timestamp('2024-02-29T01:02:03.5Z') + duration('24h'))", "2024-03-01T01:02:03.5Z"),
    ("timestamp('2024-02-29T01:02:03Z').getDayOfYear()", 59),
    ("duration('1h30m') - duration('30m')", Duration(3600 * 10**9)),
    ("int('42') + int(2.9) + int(3u)", 47),
    ("type(1) == int && type('') == string", True),
    ("size('añb') + size([1]) + labels.size()", 5),
    ("'hello'.matches('^h.*o$')", True),
    ("'%s is %d, %.1f, %x'.format([dyn('a'), 3, 1.25, 255])", "a is 3, 1.2, ff"),
    ("'a,b'.split(',').join('-') + 'Ab'.lowerAscii() + 'xyz'.substring(1, 2)", "a-baby"),
    ("'abcb'.replace('b', 'x', 1) + string('abcb'.lastIndexOf('b'))", "axcb3"),
    ("[3, 1, 2].max() + [3, 1].min() + [1, 2].sum() + [1, 2].indexOf(2)", 8),
    ("['a', 'b'].isSorted() && sets.intersects([1, 2], [2])", True),
    ("'a1b22'.findAll('[0-9]+')", ["1", "22"]),
    ("quantity('1Gi').isGreaterThan(quantity('1G')) && quantity('1').add(2).asInteger() == 3", True),
    ("url('https://u@a.example:80/p%20q?x=1&x=2').getPort() + url('https://a/p%20q').getPath()", "80/p q"),
    ("url('/x?a=1&a=2').getQuery()['a']", ["1", "2"]),
    ("ip('127.0.0.1').isLoopback() && ip('::1').family() == 6 && isIP('x') == false", True),
    ("cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && cidr('10.0.0.7/8').masked() == cidr('10.0.0.0/8')", True),
    ("semver('1.2.3-rc.1').isLessThan(semver('1.2.3')) && isSemver('v1', true)", True),
    ("format.named('dns1123Label').value().validate('ok') == optional.none()", True),
]


@pytest.mark.parametrize(("source", "value"), GIVES)
def test_gives(source: str, value: object) -> None:
    result = compile_program(ENV, source).evaluate(VALUES)
    assert result == value
    assert type(result) is type(value)


FAILS = [
    ("object.none", "no such key: none"),
    ("object.spec.ports[5]", "index out of bounds: 5"),
    ("labels['none']", "no such key: none"),
    ("9223372036854775807 + 1", "integer overflow"),
    ("0u - 1u", "unsigned integer overflow"),
    ("1 / 0", "division by zero"),
    ("1 % 0", "modulus by zero"),
    ("object.metadata.name > 1", "no such overload"),
    ("object.spec.ports.all(p, object.none)", "no such key: none"),
    ("optional.none().value()", "optional.none() dereference"),
    ("int('x')", 'strconv.ParseInt: parsing "x": invalid syntax'),
    ("[].max()", "max called on empty list"),
]


@pytest.mark.parametrize(("source", "text"), FAILS)
def test_fails(source: str, text: str) -> None:
    with pytest.raises(CelError) as failure:
        compile_program(ENV, source).evaluate(VALUES)
    assert str(failure.value) == text


OPERANDS = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)
REFUSES = [
    ("foo.bar", "ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo.bar\n | ^"),
    ("foo(1)", "ERROR: <input>:1:4: undeclared reference to 'foo' (in container '')\n | foo(1)\n | ...^"),
    ("b +", f"ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' expecting {OPERANDS}\n | b +\n | ...^"),
    ("n =", "ERROR: <input>:1:3: Syntax error: token recognition error at: '='\n | n =\n | ..^"),
    ("(1", "ERROR: <input>:1:3: Syntax error: missing ')' at '<EOF>'\n | (1\n | ..^"),
    ("1 2", "ERROR: <input>:1:3: Syntax error: extraneous input '2' expecting <EOF>\n | 1 2\n | ..^"),
    ("1 + 'a'", "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'\n | 1 + 'a'\n | ..^"),
    ("n.x", "ERROR: <input>:1:2: type 'int' does not support field selection\n | n.x\n | .^"),
    ("request.nope", "ERROR: <input>:1:8: undefined field 'nope'\n | request.nope\n | .......^"),
    ("[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^"),
    ("has(n)", "ERROR: <input>:1:5: invalid argument to has() macro\n | has(n)\n | ....^"),
    ("[1].all(1, true)", "ERROR: <input>:1:9: argument must be a simple name\n | [1].all(1, true)\n | ........^"),
    (
        "n.all(x, true)",
        "ERROR: <input>:1:1: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)"
        "\n | n.all(x, true)\n | ^",
    ),
    ("n.startsWith('a')", "ERROR: <input>:1:13: found no matching overload for 'startsWith' applied to 'int.(string)'"
     "\n | n.startsWith('a')\n | ............^"),
    ("true &&\n  nope", "ERROR: <input>:2:3: undeclared reference to 'nope' (in container '')\n |   nope\n | ..^"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "text"), REFUSES)
def test_refuses(source: str, text: str) -> None:
    with pytest.raises(CompileError) as failure:
        compile_program(ENV, source)
    assert str(failure.value) == text


def test_what_an_expression_must_give() -> None:
    env = admission_env(mutation=True)
    for source, wanted, text in (
        ("'x'", (BOOL,), "must evaluate to bool but got string"),
        ("'text'", (PATCHES,), "must evaluate to list(JSONPatch) but got string"),
    ):
        with pytest.raises(Refused) as failure:
            compiled(env, source, *wanted)
        assert str(failure.value) == text
    assert compiled(env, "Object{metadata: Object.metadata{labels: {'a': 'b'}}}", OBJECT).evaluate({}) == {
        "metadata": {"labels": {"a": "b"}}
    }


def test_device_selectors() -> None:
    device = {"driver": "d", "attributes": {"d.example": {"model": "x"}}, "capacity": {}}
    bound = device_selector("cel.bind(a, device.attributes['d.example'], a.model == 'x')")
    assert bound.evaluate({"device": device}) is True
    with pytest.raises(Refused, match="must evaluate to bool or the unknown type, not int"):
        device_selector("1")
    assert DEVICE.bindings


def test_an_evaluation_that_costs_too_much_is_cancelled() -> None:
    values = {"object": {"items": list(range(2000))}}
    program = compile_program(ENV, "object.items.all(x, object.items.all(y, x + y >= 0))")
    with pytest.raises(CostExceeded, match="operation cancelled: actual cost limit exceeded"):
        program.evaluate(values)


def test_costs_are_those_of_cel_go() -> None:
    for source, cost in (
        ("[1, 2, 3].all(x, true)", 20),
        ("'abc'.startsWith('a')", 1),
        ("object.spec.replicas", 3),
        ("[]", 10),
    ):
        assert compile_program(ENV, source).measured(VALUES)[1] == cost


_ATOMS = st.sampled_from(
    [
        "1",
        "-2",
        "2u",
        "1.5",
        "'a'",
        "b'x'",
        "true",
        "null",
        "n",
        "object",
        "object.spec",
        "labels",
        "[1, 2]",
        "{'a': 1}",
        "x",
    ]
)
_SOURCES = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%", "==", "<", "in", "&&", "||"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} ? {t[1]} : {t[2]})"),
        st.tuples(inner, st.sampled_from(["all", "exists", "map", "filter", "exists_one"]), inner).map(
            lambda t: f"dyn({t[0]}).{t[1]}(x, {t[2]})"
        ),
        st.tuples(st.sampled_from(["size", "string", "int", "dyn", "type", "quantity", "ip", "!"]), inner).map(
            lambda t: f"{t[0]}(dyn({t[1]}))"
        ),
        st.tuples(inner, inner).map(lambda t: f"dyn({t[0]})[dyn({t[1]})]"),
        inner.map(lambda t: f"dyn({t}).?name.orValue(1)"),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(_SOURCES)
def test_an_evaluation_raises_nothing_but_its_own_error(source: str) -> None:
    try:
        program = compile_program(ENV, source)
    except CompileError:
        return
    try:
        program.evaluate(VALUES)
    except CelError as error:
        assert str(error)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="abn.()[]{}'\"+-*/%!?:,=<>&|\\ 01xu\n", max_size=30))
def test_any_text_parses_or_is_refused_with_a_place(source: str) -> None:
    try:
        parse(source)
    except CompileError as error:
        assert str(error).startswith("ERROR: <input>:")
