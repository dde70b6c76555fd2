from __future__ import annotations

import pytest

from kubeling.api import errors


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        (404, "NotFound", "the server could not find the requested resource ( pods/log p)"),
        (403, "Forbidden", "what it said ( pods/log p)"),
        (
            502,
            "InternalError",
            'an error on the server ("what it said") has prevented the request from succeeding ( pods/log p)',
        ),
        (418, "", "the server responded with the status code 418 but did not return more information ( pods/log p)"),
    ],
)
def test_what_other_servers_answer(code: int, reason: str, message: str) -> None:
    err = errors.server_response(code, "what it said", "", "pods/log", "p")
    assert (err.code, err.reason, err.message) == (code, reason, message)
    assert err.details["kind"] == "pods/log"
