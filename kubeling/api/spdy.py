"""SPDY/3.1 framing without I/O: bytes in, events out; calls in, bytes to send out.

Only what Kubernetes' streaming uses: streams with headers, data, half-close, reset, ping, goaway. Like upstream's library
there is no flow control of its own: the connection's is enough. Feed received bytes to ``receive``, send what
``data_to_send`` gives after each call.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PROTOCOL = "SPDY/3.1"
_WORDS = [
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
]
_PAIRS = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
# the protocol's fixed dictionary for header compression: its Adler-32 is e3c6a7c2
DICTIONARY = b"".join(struct.pack(">I", len(w)) + w.encode() for w in (*_WORDS, *_PAIRS)) + _TAIL.encode()

_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _HEADERS, _WINDOW = 1, 2, 3, 4, 6, 7, 8, 9
_FIN = 0x01
_MAX_DATA = (1 << 24) - 1
_HEADER = struct.Struct(">II")
_STREAM_ID = 0x7FFFFFFF


class SpdyError(Exception):
    """The peer does not speak the protocol."""


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """``fin``: the peer will send nothing on it. Header names are lower case; several values are joined by NUL."""

    stream: int
    headers: Mapping[str, str]
    fin: bool


@dataclass(frozen=True, slots=True)
class StreamReplied:
    stream: int
    headers: Mapping[str, str]
    fin: bool


@dataclass(frozen=True, slots=True)
class DataReceived:
    """``fin``: the last of the stream; ``data`` may be empty then."""

    stream: int
    data: bytes
    fin: bool


@dataclass(frozen=True, slots=True)
class StreamReset:
    stream: int
    code: int


@dataclass(frozen=True, slots=True)
class GoAway:
    code: int


@dataclass(frozen=True, slots=True)
class PingAnswered:
    id: int


Event = StreamOpened | StreamReplied | DataReceived | StreamReset | GoAway | PingAnswered


class SpdyConnection:
    """One side of a connection. Clients open odd streams, servers even ones."""

    def __init__(self, *, server: bool) -> None:
        self._next = 2 if server else 1
        self._ping = 2 if server else 1
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(level=6, zdict=DICTIONARY)
        self._in = bytearray()
        self._out: list[bytes] = []

    # --- sending -------------------------------------------------------------------------------------------------

    def open(self, headers: Mapping[str, str], *, fin: bool = False) -> int:
        """Opens a stream; answers its number."""
        number, self._next = self._next, self._next + 2
        self._control(_SYN_STREAM, fin, struct.pack(">IIH", number, 0, 0) + self._block(headers))
        return number

    def reply(self, stream: int, headers: Mapping[str, str] | None = None, *, fin: bool = False) -> None:
        """Accepts a stream that the peer has opened."""
        self._control(_SYN_REPLY, fin, struct.pack(">I", stream) + self._block(headers or {}))

    def send(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        """Data on a stream; ``fin`` ends our side of it."""
        for start in range(0, max(1, len(data)), _MAX_DATA):
            piece = data[start : start + _MAX_DATA]
            last = fin and start + _MAX_DATA >= len(data)
            self._out.append(_HEADER.pack(stream & _STREAM_ID, (_FIN if last else 0) << 24 | len(piece)))
            self._out.append(piece)

    def reset(self, stream: int, code: int = 5) -> None:
        """Ends both sides of a stream at once; 5 is CANCEL."""
        self._control(_RST_STREAM, False, struct.pack(">II", stream, code))

    def ping(self) -> int:
        number, self._ping = self._ping, self._ping + 2
        self._control(_PING, False, struct.pack(">I", number))
        return number

    def go_away(self, code: int = 0) -> None:
        self._control(_GOAWAY, False, struct.pack(">II", 0, code))

    def data_to_send(self) -> bytes:
        """Everything to write to the connection since the last call."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def _control(self, kind: int, fin: bool, body: bytes) -> None:
        self._out.append(_HEADER.pack(0x80030000 | kind, (_FIN if fin else 0) << 24 | len(body)) + body)

    def _block(self, headers: Mapping[str, str]) -> bytes:
        block = bytearray(struct.pack(">I", len(headers)))
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                block += struct.pack(">I", len(text)) + text
        return self._deflate.compress(bytes(block)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    # --- receiving -----------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> Iterator[Event]:
        """The events in the bytes received so far. Raises SpdyError."""
        self._in += data
        start = 0
        events: list[Event] = []
        while len(self._in) - start >= _HEADER.size:
            first, second = _HEADER.unpack_from(self._in, start)
            size = second & 0xFFFFFF
            end = start + _HEADER.size + size
            if len(self._in) < end:
                break
            body = bytes(memoryview(self._in)[start + _HEADER.size : end])
            fin = bool(second >> 24 & _FIN)
            start = end
            if first & 0x80000000:
                events += self._control_event(first, fin, body)
            else:
                events.append(DataReceived(first & _STREAM_ID, body, fin))
        del self._in[:start]
        yield from events

    def _control_event(self, first: int, fin: bool, body: bytes) -> list[Event]:
        if first >> 16 & 0x7FFF != 3:
            raise SpdyError(f"SPDY version {first >> 16 & 0x7FFF} is not spoken here")
        kind = first & 0xFFFF
        try:
            if kind == _SYN_STREAM:
                return [StreamOpened(_number(body), self._headers(body[10:]), fin)]
            if kind in (_SYN_REPLY, _HEADERS):
                return [StreamReplied(_number(body), self._headers(body[4:]), fin)]
            if kind == _RST_STREAM:
                return [StreamReset(_number(body), _number(body[4:]))]
            if kind == _GOAWAY:
                return [GoAway(_number(body[4:]))]
            if kind == _PING:
                return self._answer_ping(_number(body))
        except (struct.error, zlib.error, UnicodeDecodeError) as err:
            raise SpdyError(f"malformed SPDY frame: {err}") from err
        return []  # SETTINGS and WINDOW_UPDATE change nothing here

    def _answer_ping(self, number: int) -> list[Event]:
        if number % 2 == self._ping % 2:
            return [PingAnswered(number)]
        self._control(_PING, False, struct.pack(">I", number))
        return []

    def _headers(self, block: bytes) -> dict[str, str]:
        data = self._inflate.decompress(block)
        count, offset = _number(data), 4
        texts = []
        for _ in range(2 * count):
            size = _number(data[offset:])
            texts.append(data[offset + 4 : offset + 4 + size].decode())
            offset += 4 + size
        return dict(zip((t.lower() for t in texts[::2]), texts[1::2], strict=True))


def _number(data: bytes) -> int:
    number: int = struct.unpack_from(">I", data)[0]
    return number & _STREAM_ID
