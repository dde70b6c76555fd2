"""The life of a component's process: flags, logging, signals, health server, a clean stop, one line for every failure to start.

A component's ``__main__`` is::

    sys.exit(component_main("kube-scheduler", Options, run, ignored=IGNORED))

    async def run(options: Options, process: Process) -> None: ...   # works until cancelled
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

import uvloop

from kubeling.client import kubeconfig
from kubeling.client.errors import KubeconfigError, StartError
from kubeling.client.flags import CommonOptions, parse_flags
from kubeling.client.health import Check, HealthServer
from kubeling.client.logs import setup_logging
from kubeling.client.rest import Client
from kubeling.client.transport import Transport

log = logging.getLogger(__name__)

STOP_SECONDS = 4.0  # the contract allows 5 s from SIGTERM to the end


@dataclass
class Process:
    """What the runner lends to a component: health checks may be added while it runs."""

    checks: dict[str, Check] = field(default_factory=dict)
    ready: dict[str, Check] = field(default_factory=dict)


async def run_process(
    name: str,
    main: Callable[[Process], Awaitable[None]],
    *,
    healthz_address: str = "127.0.0.1",
    healthz_port: int = 0,
) -> int:
    """Runs ``main`` until it ends or SIGTERM or SIGINT asks it to; answers the exit status.

    A stop that takes longer than 4 s is cut short. Raises StartError when the health port is taken.
    """
    process = Process()
    health = await _start_health(process, healthz_address, healthz_port)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    work = asyncio.ensure_future(main(process))
    waiting = asyncio.ensure_future(stopped.wait())
    try:
        await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
            return 0
        log.info("%s: stopping", name)
        work.cancel()
        done, _ = await asyncio.wait({work}, timeout=STOP_SECONDS)
        if not done:
            log.warning("%s: did not stop within %g s", name, STOP_SECONDS)
        elif not work.cancelled() and (err := work.exception()) is not None:
            log.warning("%s: while stopping: %s", name, err)
        return 0
    finally:
        waiting.cancel()
        if health is not None:
            await health.stop()


async def _start_health(process: Process, address: str, port: int) -> HealthServer | None:
    if not port:
        return None
    health = HealthServer(address, port, checks=process.checks, ready=process.ready)
    await health.start()
    return health


def credentials_for(options: CommonOptions) -> kubeconfig.Credentials:
    """Server and identity that ``--kubeconfig``, ``--context`` and ``--master`` ask for; inside a pod its service account's.

    Raises KubeconfigError.
    """
    if options.kubeconfig:
        credentials = kubeconfig.load(options.kubeconfig, options.context)
    elif options.master:
        credentials = kubeconfig.Credentials(options.master)
    else:
        credentials = kubeconfig.in_cluster()
    return replace(credentials, server=options.master) if options.master else credentials


def client_for(options: CommonOptions, user_agent: str) -> Client:
    """The client with those credentials. Raises KubeconfigError."""
    return Client(Transport.of(credentials_for(options), user_agent=user_agent))


O = TypeVar("O", bound=CommonOptions)  # noqa: E741  # the conventional name for options


def component_main(
    name: str,
    options_type: type[O],
    main: Callable[[O, Process], Awaitable[None]],
    *,
    argv: Sequence[str] | None = None,
    ignored: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
) -> int:
    """A component's whole process; answers the exit status. What keeps it from starting is one line on stderr.

    ``ignored`` and ``texts`` are ``parse_flags``'s.
    """
    given = sys.argv[1:] if argv is None else argv
    options = parse_flags(options_type, name, given, ignored=ignored, texts=texts)
    setup_logging(options.logging_format, options.v)

    async def with_options(process: Process) -> None:
        await main(options, process)

    runner = run_process(
        name, with_options, healthz_address=options.healthz_bind_address, healthz_port=options.healthz_port
    )
    status = 0
    try:
        with suppress(KeyboardInterrupt):
            status = uvloop.run(runner)
    except* (StartError, KubeconfigError) as group:
        print(f"{name}: {_first(group)}", file=sys.stderr)
        status = 1
    return status


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    err: BaseException = group
    while isinstance(err, BaseExceptionGroup):
        err = err.exceptions[0]
    return err
