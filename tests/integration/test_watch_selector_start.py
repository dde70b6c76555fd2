"""A watch that begins among changes of which its selector takes none goes on."""

from __future__ import annotations

import asyncio

import pytest

from kubeling.api.resources import CONFIG_MAPS
from kubeling.client.kubeconfig import Credentials
from kubeling.client.rest import Client
from kubeling.client.transport import Transport
from tests.integration.conftest import ADMIN, ApiServer


@pytest.mark.parametrize("from_version", [True, False])
async def test_nothing_selected_at_first(apiserver: ApiServer, namespace: str, from_version: bool) -> None:
    client = Client(Transport.of(Credentials(apiserver.url, token=ADMIN, insecure=True)))
    start = (await client.list(CONFIG_MAPS, namespace))["metadata"]["resourceVersion"] if from_version else ""
    for name in ("a", "b"):
        await client.create(CONFIG_MAPS, {"metadata": {"name": name, "labels": {"color": "blue"}}}, namespace)

    async def first_event() -> str:
        watch = client.watch(CONFIG_MAPS, namespace, resource_version=start, label_selector="color=red")
        async for event in watch:
            return str(event.object["metadata"]["name"])
        return "the watch ended"

    seen = asyncio.create_task(first_event())
    await asyncio.sleep(0.3)
    await client.create(CONFIG_MAPS, {"metadata": {"name": "c", "labels": {"color": "red"}}}, namespace)
    assert await asyncio.wait_for(seen, 10) == "c"
    await client.aclose()
