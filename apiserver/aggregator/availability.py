"""Whether the servers behind API services answer: asked for their resources every so often, and when something changed.

Source: kube-aggregator's remote availability controller.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from apiserver.aggregator.table import Aggregator
from apiserver.aggregator.where import Unavailable
from apiserver.registry.facade import Registries, WriteOptions
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, name_of, utcnow, with_condition
from kubeling.api.resources import API_SERVICES, ENDPOINTS, SERVICES

_LOG = logging.getLogger(__name__)
PERIOD_SECONDS = 30.0
PROBE_SECONDS = 5.0
PASSED = ("True", "Passed", "all checks passed")
_OPTIONS = WriteOptions(manager="kube-apiserver")


class Availability:
    """Writes the condition ``Available`` of API services behind Services, and tells the aggregator what they serve."""

    def __init__(self, registries: Registries, aggregator: Aggregator, clock: Callable[[], datetime] = utcnow) -> None:
        self._registries, self._aggregator, self._clock = registries, aggregator, clock
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Forever."""
        ends = [self._registries.of(r).subscribe(self._wake) for r in (API_SERVICES, SERVICES, ENDPOINTS)]
        try:
            while True:
                self._changed.clear()
                async with asyncio.TaskGroup() as group:
                    for api_service in self._aggregator.all():
                        group.create_task(self._look(api_service))
                with suppress(TimeoutError):
                    async with asyncio.timeout(PERIOD_SECONDS):
                        await self._changed.wait()
        finally:
            for end in ends:
                end()

    def _wake(self, old: Object | None, new: Object | None) -> None:
        if self._aggregator.all():
            self._changed.set()

    async def _look(self, api_service: Object) -> None:
        try:
            await self._write(api_service, await self._checked(api_service))
        except StatusError as err:
            _LOG.warning("cannot set a status", extra={"object": name_of(api_service), "error": err.message})

    async def _checked(self, api_service: Object) -> tuple[str, str, str]:
        """Status, reason and message of the condition."""
        spec = api_service["spec"]
        path = f"/apis/{spec.get('group', '')}/{spec['version']}"
        try:
            backend = self._aggregator.backend(api_service)
        except Unavailable as err:
            return "False", err.reason, str(err)
        try:
            listed = await backend.get_json(path, PROBE_SECONDS)
        except (OSError, ValueError) as err:
            why = f"failing or missing response from {backend.base}{path}: {err}"
            return "False", "FailedDiscoveryCheck", why
        if isinstance(listed, dict):
            self._aggregator.learned(api_service, listed)
        return PASSED

    async def _write(self, api_service: Object, condition: tuple[str, str, str]) -> None:
        now = self._clock()

        def change(stored: Object) -> Object | None:
            status = stored.get("status") or {}
            conditions = with_condition(status.get("conditions"), "Available", condition[0], now, *condition[1:])
            if conditions == status.get("conditions"):
                return None
            return {**stored, "status": {**status, "conditions": conditions}}

        if change(api_service) is not None:
            registry = self._registries.of(API_SERVICES)
            await registry.update(name_of(api_service), change, subresource="status", options=_OPTIONS)
