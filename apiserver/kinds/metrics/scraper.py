"""Reads the kubelets' figures of all nodes every so often and keeps the last two readings of each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from apiserver.kinds.metrics.usage import Reading, reading_of
from apiserver.registry.facade import Registries
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, name_of, utcnow
from kubeling.api.resources import NODES

log = logging.getLogger(__name__)

RESOLUTION = 15.0
"""Seconds between two readings, metrics-server's ``--metric-resolution``."""
_AT_ONCE = 16


class SummarySource(Protocol):
    """Kubelets (``apiserver.streaming``)."""

    async def summary(self, node: Object) -> Object:
        """The node's Summary. Raises OSError, ValueError or StatusError when there is none to be had."""
        ...


class Scraper:
    """``readings(node)`` gives the reading before the last and the last."""

    def __init__(
        self,
        registries: Registries,
        source: SummarySource,
        clock: Callable[[], datetime] = utcnow,
        resolution: float = RESOLUTION,
    ) -> None:
        self._registries = registries
        self._source = source
        self._clock = clock
        self._resolution = resolution
        self._readings: dict[str, tuple[Reading | None, Reading]] = {}

    def readings(self, node: str) -> tuple[Reading | None, Reading] | None:
        return self._readings.get(node)

    async def run(self) -> None:
        """Forever; a kubelet that does not answer is logged and loses its readings."""
        while True:
            await self.scrape(self._registries.of(NODES).cached_list())
            await asyncio.sleep(self._resolution)

    async def scrape(self, nodes: Iterable[Object]) -> None:
        """One round over these nodes; the readings of others are forgotten."""
        wanted = {name_of(node): node for node in nodes}
        self._readings = {name: pair for name, pair in self._readings.items() if name in wanted}
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str, node: Object) -> None:
            async with limit:
                await self._read(name, node)

        await asyncio.gather(*(one(name, node) for name, node in wanted.items()))

    async def _read(self, name: str, node: Object) -> None:
        try:
            async with asyncio.timeout(self._resolution * 0.66):
                new = reading_of(await self._source.summary(node), self._clock())
        except (OSError, ValueError, KeyError, StatusError) as err:
            log.warning("failed to scrape node %s: %s", name, err)
            self._readings.pop(name, None)
            return
        pair = self._readings.get(name)
        self._readings[name] = (pair[1] if pair else None, new)
