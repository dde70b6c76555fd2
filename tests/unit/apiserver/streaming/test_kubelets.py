"""The API server's own requests to kubelets."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from apiserver.certs import serving_files
from apiserver.streaming.kubelets import Kubelets, kubelet_context


class Kubelet:
    """Answers every request; counts the connections that they came on."""

    def __init__(self) -> None:
        self.connections, self.asked, self.status = 0, 0, b"200 OK"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked += 1
                writer.write(b"HTTP/1.1 %s\r\ncontent-length: 12\r\n\r\n%s" % (self.status, b'{"node": {}}'))
        except asyncio.IncompleteReadError:
            writer.close()

    def node(self, server: asyncio.Server) -> dict[str, object]:
        port = server.sockets[0].getsockname()[1]
        addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
        return {"status": {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}}


async def test_the_figures_of_a_node_come_over_one_connection(tmp_path: Path) -> None:
    files = serving_files(tmp_path, ["127.0.0.1"])
    assert files.certificate and files.key
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    kubelet = Kubelet()
    server = await asyncio.start_server(kubelet.serve, "127.0.0.1", 0, ssl=context)
    kubelets = Kubelets(kubelet_context(None, None, None), ["InternalIP"])
    node = kubelet.node(server)
    for _ in range(3):
        assert await kubelets.summary(node) == {"node": {}}
    assert (kubelet.connections, kubelet.asked) == (1, 3)
    kubelet.status = b"500 Internal Server Error"
    with pytest.raises(OSError, match="500 Internal Server Error"):
        await kubelets.summary(node)
    await kubelets.aclose()
    server.close()
    with pytest.raises(OSError, match="connect"):
        await Kubelets(kubelet_context(None, None, None), ["InternalIP"]).summary(node)
