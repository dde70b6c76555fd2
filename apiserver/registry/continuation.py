"""Continue tokens of paged lists, in upstream's own form.

Source: k8s.io/apiserver/pkg/storage/continue.go (a token is unpadded base64url of a small JSON object).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import orjson

from kubeling.api.schema import SyntaxFailure, parse_json

_VERSION = "meta.k8s.io/v1"
INCONSISTENT = -1
"""The revision of a token that goes on with whatever is there now."""


class ContinuationError(ValueError):
    """The token cannot be used; the message is upstream's."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """``start`` is relative to the list's folder; ``revision`` that of the first page."""

    revision: int
    start: str


def encode_continue(start: str, revision: int) -> str:
    """``start``: the last key given, relative to the folder that is listed, and a zero byte."""
    token = orjson.dumps({"v": _VERSION, "rv": revision, "start": start})
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def decode_continue(token: str) -> Continuation:
    """Raises ContinuationError."""
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ContinuationError(f"continue key is not valid: {_base64_error(token)}") from None
    try:
        value, _ = parse_json(data, duplicates=False)
    except SyntaxFailure as err:
        raise ContinuationError(f"continue key is not valid: {err}") from None
    if not isinstance(value, dict) or value.get("v") != _VERSION:
        version = value.get("v", "") if isinstance(value, dict) else ""
        raise ContinuationError(f"continue key is not valid: server does not recognize this encoded version {version}")
    revision, start = value.get("rv", 0), str(value.get("start", ""))
    if not isinstance(revision, int) or revision == 0:
        raise ContinuationError(
            "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)"
        )
    if not start:
        raise ContinuationError("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)")
    if ".." in start.split("/"):
        raise ContinuationError(f"continue key is not valid: {start}")
    return Continuation(revision, start.lstrip("/"))


def _base64_error(token: str) -> str:
    bad = next((i for i, c in enumerate(token) if not (c.isascii() and (c.isalnum() or c in "-_"))), len(token))
    return f"illegal base64 data at input byte {bad}"
