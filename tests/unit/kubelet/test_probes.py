"""Probes: outcomes over real sockets, thresholds, the manager's verdicts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from kubelet.pods.recorder import LogRecorder
from kubelet.probes.grpc import decode_status, encode_request
from kubelet.probes.http import probe_client, probe_headers, probe_http, probe_tcp, probe_url
from kubelet.probes.manager import ProbeManager
from kubelet.probes.outcome import Outcome, Verdict
from kubelet.probes.tally import Tally
from kubelet.runtime.records import ContainerRecord, PodRecord, State
from kubelet.runtime.specs import PodRef
from kubeling.client.clock import FakeClock

GOOD, BAD, UNKNOWN = Outcome(Verdict.SUCCESS), Outcome(Verdict.FAILURE, "no"), Outcome(Verdict.UNKNOWN)


@pytest.mark.parametrize(
    ("probe", "outcomes", "verdicts"),
    [
        ({"failureThreshold": 2}, [GOOD, BAD, GOOD, BAD, BAD], [True, True, True, True, False]),
        ({"successThreshold": 2}, [GOOD, GOOD, BAD], [None, True, True]),
        ({}, [BAD, BAD, BAD, GOOD], [None, None, False, True]),
        ({"failureThreshold": 1}, [GOOD, UNKNOWN, BAD], [True, True, False]),
    ],
)
def test_thresholds(probe: dict[str, int], outcomes: list[Outcome], verdicts: list[bool | None]) -> None:
    tally, found = Tally(), []
    for outcome in outcomes:
        tally = tally.add(outcome, probe)
        found.append(tally.good)
    assert found == verdicts


async def serve(answer: bytes) -> tuple[asyncio.Server, int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "verdict", "output"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Verdict.SUCCESS, "ok"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", Verdict.FAILURE, "HTTP probe failed with statuscode: 500"),
        (
            b"HTTP/1.1 302 x\r\nLocation: http://other.invalid/\r\nContent-Length: 0\r\n\r\n",
            Verdict.WARNING,
            "Probe terminated redirects, Response body: ",
        ),
    ],
)
async def test_http_probe(answer: bytes, verdict: Verdict, output: str) -> None:
    server, port = await serve(answer)
    async with probe_client() as client, server:
        assert await probe_http(client, {"path": "/x"}, port, "127.0.0.1", 2) == Outcome(verdict, output)


async def test_probes_of_a_closed_port() -> None:
    server, port = await serve(b"")
    server.close()
    await server.wait_closed()
    async with probe_client() as client:
        found = await probe_http(client, {}, port, "127.0.0.1", 2)
    assert found.output == f'Get "http://127.0.0.1:{port}/": dial tcp 127.0.0.1:{port}: connect: connection refused'
    assert (await probe_tcp("127.0.0.1", port, 2)).output == f"dial tcp 127.0.0.1:{port}: connect: connection refused"


def test_urls_headers_and_grpc_messages() -> None:
    assert probe_url({"scheme": "HTTPS", "path": "a?b=c", "host": "h"}, 8443, "ip") == "https://h:8443/a?b=c"
    assert probe_headers({}) == {"User-Agent": "kube-probe/1.36", "Accept": "*/*"}
    assert "User-Agent" not in probe_headers({"httpHeaders": [{"name": "User-Agent", "value": ""}]})
    assert (encode_request("x"), encode_request("")) == (b"\x0a\x01x", b"")
    assert (decode_status(b"\x08\x01"), decode_status(b"")) == (1, 0)


class Script:
    """A prober whose answers are set by kind of probe."""

    def __init__(self) -> None:
        self.answers: dict[str, Outcome] = {}

    async def probe(self, probe: Any, container: Any, container_id: str, ip: str) -> Outcome:
        return self.answers[probe["exec"]["command"][0]]


def probed(**kinds: dict[str, Any]) -> dict[str, Any]:
    probes = {
        f"{k}Probe": {"exec": {"command": [k]}, "periodSeconds": 5, "failureThreshold": 1, **v}
        for k, v in kinds.items()
    }
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1"},
        "spec": {"containers": [{"name": "c", **probes}]},
    }


class World:
    def __init__(self, pod: dict[str, Any], **answers: Outcome) -> None:
        self.clock, self.script, self.woken = FakeClock(datetime(2026, 1, 1, tzinfo=UTC)), Script(), 0
        self.script.answers = dict(answers)
        prober: Any = self.script
        self.manager = ProbeManager(prober, LogRecorder(), self.clock)
        ref = PodRef("ns", "p", "u1")
        run = ContainerRecord("id", ref, "c", 0, State.RUNNING, self.clock.now(), self.clock.now())
        self.manager.follow(pod, PodRecord(ref, (), (run,)), "10.0.0.1", self.wake)

    def wake(self) -> None:
        self.woken += 1

    @property
    def state(self) -> tuple[bool, bool, dict[str, str]]:
        """Started, ready, failed."""
        verdicts = self.manager.verdicts("u1")
        return "c" in verdicts.started, "c" in self.manager.ready("u1"), dict(verdicts.failed)


async def test_without_probes_a_running_container_is_ready() -> None:
    assert World(probed()).state == (True, True, {})


async def test_startup_comes_before_the_others() -> None:
    world = World(
        probed(startup={"failureThreshold": 3}, readiness={}, liveness={}), startup=BAD, readiness=GOOD, liveness=BAD
    )
    await world.clock.advance(1)
    assert world.state == (False, False, {})
    world.script.answers |= {"startup": GOOD, "liveness": GOOD}
    await world.clock.advance(5)
    await world.clock.advance(5)
    assert world.state == (True, True, {})
    world.script.answers |= {"liveness": BAD, "readiness": BAD}
    await world.clock.advance(5)
    assert world.state == (True, False, {"c": "liveness"})
    assert world.woken >= 4
    world.manager.forget("u1")


async def test_initial_delay_and_startup_failure() -> None:
    world = World(probed(startup={"initialDelaySeconds": 30}), startup=BAD)
    await world.clock.advance(29)
    assert world.state == (False, False, {})
    await world.clock.advance(2)
    assert world.state == (False, False, {"c": "startup"})
    world.manager.forget("u1")
