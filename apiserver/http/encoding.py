"""Bytes of answers: JSON, indented JSON, YAML as Go writes it, gzip, Warning headers."""

from __future__ import annotations

import gzip
import re
from typing import Any

import orjson
import yaml

from apiserver.http.message import Header, Request, Response
from apiserver.http.negotiation import YAML_TYPE, Wanted, negotiate, pretty_wanted
from kubeling.api.errors import StatusError

GZIP_FROM = 128 * 1024
"""Smaller answers are not compressed, as upstream decides."""
_YAML_HEADERS: tuple[Header, ...] = ((b"content-type", b"application/yaml"),)
_AMBIGUOUS = ("y", "Y", "n", "N")
_TEXT_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "yaml", "value"))
"""PyYAML gives ``*`` and ``=`` tags of their own; Go's library knows of none, and the emitter quotes them where it must."""


class _Dumper(yaml.CSafeDumper):
    """YAML as Go's library writes it: strings that would read as something else are double-quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _reads_as(dumper: Any, text: str) -> str:
    """The tag that a plain scalar of this text would get."""
    return str(dumper.resolve(yaml.ScalarNode, text, (True, False)))


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.Node:
    style = None
    if "\n" in text:
        style = "|"
    elif text in _AMBIGUOUS or _reads_as(dumper, text) not in _TEXT_TAGS:
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def to_yaml(value: Any) -> bytes:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=True, default_flow_style=False, allow_unicode=True)
    return text.encode()


def encode(value: Any, wanted: Wanted) -> bytes:
    """A JSON value in the encoding wanted, with the line end that Go's encoders write."""
    if wanted.media_type == YAML_TYPE:
        return to_yaml(value)
    if wanted.pretty:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def recode(body: bytes, wanted: Wanted) -> bytes:
    """The same for JSON bytes that exist already: no work in the common case."""
    if wanted.media_type == YAML_TYPE or wanted.pretty:
        return encode(orjson.loads(body), wanted)
    return body + b"\n"


def headers_for(wanted: Wanted) -> list[Header] | None:
    return list(_YAML_HEADERS) if wanted.media_type == YAML_TYPE else None


def wanted_by(request: Request, *, streaming: bool = False) -> Wanted:
    """Negotiates for a request, ``pretty`` included."""
    wanted = negotiate(request.header(b"accept"), streaming)
    pretty = wanted.pretty or pretty_wanted(request.param("pretty"), request.header(b"user-agent"))
    if pretty == wanted.pretty:
        return wanted
    return Wanted(wanted.media_type, pretty, wanted.transform, wanted.version)


def object_response(value: Any, wanted: Wanted, status: int = 200) -> Response:
    return Response(encode(value, wanted), status, headers_for(wanted))


def error_response(err: StatusError, request: Request) -> Response:
    """A Status in the encoding that the client asked for, JSON where that cannot be had."""
    try:
        wanted = negotiate(request.header(b"accept"), routed=False)
    except StatusError:
        wanted = Wanted()
    plain = Wanted(wanted.media_type, pretty_wanted(request.param("pretty"), request.header(b"user-agent")))
    response = object_response(err.status, plain, err.code)
    retry = err.details.get("retryAfterSeconds")
    if retry:
        if response.headers[0][0] == b"content-type":
            response.headers = list(response.headers)
        response.headers.append((b"retry-after", str(retry).encode()))
    return response


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # no header may hold them; names of unknown fields do


def warning_header(text: str) -> Header:
    """RFC 7234: code 299, no agent, the text quoted."""
    quoted = _CONTROL.sub(" ", text.replace("\\", "\\\\").replace('"', '\\"'))
    return b"warning", f'299 - "{quoted}"'.encode()


def compress(response: Response, accept_encoding: str) -> None:
    """Compresses a large body in place when the client can read it."""
    if len(response.body) < GZIP_FROM or "gzip" not in accept_encoding:
        return
    response.body = gzip.compress(response.body, compresslevel=1)
    response.headers = [*response.headers, (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
