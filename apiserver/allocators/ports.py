"""Node ports: one guarded key a port, so that servers that share a store never give one out twice."""

from __future__ import annotations

import random

from apiserver.allocators.ranges import dynamic_ports
from apiserver.storage.base import Conflict, Storage

_PREFIX = "/registry/ranges/servicenodeports/"


class PortError(Exception):
    """A port cannot be given out; the message is upstream's."""


class NodePorts:
    """``low`` to ``high``, both included."""

    def __init__(self, storage: Storage, low: int, high: int) -> None:
        self._storage = storage
        self._low, self._high = low, high
        self._random = random.Random()

    async def take(self, port: int, owner: str, *, dry_run: bool = False) -> None:
        """Takes one port. Raises PortError. As upstream, a dry run does not ask for the range."""
        if not (dry_run or self._low <= port <= self._high):
            valid = f"{self._low}-{self._high}"
            raise PortError(f"provided port is not in the valid range. The range of valid ports is {valid}")
        if not await self._try(port, owner, dry_run):
            raise PortError("provided port is already allocated")

    async def next(self, owner: str, *, dry_run: bool = False) -> int:
        """Takes a free port. Raises PortError when there is none."""
        for port in dynamic_ports(self._low, self._high, self._random):
            if await self._try(port, owner, dry_run):
                return port
        raise PortError("range is full")

    async def _try(self, port: int, owner: str, dry_run: bool) -> bool:
        key = f"{_PREFIX}{port}"
        if dry_run:
            return await self._storage.get(key) is None
        try:
            await self._storage.put(key, owner.encode(), 0)
        except Conflict:
            return False
        return True

    async def release(self, port: int) -> None:
        """Gives a port back; harmless when nobody has it."""
        found = await self._storage.get(f"{_PREFIX}{port}")
        while found is not None:
            try:
                await self._storage.delete(found.key, found.revision)
            except Conflict as conflict:
                found = conflict.current
            else:
                return
