from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from dnslib import QTYPE, RCODE, RR, A, DNSRecord
from prometheus_client import CollectorRegistry

from clusterdns.answer import Zone
from clusterdns.forward import Failed, Forwarder, Upstream, Upstreams, nameservers, parse_upstream
from clusterdns.metrics import DnsMetrics
from clusterdns.server import DnsServer, Resolver
from clusterdns.snapshot import StoreSnapshot
from kubeling.client.errors import StartError

SERVICES = [
    {"metadata": {"name": "web", "namespace": "default"}, "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80}]}},
    {"metadata": {"name": "many", "namespace": "default"}, "spec": {"clusterIP": "None"}},
    {
        "metadata": {"name": "out", "namespace": "default"},
        "spec": {"type": "ExternalName", "externalName": "up.example"},
    },
]
MANY = {
    "metadata": {"name": "many-x", "namespace": "default", "labels": {"kubernetes.io/service-name": "many"}},
    "ports": [{"port": 1}],
    "endpoints": [{"addresses": [f"10.244.1.{i}"]} for i in range(1, 200)],
}


class _Upstream(asyncio.DatagramProtocol):
    """A resolver that knows 192.0.2.1 for every name, or never answers."""

    def __init__(self, silent: bool) -> None:
        self.silent = silent
        self.asked: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = DNSRecord.parse(data)
        self.asked.append(str(query.q.qname))
        if not self.silent:
            reply = query.reply()
            reply.add_answer(RR(query.q.qname, rdata=A("192.0.2.1"), ttl=60))
            self.transport.sendto(reply.pack(), addr)  # type: ignore[attr-defined]


@asynccontextmanager
async def upstream(silent: bool = False) -> AsyncIterator[tuple[Upstream, _Upstream]]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: _Upstream(silent), local_addr=("127.0.0.1", 0))
    try:
        yield Upstream(*transport.get_extra_info("sockname")), protocol
    finally:
        transport.close()


@asynccontextmanager
async def running(*upstreams: Upstream, ready: bool = True, port: int = 0) -> AsyncIterator[tuple[Upstream, Forwarder]]:
    forwarder = Forwarder(Upstreams(upstreams, [], Path("/nonexistent")), seconds=0.3)
    snapshot = StoreSnapshot.of(SERVICES, [MANY], [{"metadata": {"name": "default"}}])
    metrics = DnsMetrics(CollectorRegistry())
    resolver = Resolver(snapshot, lambda: Zone(), forwarder, ready=lambda: ready, metrics=metrics, rng=random.Random(1))
    server = DnsServer(resolver, "127.0.0.1", port)
    port = await server.start()
    try:
        yield Upstream("127.0.0.1", port), forwarder
    finally:
        await server.stop()


async def dig(server: Upstream, name: str, *, tcp: bool = False) -> DNSRecord:
    """Asks as any client does: the forwarder is one."""
    told = await Forwarder(Upstreams([server], []), seconds=3).ask(DNSRecord.question(name).pack(), tcp=tcp)
    assert not isinstance(told, Failed), told
    return DNSRecord.parse(told)


@pytest.mark.parametrize("tcp", [False, True])
async def test_cluster_names_and_others(tcp: bool) -> None:
    async with upstream() as (above, protocol), running(above) as (server, _):
        assert [str(rr.rdata) for rr in (await dig(server, "web.default.svc.cluster.local", tcp=tcp)).rr] == [
            "10.96.0.7"
        ]
        if not tcp:  # our upstream speaks UDP alone
            assert [str(rr.rdata) for rr in (await dig(server, "www.example.com")).rr] == ["192.0.2.1"]
            assert protocol.asked == ["www.example.com."]


async def test_an_external_name_is_followed() -> None:
    async with upstream() as (above, _), running(above) as (server, _):
        answers = (await dig(server, "out.default.svc.cluster.local")).rr
        assert [(QTYPE[rr.rtype], str(rr.rdata)) for rr in answers] == [("CNAME", "up.example."), ("A", "192.0.2.1")]


async def test_a_long_answer_is_truncated_by_udp_and_whole_by_tcp() -> None:
    async with running() as (server, _):
        assert (await dig(server, "many.default.svc.cluster.local")).header.tc == 1
        whole = await dig(server, "many.default.svc.cluster.local", tcp=True)
        assert (whole.header.tc, len(whole.rr)) == (0, 199)
        again = await dig(server, "many.default.svc.cluster.local", tcp=True)
        assert [str(r.rdata) for r in whole.rr] != [str(r.rdata) for r in again.rr]  # in changing order


async def test_a_silent_resolver_is_passed_over() -> None:
    async with upstream(silent=True) as (silent, _), upstream() as (good, _), running(silent, good) as (server, _):
        for _ in range(6):  # whichever is asked first
            assert (await dig(server, "www.example.com")).header.rcode == RCODE.NOERROR


@pytest.mark.parametrize("upstreams", [[], [Upstream("127.0.0.1", 1)]], ids=["none", "nobody there"])
async def test_without_an_answer_from_above_it_is_servfail(upstreams: list[Upstream]) -> None:
    async with running(*upstreams) as (server, _):
        assert (await dig(server, "www.example.com")).header.rcode == RCODE.SERVFAIL


async def test_before_the_first_sync_it_is_servfail() -> None:
    async with running(ready=False) as (server, _):
        assert (await dig(server, "web.default.svc.cluster.local")).header.rcode == RCODE.SERVFAIL


async def test_a_resolver_that_asks_us_back_is_not_asked_any_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as finder:
        port = finder.getsockname()[1]
    ourselves = Upstream("127.0.0.1", port)  # as an address that we do not know for our own
    async with running(ourselves, port=port) as (_, forwarder):
        await forwarder.detect_loops()
        assert await forwarder.ask(DNSRecord.question("www.example.com").pack()) == Failed(
            "there is no resolver to ask"
        )


async def test_garbage_is_ignored() -> None:
    async with running() as (server, _):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=server)
        for data in (b"", b"x", bytes(12), b"\xff" * 40):
            transport.sendto(data)
        transport.close()
        assert (await dig(server, "web.default.svc.cluster.local")).rr


async def test_a_port_in_use_is_told_in_one_line() -> None:
    async with running() as (server, _):
        other = DnsServer(None, server.host, server.port)  # type: ignore[arg-type]  # it never gets to answer
        with pytest.raises(
            StartError, match=rf"cannot listen on 127.0.0.1:{server.port}: .* choose --bind-address and --port"
        ):
            await other.start()


@pytest.mark.parametrize(
    ("text", "upstream"),
    [
        ("192.0.2.1", Upstream("192.0.2.1", 53)),
        ("192.0.2.1:5353", Upstream("192.0.2.1", 5353)),
        ("2001:db8::1", Upstream("2001:db8::1", 53)),
        ("[2001:db8::1]:54", Upstream("2001:db8::1", 54)),
    ],
)
def test_parse_upstream(text: str, upstream: Upstream) -> None:
    assert parse_upstream(text) == upstream


def test_the_hosts_resolvers(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    text = "# comment\nsearch example.com\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\noptions ndots:2\n"
    assert nameservers(text) == [Upstream("192.0.2.1"), Upstream("fe80::1")]
    file.write_text(text)
    upstreams = Upstreams([], [Upstream("fe80::1")], file)
    assert upstreams.current() == [Upstream("192.0.2.1")]
    file.write_text("nameserver 192.0.2.9\nnameserver 192.0.2.10\n")
    assert upstreams.current() == [Upstream("192.0.2.9"), Upstream("192.0.2.10")]
