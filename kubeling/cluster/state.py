"""What a cluster remembers between commands: its settings, its ports, whether its supervisor lives."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import asdict
from typing import Any

from kubeling.cluster.components import KUBELET_PORT, Ports
from kubeling.cluster.config import ClusterConfig
from kubeling.cluster.errors import ClusterError
from kubeling.cluster.paths import ClusterPaths
from kubeling.cluster.pki import write_private


def save(paths: ClusterPaths, config: ClusterConfig, ports: Ports) -> None:
    paths.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    document = {"config": config.model_dump(mode="json"), "ports": asdict(ports)}
    write_private(paths.config, json.dumps(document, indent=1).encode())


def load(paths: ClusterPaths) -> tuple[ClusterConfig, Ports] | None:
    """The remembered settings, or None for a cluster that does not exist. Raises ClusterError when they are unreadable."""
    try:
        document = json.loads(paths.config.read_text())
        ports = document["ports"]
        known = Ports(ports["etcd"], ports["etcd_peer"], ports.get("kubelet", KUBELET_PORT))
        return ClusterConfig(**document["config"]), known
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as err:
        raise ClusterError(
            f"{paths.config} is damaged: {err}", f"remove the cluster: kubeling down --name {paths.root.name}"
        ) from err


def choose_ports() -> Ports:
    """Free ports; the kubelets get 10250 unless somebody listens there on all addresses."""
    taken: list[socket.socket] = []

    def free(wanted: int = 0) -> int:
        probe = socket.socket()
        taken.append(probe)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free()
        return int(probe.getsockname()[1])

    try:
        return Ports(free(), free(), free(KUBELET_PORT))
    finally:
        for probe in taken:
            probe.close()


def check_port_is_free(address: str, port: int) -> None:
    """Raises ClusterError when something listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as err:
            raise ClusterError(
                f"port {port} on {address} is in use ({err.strerror})",
                "choose another with --port, or stop what listens there",
            ) from err


async def ask_supervisor(paths: ClusterPaths, command: str) -> dict[str, Any] | None:
    """The supervisor's answer, or None when none listens."""
    try:
        reader, writer = await asyncio.open_unix_connection(paths.socket)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    try:
        writer.write(json.dumps({"command": command}).encode() + b"\n")
        await writer.drain()
        answer: dict[str, Any] = json.loads(await reader.readline())
        return answer
    except (ConnectionError, ValueError):
        return None
    finally:
        writer.close()
