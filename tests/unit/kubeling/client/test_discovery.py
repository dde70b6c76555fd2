"""Kinds that are remembered for a while."""

from __future__ import annotations

import httpx

from kubeling.client.clock import FakeClock
from kubeling.client.discovery import KnownKinds
from kubeling.client.rest import Client
from kubeling.client.transport import Transport


class Server:
    """Serves the kinds named in ``kinds``, in group example.com; counts how often it is asked."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = list(kinds)
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        items = []
        if request.url.path == "/apis":
            self.asked += 1
            entries = [
                {
                    "resource": kind.lower() + "s",
                    "responseKind": {"kind": kind},
                    "scope": "Namespaced",
                    "verbs": ["get"],
                }
                for kind in self.kinds
            ]
            versions = [{"version": "v1", "resources": entries}]
            items = [{"metadata": {"name": "example.com"}, "versions": versions}]
        return httpx.Response(200, json={"kind": "APIGroupDiscoveryList", "items": items})


async def test_kinds_are_asked_for_again_after_a_while_or_when_unknown() -> None:
    server, clock = Server("Thing"), FakeClock()
    kinds = KnownKinds(Client(Transport("http://test", mock=httpx.MockTransport(server))), clock)
    for _ in range(2):
        assert await kinds.of_kind("example.com/v1", "Thing")
    assert server.asked == 1
    assert await kinds.of_kind("example.com/v1", "Other") is None and server.asked == 2
    server.kinds.append("Other")
    found = await kinds.of_kind("example.com/v2", "Other")
    assert found is not None and found.plural == "others" and server.asked == 3
    server.kinds.remove("Thing")
    assert await kinds.of_kind("example.com/v1", "Thing")
    await clock.advance(31)
    assert await kinds.of_kind("example.com/v1", "Thing") is None
