"""Runs the chosen controllers, as the leader alone when asked to."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.options import Options
from controllers.registry import choose
from kubeling.client.clock import Clock, SystemClock
from kubeling.client.errors import StartError
from kubeling.client.events import EventRecorder
from kubeling.client.informers import SharedInformers
from kubeling.client.leader import LeaderElector, LeaseTimes
from kubeling.client.process import Process, client_for
from kubeling.client.rest import Client

log = logging.getLogger(__name__)

NAME = "kube-controller-manager"


class Manager:
    """All controllers of one process over shared informers."""

    def __init__(
        self, client: Client, options: Options, specs: Sequence[ControllerSpec], *, clock: Clock | None = None
    ) -> None:
        self._client = client
        self._options = options
        self._specs = specs
        self._clock = clock or SystemClock()

    async def run(self) -> None:
        """Works until cancelled."""
        informers = SharedInformers(self._client, clock=self._clock)
        context = Context(self._client, informers, self._clock, self._options)
        runnables: list[Runnable] = []
        for spec in self._specs:
            built = spec.build(context)
            if built:
                log.info("started controller %s", spec.name)
            else:
                log.info("controller %s has nothing to do with these flags", spec.name)
            runnables += built
        async with asyncio.TaskGroup() as group:
            for runnable in (informers, *runnables, *context.recorders.values()):
                group.create_task(runnable.run(), name=type(runnable).__name__)

    async def lead(self) -> None:
        """Works while holding the Lease. Raises StartError when it is lost: the supervisor starts us afresh."""
        options = self._options
        recorder = EventRecorder(self._client, NAME, clock=self._clock)
        elector = LeaderElector(
            self._client,
            name=options.leader_elect_resource_name,
            namespace=options.leader_elect_resource_namespace,
            identity=f"{socket.gethostname()}_{uuid.uuid4()}",
            times=LeaseTimes(
                options.leader_elect_lease_duration,
                options.leader_elect_renew_deadline,
                options.leader_elect_retry_period,
            ),
            recorder=recorder,
            clock=self._clock,
        )
        recording = asyncio.ensure_future(recorder.run())
        try:
            await elector.run(self.run)
        finally:
            recording.cancel()
        raise StartError("leaderelection lost")


async def main(options: Options, process: Process) -> None:
    """The component: ``python -m controllers``. Raises StartError and KubeconfigError."""
    try:
        specs = choose(options.controllers)
    except ValueError as err:
        raise StartError(str(err)) from err
    client = client_for(options, f"{NAME}/{os.getpid()}")
    manager = Manager(client, options, specs)
    try:
        await (manager.lead() if options.leader_elect else manager.run())
    finally:
        await client.aclose()
