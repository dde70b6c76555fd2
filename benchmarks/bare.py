"""The yardstick: a bare ASGI application that answers the same bytes, on the same uvicorn with the same TLS.

``python -m benchmarks.bare CERT KEY BODYFILE``; prints its port.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from apiserver.http.protocol import CertificateProtocol
from apiserver.tls import server_context


def bare(body: bytes) -> Any:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def serve(certificate: str, key: str, body: bytes) -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        bare(body),
        http=CertificateProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    config.load()
    config.ssl = server_context(Path(certificate), Path(key), [])
    await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(serve(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes()))
