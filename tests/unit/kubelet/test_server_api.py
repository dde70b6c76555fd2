"""What the kubelet's server answers to whom, in upstream's words."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubelet.runtime.records import ContainerRecord, PodRecord, SandboxRecord, State
from kubelet.runtime.specs import PodRef
from kubelet.server.app import KubeletApi
from kubelet.server.auth import Gate, Memory
from kubelet.server.http import Request, Response
from kubelet.server.tls import self_signed, server_context
from kubeling.client.clock import FakeClock
from kubeling.client.errors import ConnectionFailed

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REF = PodRef("ns", "p", "u1")
POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "p", "namespace": "ns", "uid": "u1"},
    "spec": {"containers": [{"name": "c", "image": "i"}, {"name": "ended", "image": "i"}]},
}
RECORD = PodRecord(
    REF,
    (SandboxRecord("s1", REF, 0, True, AT),),
    (ContainerRecord("id1", REF, "c", 0, State.RUNNING, AT), ContainerRecord("id2", REF, "ended", 0, State.EXITED, AT)),
)


class Pods:
    problem = ""

    def find(self, namespace: str, name: str) -> Any:
        return POD if (namespace, name) == ("ns", "p") else None

    def pods(self) -> list[Any]:
        return [POD]

    def active(self) -> list[Any]:
        return []


class Stream:
    def __init__(self, *pieces: tuple[int, bytes]) -> None:
        self._pieces = list(pieces)

    async def read(self) -> Any:
        return self._pieces.pop(0) if self._pieces else None

    async def close(self) -> None: ...


class Session:
    def __init__(self, code: int) -> None:
        self.stream, self._code = Stream((1, b"out"), (2, b"err")), code

    async def exit_code(self) -> int:
        return self._code


class Runtime:
    code = 0

    async def pods(self) -> dict[str, PodRecord]:
        return {"u1": RECORD}

    async def pod(self, ref: PodRef) -> PodRecord:
        return RECORD

    async def exec(self, container_id: str, command: Any, **streams: Any) -> Session:
        assert (container_id, list(command)) == ("id1", ["ls", "/x"])
        return Session(self.code)


class Volumes:
    def mounted(self, uid: str) -> dict[str, Any]:
        return {}

    def totals(self, pods: Any) -> dict[tuple[str, str], int]:
        return {}


class Reviews:
    """The API server: knows one token, and lets it have one subresource."""

    def __init__(self, allowed: str = "proxy") -> None:
        self.allowed, self.asked, self.broken = allowed, [], False  # type: ignore[var-annotated]

    async def create(self, resource: Any, review: Any) -> Any:
        if self.broken:
            raise ConnectionFailed("broken")
        spec = review["spec"]
        if review["kind"] == "TokenReview":
            self.asked.append(spec["token"])
            good = spec["token"] == "good"
            return {"status": {"authenticated": good, "user": {"username": "kim"} if good else {}}}
        attributes = spec["resourceAttributes"]
        self.asked.append((attributes["verb"], attributes["subresource"]))
        return {"status": {"allowed": attributes["subresource"] == self.allowed}}


class Api:
    def __init__(
        self, tmp_path: Path, reviews: Any = None, *, anonymous: bool = True, disabled: dict[str, str] | None = None
    ) -> None:
        self.clock, self.pods, self.runtime = FakeClock(), Pods(), Runtime()
        gate = Gate(
            reviews, "n1", self.clock, anonymous=anonymous, tokens=True, always_allow=reviews is None,
            memory=Memory(token=10, allowed=20, denied=5),
        )  # fmt: skip
        pods: Any = self.pods
        runtime: Any = self.runtime
        volumes: Any = Volumes()
        self._api = KubeletApi(
            pods, runtime, gate, self.clock, node_name="n1", configuration={"port": 1}, logs_folder=tmp_path,
            volumes=volumes, disabled=disabled,
            flags={"v": "2"},
        )  # fmt: skip

    async def answer(self, method: str, target: str, **headers: str) -> Response:
        path, _, text = target.partition("?")
        query: dict[str, list[str]] = {}
        for part in filter(None, text.split("&")):
            name, _, value = part.partition("=")
            query.setdefault(name, []).append(value)
        answer = await self._api.handle(Request(method, path, target, query, headers))
        assert isinstance(answer, Response)
        return answer

    async def text(self, method: str, target: str, **headers: str) -> tuple[int, str]:
        answer = await self.answer(method, target, **headers)
        if isinstance(answer.body, bytes):
            return answer.status, answer.body.decode()
        return answer.status, b"".join([piece async for piece in answer.body]).decode()


@pytest.mark.parametrize(
    ("method", "target", "status", "text"),
    [
        ("GET", "/nothing", 404, "404 page not found\n"),
        ("GET", "/exec/ns", 404, "404: Page Not Found"),
        ("DELETE", "/exec/ns/p/c", 405, "405: Method Not Allowed"),
        ("POST", "/exec/ns/p/c?command=ls", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("POST", "/exec/ns/none/c?command=ls&output=1", 404, "pod does not exist"),
        ("POST", "/exec/ns/p/none?command=ls&output=1", 500, 'container not found ("none")'),
        ("POST", "/exec/ns/p/ended?command=ls&output=1", 500, 'container not found ("ended")'),
        ("POST", "/attach/ns/p/u2/c?output=1", 500, 'container not found ("c")'),
        ("POST", "/run/ns/p/c?cmd=ls+/x", 200, "outerr"),
        ("POST", "/run/ns/p/u1/c?cmd=ls+/x", 200, "outerr"),
        ("POST", "/portForward/ns/none", 404, "pod does not exist"),
        ("POST", "/portForward/ns/p/u2", 404, "pod not found"),
        ("POST", "/checkpoint/ns/p/none", 404, "container none does not exist"),
        (
            "POST",
            "/checkpoint/ns/p/c",
            500,
            "checkpointing of ns/p/c failed (rpc error: code = Unimplemented desc = "
            "checkpoints are not supported by the container runtime)",
        ),
        ("GET", "/containerLogs/ns/none/c", 404, 'pod "none" does not exist'),
        ("GET", "/containerLogs/ns/p/none", 404, 'container "none" not found in pod "p"'),
        ("GET", "/containerLogs/ns/p/c?tailLines=x", 400, '{"message": "Unable to decode query."}'),
        ("GET", "/containerLogs/ns/p/c?tailLines=-1", 422, '{"message": "Invalid request."}'),
        (
            "GET",
            "/containerLogs/ns/p/c?previous=true",
            400,
            'previous terminated container "c" in pod "p" not found',
        ),
        ("GET", "/healthz", 200, "ok"),
        ("GET", "/healthz/syncloop", 200, "ok"),
        ("GET", "/configz", 200, '{"kubeletconfig": {"port": 1}}'),
        ("GET", "/debug/pprof/goroutine", 405, "profiling endpoint is disabled.\n"),
        ("GET", "/logs/../secret", 404, "404 page not found\n"),
    ],
)
async def test_answers(tmp_path: Path, method: str, target: str, status: int, text: str) -> None:
    assert await Api(tmp_path).text(method, target.replace("+", " ")) == (status, text)


async def test_what_is_switched_off_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("line\n")
    api = Api(tmp_path, disabled={"/logs": "logs endpoint is disabled.", "/exec": "Debug endpoints are disabled."})
    assert await api.text("GET", "/logs/a.log") == (405, "logs endpoint is disabled.\n")
    assert await api.text("POST", "/exec/ns/p/c?command=ls") == (405, "Debug endpoints are disabled.\n")
    assert (await api.text("GET", "/healthz"))[0] == 200


async def test_a_command_that_fails_says_so(tmp_path: Path) -> None:
    api = Api(tmp_path)
    api.runtime.code = 2
    assert await api.text("POST", "/run/ns/p/c?cmd=ls /x") == (500, "command 'ls /x' exited with 2: err")


async def test_an_engine_that_is_away_shows_in_the_checks_alone(tmp_path: Path) -> None:
    api = Api(tmp_path)
    api.pods.problem = "gone"
    assert await api.text("GET", "/healthz") == (
        500,
        "[+]ping ok\n[+]log ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n",
    )
    assert await api.text("GET", "/healthz/syncloop") == (500, "internal server error: gone\n")
    assert (await api.text("GET", "/healthz?exclude=syncloop"))[0] == 200
    text = (await api.text("GET", "/metrics/slis"))[1]
    assert 'kubernetes_healthcheck{name="syncloop",type="healthz"} 0' in text
    assert 'kubernetes_healthchecks_total{name="syncloop",status="error",type="healthz"} ' in text


async def test_pods_are_items_of_a_list(tmp_path: Path) -> None:
    _, text = await Api(tmp_path).text("GET", "/pods")
    assert text.startswith('{"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [{"metadata": {')


async def test_log_files(tmp_path: Path) -> None:
    (tmp_path / "a b.log").write_text("line\n")
    (tmp_path / "pods").mkdir()
    api = Api(tmp_path)
    status, text = await api.text("GET", "/logs/")
    assert (status, '<a href="a%20b.log">a b.log</a>' in text, '<a href="pods/">pods/</a>' in text) == (200, True, True)
    assert await api.text("GET", "/logs/a b.log") == (200, "line\n")
    assert (await api.answer("GET", "/logs/pods")).headers == (("Location", "pods/"),)


async def test_statusz_and_flagz(tmp_path: Path) -> None:
    api = Api(tmp_path)
    await api.clock.advance(3725)
    text = (await api.text("GET", "/statusz"))[1]
    assert text.startswith("\nkubelet statusz\nWarning: This endpoint is not meant to be machine parseable")
    assert "\nUp: 1 hr 02 min 05 sec\n" in text and "\nEmulation version: 1.36\n" in text
    assert " /containerLogs " in text
    assert (await api.text("GET", "/flagz"))[1].endswith("\n\nv=2\n")


async def test_who_may(tmp_path: Path) -> None:
    reviews = Reviews("healthz")
    api = Api(tmp_path, reviews, anonymous=False)
    good = {"authorization": "Bearer good"}
    assert await api.text("GET", "/healthz") == (401, "Unauthorized")
    assert await api.text("GET", "/nothing") == (404, "404 page not found\n")
    assert await api.text("GET", "/healthz", authorization="Bearer bad") == (401, "Unauthorized")
    assert await api.text("GET", "/healthz", **good) == (200, "ok")
    assert reviews.asked == ["bad", "good", ("get", "healthz")]
    assert await api.text("GET", "/pods", **good) == (
        403,
        "Forbidden (user=kim, verb=get, resource=nodes, subresource(s)=[pods proxy])\n",
    )
    assert (await api.text("GET", "/metrics/cadvisor", **good))[1].endswith("subresource(s)=[metrics])\n")
    reviews.broken = True
    assert await api.text("GET", "/configz", **good) == (
        500,
        "Authorization error (user=kim, verb=get, resource=nodes, subresource=configz)",
    )


async def test_answers_of_the_api_server_are_remembered_for_their_time(tmp_path: Path) -> None:
    reviews = Reviews("healthz")
    api = Api(tmp_path, reviews, anonymous=False)
    for seconds, asked in ((0, 3), (4, 0), (4, 0), (1, 0), (2, 2), (4, 0), (6, 3)):
        await api.clock.advance(seconds)
        before = len(reviews.asked)
        await api.text("GET", "/healthz", authorization="Bearer good")
        await api.text("GET", "/healthz", authorization="Bearer bad")
        assert len(reviews.asked) - before == asked, seconds


async def test_verbosity_is_set_while_it_runs(tmp_path: Path) -> None:
    api = Api(tmp_path)
    assert (await api.text("PUT", "/debug/flags/v"))[0] == 400


def test_the_least_version_of_tls(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "n1", "192.0.2.1")
    assert server_context(certificate, key, "", "VersionTLS10").minimum_version is ssl.TLSVersion.TLSv1_2
    assert server_context(certificate, key, "", "VersionTLS13").minimum_version is ssl.TLSVersion.TLSv1_3
