from __future__ import annotations

from kubeling.api.names import is_qualified_name


def test_what_is_remembered_of_a_name_cannot_be_spoiled() -> None:
    first = is_qualified_name("a b")
    assert first
    first.append("spoiled")
    assert is_qualified_name("a b") == first[:-1]
    assert is_qualified_name("a/b") == []
