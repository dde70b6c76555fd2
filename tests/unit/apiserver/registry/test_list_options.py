from __future__ import annotations

import pytest

from apiserver.registry.continuation import ContinuationError, decode_continue, encode_continue
from apiserver.registry.kind import Kind
from apiserver.registry.options import list_options, write_parameters
from kubeling.api.errors import StatusError
from kubeling.api.resources import CONFIG_MAPS


def refused(watch: bool, **query: str) -> StatusError:
    with pytest.raises(StatusError) as err:
        list_options({k: [v] for k, v in query.items()}, Kind(CONFIG_MAPS), "v1", watch=watch)
    return err.value


@pytest.mark.parametrize(
    ("watch", "query", "code", "words"),
    [
        (False, {"limit": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        (False, {"resourceVersion": "-5"}, 500, 'strconv.ParseUint: parsing "-5": invalid syntax'),
        (False, {"resourceVersionMatch": "Exact"}, 422, "is forbidden unless resourceVersion is provided"),
        (False, {"resourceVersion": "1", "resourceVersionMatch": "Odd"}, 422, "Unsupported value"),
        (False, {"resourceVersion": "0", "resourceVersionMatch": "Exact"}, 422, 'is forbidden for resourceVersion "0"'),
        (False, {"sendInitialEvents": "true"}, 422, "sendInitialEvents is forbidden for list"),
        (
            True,
            {"resourceVersionMatch": "NotOlderThan"},
            422,
            "forbidden for watch unless sendInitialEvents is provided",
        ),
        (True, {"sendInitialEvents": "true"}, 422, "requires setting resourceVersionMatch to NotOlderThan"),
        (False, {"fieldSelector": "spec.x=1"}, 400, '"spec.x" is not a known field selector'),
        (False, {"labelSelector": "a b"}, 400, "unable to parse requirement: found 'b'"),
        (False, {"continue": "e30"}, 400, "does not recognize this encoded version"),
    ],
)
def test_what_is_refused(watch: bool, query: dict[str, str], code: int, words: str) -> None:
    err = refused(watch, **query)
    assert err.code == code and words in err.message


def test_write_parameters() -> None:
    given = write_parameters(
        {"dryRun": ["All"], "fieldManager": ["me"], "fieldValidation": ["Strict"]}, "CreateOptions"
    )
    assert (given.dry_run, given.manager, given.validation) == (True, "me", "Strict")
    for query, kind in (
        ({"dryRun": ["x"]}, "CreateOptions"),
        ({"fieldValidation": ["x"]}, "UpdateOptions"),
        ({"force": ["true"]}, "PatchOptions"),
    ):
        with pytest.raises(StatusError) as err:
            write_parameters(query, kind)
        assert err.value.code == 422
    with pytest.raises(StatusError, match="is required for apply patch"):
        write_parameters({}, "PatchOptions", apply=True)


def test_continue_tokens_go_round() -> None:
    token = encode_continue("/b\0", 1504)
    assert token == "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTUwNCwic3RhcnQiOiIvYlx1MDAwMCJ9"
    found = decode_continue(token)
    assert (found.revision, found.start) == (1504, "b\0")
    for bad in ("!!", "e30", encode_continue("", 5), encode_continue("a/../b", 5)):
        with pytest.raises(ContinuationError):
            decode_continue(bad)
