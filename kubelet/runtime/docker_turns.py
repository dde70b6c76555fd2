"""Sandboxes leave the cluster's network one at a time, whichever kubelet of the machine removes them.

Docker up to 20.10.26 may stand still for ever when two containers leave one network at the same moment: one's leaving holds the
network's lock and wants the controller's, the other's deletion the other way round (https://github.com/moby/libnetwork/pull/2679).
Nothing starts or ends on that engine any more until it is restarted.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

_RETRY_SECONDS = 0.01
_LAST_TO_STAND_STILL = (20, 10, 26)


def must_take_turns(engine: str) -> bool:
    """Whether an engine of that version (``20.10.24+dfsg1``) may stand still; of one that does not say, it is assumed."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", engine)
    return numbers is None or tuple(map(int, numbers.groups())) <= _LAST_TO_STAND_STILL


class Turns:
    """What one task on this machine does at a time, by name.

    A turn is an address in the abstract namespace of Unix sockets, which whoever has bound it holds until the socket, or its
    process, ends. Kubelets in containers share it where they have the machine's network, as ours do. Unless they are ``needed``,
    nobody waits.
    """

    def __init__(self, name: str) -> None:
        self.needed = True
        self._address = f"\0kubeling/{name}"
        self._within = (
            asyncio.Lock()
        )  # first come, first served in this process: only one task of it asks again and again

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Waits for the turn and holds it meanwhile. Raises OSError where sockets cannot be had."""
        if not self.needed:
            yield
            return
        async with self._within:
            with await self._bound():
                yield

    async def _bound(self) -> socket.socket:
        while True:
            held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                held.bind(self._address)
            except OSError as err:
                held.close()
                if err.errno != errno.EADDRINUSE:
                    raise
            else:
                return held
            await asyncio.sleep(_RETRY_SECONDS)
