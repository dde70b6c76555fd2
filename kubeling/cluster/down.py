"""Taking a cluster away so that nothing of it is left."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kubeling.client.cgroupfs import remove_cluster_groups
from kubeling.client.kubeconfig import default_path
from kubeling.client.podlogs import CONTAINERS, PODS, remove_pod_logs
from kubeling.cluster import state
from kubeling.cluster.config import ClusterConfig
from kubeling.cluster.errors import ClusterError
from kubeling.cluster.kubeconfig import remove_context
from kubeling.cluster.network import docker_engine, remove_containers, remove_network
from kubeling.cluster.paths import ClusterPaths

_STOP_SECONDS = 30.0
Report = Callable[[str], None]


async def down(paths: ClusterPaths, report: Report, kubeconfig: Path | None = None) -> bool:
    """Stops and removes a cluster; False when there was none. Safe to repeat.

    What cannot be removed does not keep the rest: it is told at the end. Raises ClusterError.
    """
    config = _remembered(paths)
    existed = paths.root.exists()
    await stop_processes(paths, report)
    problems: list[ClusterError] = []
    if config is not None:
        if config.needs_node:
            problems += await _remove_node_parts(config, report)
        try:
            if remove_context(kubeconfig or default_path(), config.context):
                report(f"context {config.context} removed from the kubeconfig")
        except ClusterError as err:
            problems.append(err)
    unmount_below(paths.root)
    problems += _remove_groups(paths.root.name)
    try:
        remove_log_links(paths.root / "kubelet")
    except ClusterError as err:
        problems.append(err)
    if problems:  # the settings stay, so that the command can be repeated
        raise problems[0]
    if paths.root.exists():
        shutil.rmtree(paths.root)
    return existed


def _remembered(paths: ClusterPaths) -> ClusterConfig | None:
    """The settings. Damaged ones are no reason to keep the cluster: what belongs to it is found by its name."""
    try:
        remembered = state.load(paths)
    except ClusterError:
        return ClusterConfig(name=paths.root.name)
    return remembered[0] if remembered else None


async def stop_processes(paths: ClusterPaths, report: Report) -> None:
    """Ends the supervisor and, through it, every component; kills it when it does not end in time."""
    answer = await state.ask_supervisor(paths, "status")
    if answer is None:
        return
    report("stopping the components")
    await state.ask_supervisor(paths, "stop")
    pid = int(answer["pid"])
    deadline = time.monotonic() + _STOP_SECONDS
    while _alive(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            break
        await asyncio.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


async def _remove_node_parts(config: ClusterConfig, report: Report) -> list[ClusterError]:
    """Containers, network, service rules; what could not be removed."""
    problems: list[ClusterError] = []
    try:
        async with docker_engine() as engine:
            count = await remove_containers(engine, config.name)
            if count:
                report(f"{count} containers removed")
            if await remove_network(engine, config.network):
                report(f"network {config.network} removed")
    except ClusterError as err:
        problems.append(err)
    if "kubeproxy" in config.components:
        try:
            await remove_service_rules(config.network)
        except ClusterError as err:
            problems.append(err)
    return problems


def _remove_groups(name: str) -> list[ClusterError]:
    """Control groups of pods, which a kubelet that is gone cannot remove; what could not be removed."""
    try:
        remove_cluster_groups(name)
    except OSError as err:
        return [ClusterError(f"control groups of {name} are left: {err}", "see what runs in them: systemd-cgls")]
    return []


async def remove_service_rules(table: str) -> None:
    """Removes the cluster's nftables table and Docker rules by kubeproxy's own clean-up. Raises ClusterError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kubeproxy",
        "--cleanup",
        f"--table={table}",
        stdout=subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if process.returncode != 0:
        text = errors.decode(errors="replace").strip().splitlines()
        raise ClusterError(
            f"the service rules of {table} are left: {text[-1] if text else process.returncode}",
            f"remove them: nft delete table inet {table}",
        )


def remove_log_links(kubelets: Path, pods: Path = PODS, containers: Path = CONTAINERS) -> None:
    """Removes what leads to the logs of the cluster's pods from the machine's folders of logs.

    ``kubelets`` has the root folder of every kubelet, and so the UIDs of their pods. Raises ClusterError.
    """
    try:
        remove_pod_logs({folder.name for folder in kubelets.glob("*/pods/*")}, pods, containers)
    except OSError as err:
        raise ClusterError(f"cannot remove links to logs: {err}", f"remove them from {pods} and {containers}") from err


def mounts_below(root: Path, mountinfo: str) -> list[str]:
    """Mount points at or below ``root``, deepest first, from the text of /proc/self/mountinfo."""
    points = []
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) > 4:
            point = fields[4].encode().decode("unicode_escape")
            if point == str(root) or point.startswith(f"{root}/"):
                points.append(point)
    return sorted(points, key=lambda p: p.count("/"), reverse=True)


def unmount_below(root: Path) -> None:
    """Unmounts everything below ``root``, lazily where it is busy. Raises ClusterError."""
    for point in mounts_below(root, Path("/proc/self/mountinfo").read_text()):
        done = subprocess.run(["umount", "-l", point], capture_output=True, text=True, check=False)
        if done.returncode != 0 and "not mounted" not in done.stderr:
            raise ClusterError(f"cannot unmount {point}: {done.stderr.strip()}", "see what uses it: fuser -vm " + point)
