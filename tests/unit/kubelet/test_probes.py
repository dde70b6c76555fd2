"""Probes: outcomes over real sockets, thresholds, the manager's verdicts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio
import pytest

from kubelet.containers.hooks import HookFailed, HookRunner
from kubelet.containers.httpget import get_headers, get_url, http_client
from kubelet.containers.ports import resolve_port
from kubelet.pods.metrics import REGISTRY as METRICS
from kubelet.pods.recorder import LogRecorder
from kubelet.probes.grpc import decode_status, encode_request, probe_grpc
from kubelet.probes.http import probe_http, probe_tcp
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
    async with http_client() as client, server:
        assert await probe_http(client, {"path": "/x"}, port, "127.0.0.1", 2) == Outcome(verdict, output)


async def test_probes_of_a_closed_port() -> None:
    server, port = await serve(b"")
    server.close()
    await server.wait_closed()
    async with http_client() as client:
        found = await probe_http(client, {}, port, "127.0.0.1", 2)
    assert found.output == f'Get "http://127.0.0.1:{port}/": dial tcp 127.0.0.1:{port}: connect: connection refused'
    assert (await probe_tcp("127.0.0.1", port, 2)).output == f"dial tcp 127.0.0.1:{port}: connect: connection refused"


def headers(*given: tuple[str, str]) -> list[tuple[str, str]]:
    return get_headers({"httpHeaders": [{"name": n, "value": v} for n, v in given]}, "kube-probe")


def test_urls_headers_and_grpc_messages() -> None:
    assert get_url({"scheme": "HTTPS", "path": "a?b=c", "host": "h"}, 8443, "ip") == "https://h:8443/a?b=c"
    own = [("User-Agent", "kube-probe/1.36"), ("Accept", "*/*"), ("Connection", "close")]
    assert headers() == own
    assert headers(("User-Agent", ""), ("accept", "")) == [("Connection", "close")]
    assert headers(("X", "1"), ("X", "2")) == [("X", "1"), ("X", "2"), *own]
    assert (encode_request("x"), encode_request("")) == (b"\x0a\x01x", b"")
    assert encode_request("x" * 200)[:3] == b"\x0a\xc8\x01"
    assert (decode_status(b"\x08\x01"), decode_status(b"")) == (1, 0)


async def test_a_probe_sends_the_headers_that_upstream_sends_and_no_others() -> None:
    asked = bytearray()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.extend(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with http_client() as client, server:
        await probe_http(client, {"httpHeaders": [{"name": "Host", "value": "h"}]}, port, "127.0.0.1", 2)
    lines = asked.decode().split("\r\n")
    assert lines[0] == "GET / HTTP/1.1"
    assert sorted(line for line in lines[1:] if line) == [
        "Accept: */*", "Connection: close", "Host: h", "User-Agent: kube-probe/1.36",
    ]  # fmt: skip


async def test_redirects_end_after_ten() -> None:
    server, port = await serve(b"HTTP/1.1 302 x\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")
    async with http_client() as client, server:
        found = await probe_http(client, {}, port, "127.0.0.1", 2)
    assert found == Outcome(Verdict.FAILURE, f'Get "http://127.0.0.1:{port}/again": stopped after 10 redirects')


async def test_http_where_https_was_asked_for_and_a_connection_that_ends() -> None:
    server, port = await serve(b"HTTP/1.1 400 Bad\r\n\r\n")

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    silent, quiet = await serve(b"")
    async with http_client() as client, server, silent:
        found = await probe_http(client, {"scheme": "HTTPS"}, port, "127.0.0.1", 2)
        ended = await probe_http(client, {}, quiet, "127.0.0.1", 2)
    assert found.output == f'Get "https://127.0.0.1:{port}/": http: server gave HTTP response to HTTPS client'
    assert ended.output == f'Get "http://127.0.0.1:{quiet}/": EOF'


async def test_grpc_waits_for_a_server_until_its_timeout() -> None:
    server, port = await serve(b"")
    server.close()
    await server.wait_closed()
    found = await probe_grpc("127.0.0.1", port, "", 1)
    assert found == Outcome(
        Verdict.FAILURE,
        f'timeout: failed to connect service "127.0.0.1:{port}" within 1s: context deadline exceeded',
    )


async def test_grpc_answers() -> None:
    async def check(request: bytes, context: Any) -> bytes:
        if request == b"missing":
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return b"\x08\x01" if request == b"" else b"\x08\x02"

    handler = grpc.unary_unary_rpc_method_handler(check, lambda b: b[2:], lambda b: b)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        assert await probe_grpc("127.0.0.1", port, "", 5) == Outcome(Verdict.SUCCESS, "service healthy")
        bad = await probe_grpc("127.0.0.1", port, "x", 5)
        assert bad == Outcome(Verdict.FAILURE, 'service unhealthy (responded with "NOT_SERVING")')
        missing = await probe_grpc("127.0.0.1", port, "missing", 5)
        assert missing.output == "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service"
    finally:
        await server.stop(None)


def test_ports_by_number_and_by_name() -> None:
    container = {"ports": [{"name": "web", "containerPort": 8080}]}
    assert (resolve_port("web", container), resolve_port(80, {}), resolve_port("81", {})) == (8080, 80, 81)
    with pytest.raises(ValueError, match='parsing "no": invalid syntax'):
        resolve_port("no", container)
    with pytest.raises(ValueError, match="invalid port number: 0"):
        resolve_port(0, container)


class Told:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def event(self, obj: Any, type_: str, reason: str, message: str, **more: Any) -> None:
        self.told.append((reason, message))


async def test_a_hook_over_https_falls_back_to_http_and_takes_any_answer() -> None:
    asked: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (first := await reader.read(1)) == b"G":
            asked.append(first + await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    runtime: Any = None
    given = probed()
    async with http_client() as client, server:
        events = Told()
        hooks = HookRunner(runtime, FakeClock(datetime(2026, 1, 1, tzinfo=UTC)), client, events)
        secret = [{"name": "Authorization", "value": "Bearer secret"}]
        hook = {"httpGet": {"port": port, "scheme": "HTTPS", "path": "/bye", "httpHeaders": secret}}
        before = METRICS.get_sample_value("kubelet_lifecycle_handler_http_fallbacks_total") or 0.0
        await hooks.run(hook, given, given["spec"]["containers"][0], "id", "127.0.0.1")
        server.close()
        with pytest.raises(HookFailed) as failed:
            await hooks.run(hook, given, given["spec"]["containers"][0], "id", "127.0.0.1")
    message = f"request to HTTPS lifecycle hook 127.0.0.1:{port} got HTTP response, retry with HTTP succeeded"
    assert events.told == [("LifecycleHTTPFallback", message)] and b"secret" not in asked[0]
    assert METRICS.get_sample_value("kubelet_lifecycle_handler_http_fallbacks_total") == before + 1
    assert b"GET /bye HTTP/1.1" in asked[0] and b"User-Agent: kube-lifecycle/1.36" in asked[0]
    assert str(failed.value) == (
        f'HTTP lifecycle hook (/bye) for Container "c" in Pod "p_ns(u1)" failed - error: '
        f'Get "https://127.0.0.1:{port}/bye": dial tcp 127.0.0.1:{port}: connect: connection refused'
    )


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
        self.observed = PodRecord(ref, (), (run,))
        self.manager.follow(pod, self.observed, "10.0.0.1", self.wake)

    def wake(self) -> None:
        self.woken += 1

    @property
    def state(self) -> tuple[bool, bool, dict[str, str]]:
        """Started, ready, failed."""
        verdicts = self.manager.verdicts("u1", self.observed)
        return "c" in verdicts.started, "c" in self.manager.ready("u1"), dict(verdicts.failed)


async def test_without_probes_a_running_container_is_ready() -> None:
    assert World(probed()).state == (True, True, {})


async def test_what_was_said_of_a_run_says_nothing_of_the_next() -> None:
    world = World(probed(liveness={}), liveness=BAD)
    await world.clock.advance(1)
    assert world.state[2] == {"c": "liveness"}
    next_run = replace(world.observed.containers[0], id="id2", attempt=1)
    world.observed = replace(world.observed, containers=(next_run,))
    assert world.state[2] == {}
    world.manager.forget("u1")


async def test_no_probe_goes_on_when_the_kubelet_stops() -> None:
    world = World(probed(readiness={}, liveness={}), readiness=GOOD, liveness=GOOD)
    await world.clock.advance(1)
    assert world.state == (True, True, {})
    before = asyncio.all_tasks() - {asyncio.current_task()}
    assert len(before) == 2
    await world.manager.close()
    assert all(task.cancelled() for task in before)


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


async def test_an_end_that_was_asked_for_is_no_failure_of_startup_or_liveness() -> None:
    given = probed(startup={}, readiness={})
    world = World(given, startup=UNKNOWN, readiness=GOOD)
    await world.clock.advance(1)
    assert world.state == (False, False, {})
    ref = PodRef("ns", "p", "u1")
    run = ContainerRecord("id", ref, "c", 0, State.RUNNING, world.clock.now(), world.clock.now())
    world.manager.follow(given, PodRecord(ref, (), (run,)), "10.0.0.1", world.wake, ending=True)
    await world.clock.advance(5)
    assert world.state == (True, True, {})
    world.manager.forget("u1")


async def test_readiness_takes_as_many_periods_as_successes_are_asked_for() -> None:
    world = World(probed(readiness={"successThreshold": 3}), readiness=GOOD)
    await world.clock.advance(9)
    assert world.state == (True, False, {})
    await world.clock.advance(2)
    assert world.state == (True, True, {})
    world.manager.forget("u1")


async def test_events_name_the_container_where_a_failure_names_its_id() -> None:
    told: list[str] = []

    class Events:
        def event(self, obj: Any, type_: str, reason: str, message: str, **more: Any) -> None:
            told.append(message)

    clock, script, ref = FakeClock(datetime(2026, 1, 1, tzinfo=UTC)), Script(), PodRef("ns", "p", "u1")
    script.answers["readiness"] = Outcome(Verdict.UNKNOWN, "container 0123abcd is not running")
    prober: Any = script
    manager = ProbeManager(prober, Events(), clock)
    run = ContainerRecord("0123abcd", ref, "c", 0, State.RUNNING, clock.now(), clock.now())
    manager.follow(probed(readiness={}), PodRecord(ref, (), (run,)), "10.0.0.1", lambda: None)
    await clock.advance(1)
    manager.forget("u1")
    text = "Readiness probe errored and resulted in unknown state: container c is not running"
    assert told == [text]
