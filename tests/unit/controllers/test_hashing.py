import pytest

from controllers.lib.hashing import fnv32, fnv32a, go_json, revision_hash, safe_encode


@pytest.mark.parametrize(
    ("data", "fnv1", "fnv1a"),
    [(b"", 0x811C9DC5, 0x811C9DC5), (b"a", 0x050C5D7E, 0xE40C292C), (b"foobar", 0x31F0B262, 0xBF9CF968)],
)
def test_published_values(data: bytes, fnv1: int, fnv1a: int) -> None:
    assert (fnv32(data), fnv32a(data)) == (fnv1, fnv1a)


def test_json_as_go_writes_maps() -> None:
    assert (
        go_json({"b": "<&>\u2028é\n", "a": [1, None]})
        == b'{"a":[1,null],"b":"\\u003c\\u0026\\u003e\\u2028\xc3\xa9\\n"}'
    )


def test_the_hash_of_a_revision_takes_in_the_collisions_as_text() -> None:
    assert revision_hash({}, 0) == safe_encode(str(fnv32(b"{}0")))
    assert revision_hash({}, 12) == safe_encode(str(fnv32(b"{}12")))
