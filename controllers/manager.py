"""Runs the chosen controllers, as the leader alone when asked to."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Callable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.options import Options
from controllers.registry import choose
from kubeling.client.accounts import AccountClients
from kubeling.client.clock import Clock, SystemClock
from kubeling.client.errors import StartError
from kubeling.client.events import EventRecorder
from kubeling.client.health import Check
from kubeling.client.informers import SharedInformers
from kubeling.client.kubeconfig import Credentials
from kubeling.client.leader import LeaderElector, LeaseTimes
from kubeling.client.process import Process, credentials_for
from kubeling.client.rest import Client
from kubeling.client.throttle import Throttle
from kubeling.client.transport import Transport

log = logging.getLogger(__name__)

NAME = "kube-controller-manager"


class Clients:
    """Each controller's own client: of the manager's identity, or of the controller's service account."""

    def __init__(self, root: Client, credentials: Credentials, options: Options, agent: str) -> None:
        self._root = root
        self._options = options
        self._agent = agent
        self._accounts = AccountClients(root, credentials) if options.use_service_account_credentials else None

    def of(self, spec: ControllerSpec) -> Client:
        """The client that the controller writes with."""
        account = spec.account or spec.name
        agent = f"{self._agent}/{account}"
        throttle = None
        if self._options.kube_api_qps:
            throttle = Throttle(self._options.kube_api_qps, self._options.kube_api_burst)
        if spec.root:
            return self._root
        if self._accounts is not None:
            return self._accounts.client(account, user_agent=agent, throttle=throttle)
        return self._root.lent(user_agent=agent, throttle=throttle)

    async def aclose(self) -> None:
        if self._accounts is not None:
            await self._accounts.aclose()


class Manager:
    """All controllers of one process over shared informers, which read with the manager's own identity."""

    def __init__(
        self,
        client: Client,
        options: Options,
        specs: Sequence[ControllerSpec],
        *,
        client_of: Callable[[ControllerSpec], Client],
        checks: dict[str, Check] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._options = options
        self._specs = specs
        self._client_of = client_of
        self._checks = checks if checks is not None else {}
        self._clock = clock or SystemClock()

    async def run(self) -> None:
        """Works until cancelled."""
        informers = SharedInformers(self._client, clock=self._clock)
        shared = Context(self._client, informers, self._clock, self._options)
        runnables: list[Runnable] = [informers]
        for spec in self._specs:
            context = shared.acting_as(self._client_of(spec), spec.workers(self._options))
            built = spec.build(context)
            if built:
                log.info("started controller %s", spec.name)
            else:
                log.info("controller %s is not started: %s", spec.name, spec.idle or "the flags leave it without work")
            if built:
                self._checks[spec.name] = _running
            runnables += [*built, *context.recorders.values()]
        async with asyncio.TaskGroup() as group:
            for runnable in runnables:
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


def _running() -> str:
    """A controller whose workers end takes the whole process along, as its task group does: whoever answers is fine."""
    return ""


async def main(options: Options, process: Process) -> None:
    """The component: ``python -m controllers``. Raises StartError and KubeconfigError."""
    try:
        specs = choose(options.controllers)
    except ValueError as err:
        raise StartError(str(err)) from err
    agent = f"{NAME}/{os.getpid()}"
    credentials = credentials_for(options)
    client = Client(Transport.of(credentials, user_agent=agent))
    clients = Clients(client, credentials, options, agent)
    manager = Manager(client, options, specs, client_of=clients.of, checks=process.checks)
    try:
        await (manager.lead() if options.leader_elect else manager.run())
    finally:
        await clients.aclose()
        await client.aclose()
