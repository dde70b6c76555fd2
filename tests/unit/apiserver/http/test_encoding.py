from __future__ import annotations

import gzip
from typing import Any

import pytest

from apiserver.http.encoding import compress, encode, recode, to_yaml, warning_header
from apiserver.http.message import Response
from apiserver.http.negotiation import Wanted


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": "x"}, "a: x\nb: 1\n"),
        ({"a": "true", "b": "1", "c": "2026-11-21T01:20:07Z", "d": "y", "e": ""},
         'a: "true"\nb: "1"\nc: "2026-11-21T01:20:07Z"\nd: "y"\ne: ""\n'),
        ({"a": "one\ntwo\n"}, "a: |\n  one\n  two\n"),
        ({"a": [{"b": None}], "c": {}}, "a:\n- b: null\nc: {}\n"),
    ],
)  # fmt: skip
def test_yaml_is_written_as_go_writes_it(value: Any, expected: str) -> None:
    assert to_yaml(value).decode() == expected


def test_json_ends_with_a_newline_and_is_not_touched_otherwise() -> None:
    assert encode({"b": 1, "a": 2}, Wanted()) == b'{"b":1,"a":2}\n'
    assert recode(b'{"b":1}', Wanted()) == b'{"b":1}\n'
    assert recode(b'{"b":1}', Wanted(pretty=True)) == b'{\n  "b": 1\n}\n'


def test_large_answers_are_compressed_for_those_who_can_read_them() -> None:
    response = Response(b"x" * 200_000)
    compress(response, "gzip, deflate")
    assert gzip.decompress(response.body) == b"x" * 200_000
    assert (b"content-encoding", b"gzip") in response.headers
    small = Response(b"x" * 100)
    compress(small, "gzip")
    assert small.body == b"x" * 100


def test_warnings_are_quoted() -> None:
    assert warning_header('unknown field "a"') == (b"warning", b'299 - "unknown field \\"a\\""')
