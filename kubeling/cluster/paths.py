"""Where a cluster keeps its state on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


def state_root() -> Path:
    """``/var/lib/kubeling`` for root, else ``$XDG_DATA_HOME/kubeling`` (``~/.local/share/kubeling``)."""
    if os.geteuid() == 0:
        return Path("/var/lib/kubeling")
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "kubeling"


@dataclass(frozen=True, slots=True)
class ClusterPaths:
    """The files of one cluster below ``root``; creating them is the work of others."""

    root: Path

    @classmethod
    def of(cls, name: str) -> ClusterPaths:
        return cls(state_root() / name)

    @property
    def config(self) -> Path:
        return self.root / "cluster.json"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def etcd(self) -> Path:
        return self.root / "etcd"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def kubeconfigs(self) -> Path:
        return self.root / "kubeconfigs"

    def kubeconfig(self, user: str) -> Path:
        return self.kubeconfigs / f"{user}.kubeconfig"

    def log(self, component: str) -> Path:
        return self.logs / f"{component}.log"

    def kubelet_root(self, node: str) -> Path:
        return self.root / "kubelet" / node

    @property
    def socket(self) -> Path:
        """The supervisor's control socket."""
        return self.root / "supervisor.sock"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.root / "supervisor.lock"


def cluster_names() -> Iterator[str]:
    """The names of all clusters that have state on this machine."""
    root = state_root()
    if root.is_dir():
        for folder in sorted(root.iterdir()):
            if (folder / "cluster.json").is_file():
                yield folder.name
