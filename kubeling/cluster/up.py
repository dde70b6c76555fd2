"""Bringing a cluster up: certificates, kubeconfigs, network, processes, and waiting until it can be used."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, has_condition, name_of
from kubeling.api.resource import Resource
from kubeling.api.resources import NODES, SERVICE_ACCOUNTS
from kubeling.client.errors import ConnectionFailed
from kubeling.client.kubeconfig import default_path
from kubeling.client.rest import Client
from kubeling.cluster import state
from kubeling.cluster.addons import addon_objects, default_storage_class
from kubeling.cluster.components import Layout, Ports, plan_components
from kubeling.cluster.config import ClusterConfig
from kubeling.cluster.credentials import write_credentials
from kubeling.cluster.down import down, stop_processes
from kubeling.cluster.errors import ClusterError
from kubeling.cluster.kubeconfig import add_context, check_kubeconfig
from kubeling.cluster.network import PodNetwork, docker_engine, ensure_network
from kubeling.cluster.paths import ClusterPaths
from kubeling.cluster.pki import write_private
from kubeling.cluster.preflight import check_programs, check_user

_POLL_SECONDS = 0.05
Report = Callable[[str], None]


async def up(config: ClusterConfig, wait_seconds: float, report: Report, kubeconfig: Path | None = None) -> Layout:
    """Starts a new cluster, or one that was stopped; returns once it is usable.

    Raises ClusterError; a new cluster that fails to start is removed again, its logs' last lines are part of the message.
    """
    paths = ClusterPaths.of(config.name)
    check_user(config)
    await _refuse_running(paths, config)
    remembered = state.load(paths)
    if remembered is not None and remembered[0] != config:
        raise ClusterError(
            f"cluster {config.name} exists, stopped, with other settings",
            f"start it as it was (kubeling start --name {config.name}) or remove it (kubeling down --name {config.name})",
        )
    check_programs(config)
    check_kubeconfig(kubeconfig or default_path())
    if "apiserver" in config.components:
        state.check_port_is_free(config.bind_address, config.port)
    ports = remembered[1] if remembered else state.choose_ports()
    try:
        return await _start(config, paths, ports, wait_seconds, report, kubeconfig)
    except BaseException:
        if remembered is None:
            with contextlib.suppress(ClusterError):  # the first failure is the one to tell
                await down(paths, report, kubeconfig)
        else:
            await stop_processes(paths, report)
        raise


async def _refuse_running(paths: ClusterPaths, config: ClusterConfig) -> None:
    if await state.ask_supervisor(paths, "status") is not None:
        raise ClusterError(
            f"cluster {config.name} is already running",
            f"use it (kubectl --context {config.context} get nodes), remove it (kubeling down --name {config.name}), "
            "or choose another --name and --port",
        )


async def _start(
    config: ClusterConfig,
    paths: ClusterPaths,
    ports: Ports,
    wait_seconds: float,
    report: Report,
    kubeconfig: Path | None,
) -> Layout:
    network = await _prepare_network(config) if config.needs_node else None
    layout = Layout(config, paths, ports, network)
    state.save(paths, config, ports)
    for folder in (paths.logs, paths.kubeconfigs, paths.etcd):
        folder.mkdir(exist_ok=True, mode=0o700)
    write_credentials(layout)
    specs = plan_components(layout)
    write_private(paths.root / "components.json", json.dumps([s.to_json() for s in specs]).encode())
    report(f"starting {', '.join(s.name for s in specs)}")
    _spawn_supervisor(paths)
    await _wait_until_usable(layout, wait_seconds, report)
    if "apiserver" in config.components:
        add_context(kubeconfig or default_path(), paths.kubeconfig("admin"))
    return layout


async def _prepare_network(config: ClusterConfig) -> PodNetwork:
    async with docker_engine() as engine:
        return await ensure_network(engine, config.network, config.name, config.pod_cidr)


def _spawn_supervisor(paths: ClusterPaths) -> None:
    with paths.log("supervisor").open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-m", "kubeling.cluster.supervisor", str(paths.root)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env=_environment(),
        )


def _environment() -> dict[str, str]:
    """The environment of the components: that of the caller without what changes Python's behaviour by surprise."""
    dropped = {"KUBECONFIG", "PYTHONSTARTUP", "PYTHONINSPECT", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"}
    return {k: v for k, v in os.environ.items() if k not in dropped}


async def _wait_until_usable(layout: Layout, seconds: float, report: Report) -> None:
    if "apiserver" not in layout.config.components:
        await _wait_for("the supervisor", lambda: _supervised(layout.paths), seconds, layout)
        return
    client = Client.from_kubeconfig(layout.paths.kubeconfig("admin"), user_agent="kubeling")
    try:
        deadline = time.monotonic() + seconds
        await _wait_for("the API server", lambda: _ready(client), deadline - time.monotonic(), layout)
        report("API server ready")
        await _create_addons(client)
        if "controllers" in layout.config.components:
            what = "the default service account"
            await _wait_for(what, lambda: _has_service_account(client), deadline - time.monotonic(), layout)
        if "kubelet" in layout.config.components:
            wanted = set(layout.config.node_names)
            await _wait_for("the node", lambda: _nodes_ready(client, wanted), deadline - time.monotonic(), layout)
            report(f"node{'s' if len(wanted) > 1 else ''} ready")
    finally:
        await client.aclose()


async def _wait_for(what: str, check: Callable[[], object], seconds: float, layout: Layout) -> None:
    deadline = time.monotonic() + seconds
    while True:
        result = check()
        if await result if asyncio.iscoroutine(result) else result:
            return
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{what} is not ready after {seconds:.0f} s\n{_last_lines(layout.paths)}",
                "give it more time with --wait 120s",
            )
        await asyncio.sleep(_POLL_SECONDS)


def _last_lines(paths: ClusterPaths, count: int = 4) -> str:
    """The end of each component's log."""
    parts = []
    for log in sorted(paths.logs.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-count:]
        parts += [f"  {log.stem}: {line}" for line in lines]
    return "\n".join(parts)


async def _supervised(paths: ClusterPaths) -> bool:
    answer = await state.ask_supervisor(paths, "status")
    return answer is not None and all(c["running"] for c in answer["components"])


async def _ready(client: Client) -> bool:
    try:
        await client.request("GET", "/readyz")
    except (StatusError, ConnectionFailed):
        return False
    return True


async def _has_service_account(client: Client) -> bool:
    try:
        await client.get(SERVICE_ACCOUNTS, "default", "default")
    except (StatusError, ConnectionFailed):
        return False
    return True


async def _nodes_ready(client: Client, wanted: set[str]) -> bool:
    try:
        nodes = (await client.list(NODES)).get("items") or []
    except (StatusError, ConnectionFailed):
        return False
    return wanted <= {name_of(n) for n in nodes if has_condition(n, "Ready")}


async def apply_addons_when_ready(layout: Layout, seconds: float = 120) -> None:
    """Waits for the API server and makes the objects that node components need. Raises ClusterError."""
    client = Client.from_kubeconfig(layout.paths.kubeconfig("admin"), user_agent="kubeling")
    try:
        await _wait_for("the API server", lambda: _ready(client), seconds, layout)
        await _create_addons(client)
    finally:
        await client.aclose()


async def _create_addons(client: Client) -> None:
    await asyncio.gather(*(_ensure(client, r, obj) for r, obj in [*addon_objects(), default_storage_class()]))


async def _ensure(client: Client, resource: Resource, obj: Object) -> None:
    try:
        await client.create(resource, obj)
    except StatusError as err:
        if err.reason != "AlreadyExists":
            raise
