"""Queries that are not the cluster's: asked of the host's resolvers, each in turn, with a deadline."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

from dnslib import QTYPE, DNSError, DNSRecord

log = logging.getLogger(__name__)

ATTEMPT_SECONDS = 2.0
MAX_CONCURRENT = 1000
RESOLV_CONF = Path("/etc/resolv.conf")


class Upstream(NamedTuple):
    """A resolver's address."""

    host: str
    port: int = 53


def parse_upstream(text: str) -> Upstream:
    """``192.0.2.1``, ``192.0.2.1:5353`` or ``[2001:db8::1]:53``. Raises ValueError."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return Upstream(host, int(port.removeprefix(":") or 53))
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return Upstream(host, int(port))
    return Upstream(text)


def nameservers(resolv_conf: str) -> list[Upstream]:
    """The resolvers that a resolv.conf names, in order."""
    lines = (line.split() for line in resolv_conf.splitlines())
    return [Upstream(words[1].partition("%")[0]) for words in lines if len(words) > 1 and words[0] == "nameserver"]


@dataclass(frozen=True, slots=True)
class Failed:
    """Nobody answered; ``why`` is for the log."""

    why: str


class Upstreams:
    """The resolvers to ask: fixed ones, or those of the host's resolv.conf, read again whenever it changes.

    ``own`` are the addresses at which we ourselves answer: asking ourselves would never end.
    """

    def __init__(self, fixed: Sequence[Upstream], own: Iterable[Upstream], resolv_conf: Path = RESOLV_CONF) -> None:
        self._fixed = list(fixed)
        self._own = frozenset(own)
        self._file = resolv_conf
        self._read_at = 0
        self._from_file: list[Upstream] = []
        self._looping: set[Upstream] = set()

    def current(self) -> list[Upstream]:
        known = self._fixed or self._read()
        return [u for u in known if u not in self._own and u not in self._looping]

    def exclude(self, upstream: Upstream) -> None:
        """This resolver sends our queries back to us."""
        self._looping.add(upstream)

    def _read(self) -> list[Upstream]:
        try:
            changed = self._file.stat().st_mtime_ns
            if changed != self._read_at:
                self._from_file = nameservers(self._file.read_text())
                self._read_at = changed
                self._looping.clear()
        except OSError as err:
            log.warning("cannot read %s: %s", self._file, err.strerror)
        return self._from_file


class Forwarder:
    """Asks upstream; the response is passed on as it came, with the client's own id."""

    def __init__(self, upstreams: Upstreams, *, seconds: float = ATTEMPT_SECONDS) -> None:
        self._upstreams = upstreams
        self._seconds = seconds
        self._in_flight = 0
        self._probes: dict[str, int] = {}

    async def ask(self, query: bytes, *, tcp: bool = False) -> bytes | Failed:
        """The first answer of any resolver, tried in random order, over the transport that the client used."""
        upstreams = self._upstreams.current()
        if not upstreams:
            return Failed("there is no resolver to ask")
        if self._in_flight >= MAX_CONCURRENT:
            return Failed(f"more than {MAX_CONCURRENT} queries wait for an answer")
        self._in_flight += 1
        try:
            return await self._ask_each(query, random.sample(upstreams, len(upstreams)), tcp)
        finally:
            self._in_flight -= 1

    async def _ask_each(self, query: bytes, upstreams: list[Upstream], tcp: bool) -> bytes | Failed:
        problems = []
        for upstream in upstreams:
            our_id = secrets.token_bytes(2)  # unguessable, whatever the client chose
            try:
                async with asyncio.timeout(self._seconds):
                    exchange = _ask_tcp if tcp else _ask_udp
                    reply = await exchange(our_id + query[2:], upstream)
                return query[:2] + reply[2:]
            except TimeoutError:
                problems.append(f"{upstream.host}: no answer within {self._seconds:g} s")
            except (OSError, EOFError) as err:
                problems.append(f"{upstream.host}: {err}")
        return Failed("; ".join(problems))

    async def detect_loops(self) -> None:
        """Asks each resolver for a name that nobody knows and excludes those that bring the question back to us."""
        for upstream in self._upstreams.current():
            name = f"{secrets.token_hex(8)}.{secrets.token_hex(8)}"
            self._probes[name] = 0
            probe = DNSRecord.question(name, "HINFO").pack()
            await self._ask_each(probe, [upstream], tcp=False)
            if self._probes.pop(name):
                log.error(
                    "resolver %s:%d sends our queries back to us: not asking it; choose others with --forward",
                    *upstream,
                )
                self._upstreams.exclude(upstream)

    def is_probe(self, query: DNSRecord) -> bool:
        """Whether this query is our own, come back."""
        name = str(query.q.qname).rstrip(".") if query.questions else ""
        if name not in self._probes or query.q.qtype != QTYPE.HINFO:
            return False
        self._probes[name] += 1
        return True


class _Question(asyncio.DatagramProtocol):
    """Waits for the one datagram that answers a query."""

    def __init__(self, query: bytes) -> None:
        self._query = query
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.DatagramTransport, transport).sendto(self._query)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data[:2] == self._query[:2] and _same_question(data, self._query) and not self.answered.done():
            self.answered.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(exc)


def _same_question(reply: bytes, query: bytes) -> bool:
    try:
        asked, told = DNSRecord.parse(query).q, DNSRecord.parse(reply).q
    except DNSError:
        return False
    return bool(asked.qname == told.qname and asked.qtype == told.qtype)


async def _ask_udp(query: bytes, upstream: Upstream) -> bytes:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: _Question(query), remote_addr=upstream)
    try:
        return await protocol.answered
    finally:
        transport.close()


async def _ask_tcp(query: bytes, upstream: Upstream) -> bytes:
    reader, writer = await asyncio.open_connection(upstream.host, upstream.port)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        size = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(size)
    finally:
        writer.close()
