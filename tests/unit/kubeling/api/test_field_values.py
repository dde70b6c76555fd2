"""How values print in field errors."""

from kubeling.api.fields import go_json, quoted


def test_strings_print_as_go_quotes_them() -> None:
    assert quoted('a"\\\n\x07\x00\x7f') == r'"a\"\\\n\a\x00\x7f"'
    assert quoted("ü") == '"ü"'


def test_structures_are_safe_in_html() -> None:
    assert quoted({"a": "<b>&"}) == r'{"a":"\u003cb\u003e\u0026"}'
    assert go_json([1], indent=1) == "[\n 1\n]"
