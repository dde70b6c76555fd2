"""The server's sockets: UDP and TCP, from bytes to bytes."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import cast

from dnslib import QTYPE, RCODE, DNSError, DNSRecord

from clusterdns.answer import Reply, Zone, answer, error, fitted, udp_limit
from clusterdns.forward import Failed, Forwarder
from clusterdns.metrics import DnsMetrics
from clusterdns.snapshot import Snapshot
from kubeling.client.errors import StartError

log = logging.getLogger(__name__)

TCP_IDLE_SECONDS = 10.0
_MAX_UDP = 65535


class Resolver:
    """Answers queries: the cluster's from the snapshot, all others by asking upstream.

    ``ready`` says whether the snapshot is complete; until then names of the cluster are SERVFAIL, which clients try again.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        zone: Callable[[], Zone],
        forwarder: Forwarder,
        *,
        ready: Callable[[], bool],
        metrics: DnsMetrics,
        rng: random.Random | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._zone = zone
        self._forwarder = forwarder
        self._ready = ready
        self._metrics = metrics
        self._random = rng or random.Random()

    async def resolve(self, data: bytes, *, tcp: bool) -> bytes | None:
        """The response to a query; None when the bytes are no query at all and deserve none."""
        started = time.perf_counter()
        try:
            query = DNSRecord.parse(data)
        except DNSError as err:
            log.debug("not a DNS message: %s", err)
            return None
        if query.header.qr:
            return None
        response, rcode = await self._resolve(query, data, tcp)
        kind = QTYPE.get(query.q.qtype, "other") if query.questions else "other"
        self._metrics.observe(str(kind), "tcp" if tcp else "udp", rcode, time.perf_counter() - started)
        return response

    async def _resolve(self, query: DNSRecord, data: bytes, tcp: bool) -> tuple[bytes, str]:
        reply = answer(query, self._snapshot, self._zone())
        if reply is None:
            return await self._forward(query, data, tcp)
        if not self._ready():
            record = error(query, RCODE.SERVFAIL)
        else:
            record = await self._followed(query, reply, tcp) if reply.follow else reply.record
            self._random.shuffle(record.rr) if _is_address_list(record) else None
        return fitted(record, _MAX_UDP if tcp else udp_limit(query)), str(RCODE.get(record.header.rcode, "BADVERS"))

    async def _forward(self, query: DNSRecord, data: bytes, tcp: bool) -> tuple[bytes, str]:
        if self._forwarder.is_probe(query):
            return error(query, RCODE.SERVFAIL).pack(), "SERVFAIL"
        response = await self._forwarder.ask(data, tcp=tcp)
        if isinstance(response, Failed):
            log.debug("cannot resolve %s: %s", query.q.qname, response.why)
            self._metrics.forward_failures.inc()
            return error(query, RCODE.SERVFAIL).pack(), "SERVFAIL"
        return response, str(RCODE.get(response[3] & 15, "other"))

    async def _followed(self, query: DNSRecord, reply: Reply, tcp: bool) -> DNSRecord:
        """The reply with what upstream knows of the name that it leads to; the CNAME alone when that fails."""
        question = DNSRecord.question(reply.follow, QTYPE.get(query.q.qtype)).pack()
        told = await self._forwarder.ask(question, tcp=tcp)
        if isinstance(told, Failed):
            log.debug("cannot resolve %s: %s", reply.follow, told.why)
            return reply.record
        try:
            reply.record.rr.extend(DNSRecord.parse(told).rr)
        except DNSError as err:
            log.debug("upstream's answer for %s cannot be read: %s", reply.follow, err)
        return reply.record


def _is_address_list(record: DNSRecord) -> bool:
    """Whether the answers may be put in any order."""
    return len(record.rr) > 1 and all(rr.rtype in (QTYPE.A, QTYPE.AAAA) for rr in record.rr)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            response = await self._resolver.resolve(data, tcp=False)
        except Exception:  # one query's defect must not end the service
            log.exception("cannot answer a query")
            return
        if response is not None and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(response, addr)


class DnsServer:
    """Listens on one address by UDP and TCP."""

    def __init__(self, resolver: Resolver, address: str, port: int) -> None:
        self._resolver = resolver
        self._address = address
        self._port = port
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    async def start(self) -> int:
        """Listens; answers the port (the one chosen when it was 0). Raises StartError."""
        try:
            self._tcp = await asyncio.start_server(self._serve, self._address, self._port)
            port: int = self._tcp.sockets[0].getsockname()[1]
            loop = asyncio.get_running_loop()
            self._udp, _ = await loop.create_datagram_endpoint(
                lambda: _Udp(self._resolver), local_addr=(self._address, port)
            )
        except OSError as err:
            await self.stop()
            where = f"{self._address}:{self._port}"
            raise StartError(f"cannot listen on {where}: {err.strerror}; choose --bind-address and --port") from err
        return port

    async def stop(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the queries of one connection in turn until it is idle for too long."""
        try:
            while True:
                async with asyncio.timeout(TCP_IDLE_SECONDS):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    data = await reader.readexactly(size)
                response = await self._resolver.resolve(data, tcp=True)
                if response is None:
                    return
                writer.write(len(response).to_bytes(2, "big") + response)
                await writer.drain()
        except (OSError, EOFError, TimeoutError) as err:
            log.debug("TCP connection ended: %s", err)
        finally:
            writer.close()
