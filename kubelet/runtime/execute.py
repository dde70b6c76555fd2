"""Runs a command in a container to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubelet.runtime.protocol import Runtime

MAX_OUTPUT = 10 * 1024
_STDERR = 2


@dataclass(frozen=True, slots=True)
class Executed:
    code: int
    stdout: bytes = b""
    stderr: bytes = b""

    @property
    def output(self) -> bytes:
        """What it wrote to both streams, one after the other as upstream shows them, the first 10 KiB."""
        return (self.stdout + self.stderr)[:MAX_OUTPUT]


async def execute(runtime: Runtime, container_id: str, command: Sequence[str]) -> Executed:
    """Keeps the first 10 KiB of each stream. Raises RuntimeFailure."""
    session = await runtime.exec(container_id, command)
    stdout, stderr = bytearray(), bytearray()
    try:
        while (piece := await session.stream.read()) is not None:
            kept = stderr if piece[0] == _STDERR else stdout
            kept += piece[1][: max(0, MAX_OUTPUT - len(kept))]
    finally:
        await session.stream.close()
    return Executed(await session.exit_code(), bytes(stdout), bytes(stderr))
