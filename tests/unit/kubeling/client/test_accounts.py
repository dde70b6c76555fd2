"""Clients that act as service accounts, and limits of requests a second."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import orjson

from kubeling.api.errors import not_found
from kubeling.api.meta import rfc3339
from kubeling.api.resources import PODS
from kubeling.client.accounts import LIFETIME_SECONDS, AccountToken
from kubeling.client.clock import FakeClock
from kubeling.client.rest import Client
from kubeling.client.throttle import Throttle
from kubeling.client.transport import Transport


class Server:
    """Knows accounts, gives out numbered tokens, and tells who asked for the pods; refuses ``revoked`` tokens."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.accounts: set[str] = set()
        self.issued = 0
        self.seen: list[str] = []
        self.revoked: set[str] = set()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        parts = request.url.path.split("/")
        if request.method == "POST" and parts[-1] == "serviceaccounts":
            self.accounts.add(orjson.loads(request.content)["metadata"]["name"])
            return httpx.Response(201, json={})
        if parts[-1] == "token":
            if parts[-2] not in self.accounts:
                return httpx.Response(404, json=not_found("", "serviceaccounts", parts[-2]).status)
            self.issued += 1
            until = rfc3339(self.clock.now() + timedelta(seconds=LIFETIME_SECONDS))
            status = {"token": f"{parts[-2]}-{self.issued}", "expirationTimestamp": until}
            return httpx.Response(201, json={"status": status})
        token = request.headers.get("authorization", "")
        self.seen.append(token)
        if token in self.revoked:
            return httpx.Response(401, json={"kind": "Status", "code": 401, "reason": "Unauthorized"})
        return httpx.Response(200, json={"items": []})


def client_of(server: Server) -> Client:
    root = Client(Transport("http://test", mock=httpx.MockTransport(server)))
    shared = Transport("http://test", mock=httpx.MockTransport(server))
    tokens = AccountToken(root, "kube-system", "a", clock=server.clock)
    return Client(shared.acting_as(tokens))


async def test_many_requests_ask_for_one_token_and_make_the_account() -> None:
    server = Server(FakeClock())
    client = client_of(server)
    await asyncio.gather(*(client.list(PODS) for _ in range(5)))
    assert server.accounts == {"a"} and server.issued == 1
    assert server.seen == ["Bearer a-1"] * 5


async def test_a_token_is_renewed_before_its_end_and_when_refused() -> None:
    server = Server(FakeClock())
    client = client_of(server)
    await client.list(PODS)
    await server.clock.advance(LIFETIME_SECONDS * 0.7)
    await client.list(PODS)
    await server.clock.advance(LIFETIME_SECONDS * 0.2)
    await client.list(PODS)
    assert server.seen == ["Bearer a-1", "Bearer a-1", "Bearer a-2"]
    server.revoked = {"Bearer a-2"}
    await client.list(PODS)
    assert server.seen[-2:] == ["Bearer a-2", "Bearer a-3"]


async def test_a_throttle_lets_a_burst_pass_and_spreads_the_rest() -> None:
    clock = FakeClock()
    throttle = Throttle(2, 3, clock=clock)
    passed: list[float] = []

    async def one() -> None:
        await throttle.take()
        passed.append(clock.monotonic())

    start = clock.monotonic()
    tasks = [asyncio.ensure_future(one()) for _ in range(6)]
    for _ in range(8):
        await clock.advance(0.5)
    await asyncio.gather(*tasks)
    assert [at - start for at in passed] == [0, 0, 0, 0.5, 1.0, 1.5]
