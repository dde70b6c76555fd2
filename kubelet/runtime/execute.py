"""Runs a command in a container to its end."""

from __future__ import annotations

from collections.abc import Sequence

from kubelet.runtime.protocol import Runtime

MAX_OUTPUT = 10 * 1024


async def execute(runtime: Runtime, container_id: str, command: Sequence[str]) -> tuple[int, bytes]:
    """Exit code and output (both streams in the order they came, the first 10 KiB). Raises RuntimeFailure."""
    session = await runtime.exec(container_id, command)
    output = bytearray()
    try:
        while (piece := await session.stream.read()) is not None:
            output += piece[1][: max(0, MAX_OUTPUT - len(output))]
    finally:
        await session.stream.close()
    return await session.exit_code(), bytes(output)
