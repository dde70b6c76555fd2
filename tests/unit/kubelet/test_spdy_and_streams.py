"""SPDY framing, the log query, the requests' gate."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import Any

import pytest

from kubelet.runtime.docker_streams import demultiplexed
from kubelet.runtime.records import ContainerRecord, PodRecord, State
from kubelet.runtime.specs import PodRef
from kubelet.server.auth import Gate, node_subresources, user_of_certificate
from kubelet.server.channels import refuse_spdy
from kubelet.server.http import Request
from kubelet.server.logs import BadLogQuery, choose_run, parse_log_query
from kubelet.server.remote import Wanted, exit_status
from kubeling.api.spdy import DICTIONARY, DataReceived, SpdyConnection, SpdyError, StreamOpened, StreamReplied
from kubeling.client.clock import FakeClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_spdy_dictionary_is_the_protocols() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_spdy_both_ways_in_any_pieces() -> None:
    client, server = SpdyConnection(server=False), SpdyConnection(server=True)
    first = client.open({"streamType": "stdin"})
    client.send(first, b"hello", fin=True)
    second = client.open({"streamType": "stdout"})
    sent = client.data_to_send()
    events = [e for i in range(len(sent)) for e in server.receive(sent[i : i + 1])]
    assert events == [
        StreamOpened(first, {"streamtype": "stdin"}, False),
        DataReceived(first, b"hello", True),
        StreamOpened(second, {"streamtype": "stdout"}, False),
    ]
    server.reply(second)
    server.send(second, b"x" * 70000)
    assert list(client.receive(server.data_to_send())) == [
        StreamReplied(second, {}, False),
        DataReceived(second, b"x" * 70000, False),
    ]
    client.ping()
    assert list(server.receive(client.data_to_send())) == []
    assert len(list(client.receive(server.data_to_send()))) == 1
    with pytest.raises(SpdyError):
        list(server.receive(b"\x80\x02\x00\x01\x00\x00\x00\x00"))


async def test_demultiplexing_docker_frames() -> None:
    async def chunks() -> Any:
        data = b"\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x03err"
        for i in range(0, len(data), 5):
            yield data[i : i + 5]

    assert [p async for p in demultiplexed(chunks(), raw=False)] == [b"hi", b"err"]


def request(path: str = "/", query: dict[str, list[str]] | None = None, method: str = "GET", **more: Any) -> Request:
    return Request(method, path, path, query or {}, more.pop("headers", {}), **more)


@pytest.mark.parametrize(
    ("query", "check"),
    [
        ({}, lambda q: (q.request.tail, q.request.since, q.limit, q.previous) == (-1, 0.0, None, False)),
        ({"tailLines": ["0"]}, lambda q: q.request.tail == 0),
        ({"sinceSeconds": ["10"]}, lambda q: q.request.since == NOW.timestamp() - 10),
        ({"sinceTime": ["2025-12-31T23:59:00Z"]}, lambda q: q.request.since == NOW.timestamp() - 60),
        ({"follow": ["true"], "previous": ["1"]}, lambda q: q.request.follow and q.previous),
        ({"stream": ["Stderr"]}, lambda q: q.request.stderr and not q.request.stdout),
    ],
)
def test_log_query(query: dict[str, list[str]], check: Any) -> None:
    assert check(parse_log_query(request(query=query), NOW))


@pytest.mark.parametrize(
    "query", [{"tailLines": ["x"]}, {"limitBytes": ["0"]}, {"sinceTime": ["now"]}, {"stream": ["x"]}]
)
def test_bad_log_query(query: dict[str, list[str]]) -> None:
    with pytest.raises(BadLogQuery):
        parse_log_query(request(query=query), NOW)


def test_which_run_is_logged() -> None:
    ref = PodRef("default", "p", "u1")
    pod: dict[str, Any] = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}

    def run(attempt: int, state: State = State.EXITED) -> ContainerRecord:
        return ContainerRecord(f"id{attempt}", ref, "c", attempt, state, NOW, NOW)

    def chosen(previous: bool, *runs: ContainerRecord) -> Any:
        found = choose_run(pod, PodRecord(ref, (), runs), "c", previous)
        return found if isinstance(found, str) else found.id

    assert chosen(False, run(1), run(0)) == "id1"
    assert chosen(True, run(1), run(0)) == "id0"
    assert chosen(False, run(1, State.CREATED), run(0)) == "id0"
    assert chosen(True, run(1, State.CREATED), run(0)) == "id0"
    assert chosen(True, run(0)) == 'previous terminated container "c" in pod "p" not found'
    assert chosen(False) == 'container "c" in pod "p" is waiting to start: ContainerCreating'
    pod["status"] = {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}
    assert chosen(True, run(1), run(0)) == chosen(False, run(1), run(0)) == "id1"
    pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] = "ImagePullBackOff"
    assert chosen(False) == 'container "c" in pod "p" is waiting to start: trying and failing to pull image'
    ended = {"terminated": {"containerID": "docker://id1"}}
    pod["status"]["containerStatuses"][0] |= {
        "state": ended,
        "lastState": {"terminated": {"containerID": "docker://id0"}},
    }
    assert chosen(False) == "unable to retrieve container logs for docker://id1"
    assert chosen(True) == "unable to retrieve container logs for docker://id0"


UPGRADE = {"connection": "Upgrade", "upgrade": "SPDY/3.1"}


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ({}, 400, "unable to upgrade: missing upgrade headers in request"),
        (UPGRADE, 400, "unable to upgrade: X-Stream-Protocol-Version is required"),
        (
            {**UPGRADE, "x-stream-protocol-version": "a, b"},
            403,
            "unable to upgrade: unable to negotiate protocol: client supports [a b], server accepts [v4 v5]\n",
        ),
        ({**UPGRADE, "x-stream-protocol-version": "a, v5"}, 0, ""),
    ],
)
def test_what_is_no_upgrade_is_refused(headers: dict[str, str], status: int, text: str) -> None:
    refusal = refuse_spdy(Request("POST", "/exec", "/exec", {}, headers), ("v4", "v5"))
    assert (refusal.status, refusal.body) == (status, text.encode()) if refusal else not status


def test_streams_asked_for() -> None:
    wanted = Wanted.of(request(query={"input": ["1"], "output": ["1"], "error": ["1"], "tty": ["1"]}))
    assert (wanted.stdin, wanted.stderr, wanted.streams) == (True, False, 4)
    assert exit_status(0)["status"] == "Success"
    assert exit_status(3)["details"] == {"causes": [{"reason": "ExitCode", "message": "3"}]}


def test_subresources_of_paths() -> None:
    assert node_subresources("/metrics/cadvisor") == ("metrics",)
    assert node_subresources("/exec/ns/p/c") == ("proxy",)
    assert node_subresources("/pods") == ("pods", "proxy")


PEER = {"subject": ((("organizationName", "system:masters"),), (("commonName", "kube-apiserver"),))}


class FakeReviews:
    """Allows system:masters; knows one token."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def create(self, resource: Any, obj: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(resource.kind)
        if resource.kind == "TokenReview":
            good = obj["spec"]["token"] == "good"
            return {"status": {"authenticated": good, "user": {"username": "u", "groups": ["system:masters"]}}}
        return {"status": {"allowed": "system:masters" in obj["spec"]["groups"]}}


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (request(peer=PEER), None),
        (request(headers={"authorization": "Bearer good"}), None),
        (request(headers={"authorization": "Bearer bad"}), 401),
        (request(), 401),
        (request(peer={"subject": ((("commonName", "other"),),)}), 403),
    ],
)
async def test_gate(given: Request, status: int | None) -> None:
    reviews: Any = FakeReviews()
    gate = Gate(reviews, "n1", FakeClock(), anonymous=False, tokens=True, always_allow=False)
    refusal = await gate.refuse(given)
    assert (refusal.status if refusal else None) == status
    before = len(reviews.asked)
    await gate.refuse(given)
    assert status == 401 or len(reviews.asked) == before  # decisions are remembered


def test_user_of_certificate() -> None:
    user = user_of_certificate(PEER)
    assert user is not None
    assert (user.name, user.groups) == ("kube-apiserver", ("system:masters", "system:authenticated"))
    assert user_of_certificate({}) is None
