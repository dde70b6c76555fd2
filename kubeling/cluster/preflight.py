"""What a machine must have before a cluster can start: each check raises ClusterError saying what to do."""

from __future__ import annotations

import os
import shutil

from kubeling.cluster.config import ClusterConfig
from kubeling.cluster.errors import ClusterError

# program, the Debian package that has it, the component that calls it
_PROGRAMS = (
    ("etcd", "etcd-server", "etcd"),
    ("nft", "nftables", "kubeproxy"),
    ("iptables", "iptables", "kubeproxy"),
    ("ip", "iproute2", "kubelet"),
)


def check_user(config: ClusterConfig) -> None:
    if config.needs_node and os.geteuid() != 0:
        raise ClusterError(
            "a cluster with a node must be started by root (it mounts volumes and writes nftables rules)",
            "run it with sudo, or only the API server: kubeling up --only apiserver",
        )


def check_programs(config: ClusterConfig) -> None:
    missing = [
        (program, package)
        for program, package, component in _PROGRAMS
        if component in config.components and shutil.which(program) is None
    ]
    if missing:
        programs = ", ".join(p for p, _ in missing)
        packages = " ".join(p for _, p in missing)
        raise ClusterError(f"not installed: {programs}", f"apt-get install {packages} (or `make setup`)")
