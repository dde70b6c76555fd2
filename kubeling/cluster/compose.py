"""The entry point of the containers in docker-compose.yml: the same layout as ``kubeling up``, one component a container.

    python -m kubeling.cluster.compose init          certificates, kubeconfigs, ./kubeconfig for the user
    python -m kubeling.cluster.compose run NAME      becomes that component
    python -m kubeling.cluster.compose node          kubelet, kubeproxy and DNS, supervised; the pods go when it stops

Settings come from the environment: KUBELING_POD_CIDR, KUBELING_PORT, KUBELING_STATE (a path that is the same on the host, since the
Docker engine mounts volumes from it).
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from kubeling.client.cgroupfs import remove_cluster_groups
from kubeling.cluster import supervisor
from kubeling.cluster.components import Hosts, Layout, Ports, plan_components
from kubeling.cluster.config import ClusterConfig
from kubeling.cluster.credentials import write_credentials
from kubeling.cluster.down import remove_log_links, remove_service_rules, unmount_below
from kubeling.cluster.errors import ClusterError
from kubeling.cluster.network import PodNetwork, docker_engine, remove_containers
from kubeling.cluster.paths import ClusterPaths
from kubeling.cluster.pki import write_private
from kubeling.cluster.up import apply_addons_when_ready

NAME = "compose"
_APISERVER_HOST = 0x7F01  # the API server's place in the pod network, see docker-compose.yml
_NODE_COMPONENTS = ("kubeproxy", "kubelet", "clusterdns")


def compose_layout(environment: Mapping[str, str]) -> Layout:
    """The layout that docker-compose.yml realises."""
    subnet = ipaddress.IPv4Network(environment.get("KUBELING_POD_CIDR", "10.253.0.0/16"))
    config = ClusterConfig(
        name=NAME, port=int(environment.get("KUBELING_PORT", "6443")), pod_cidr=str(subnet), bind_address="0.0.0.0"
    )
    network = PodNetwork(config.network, subnet, str(subnet[1]))
    return Layout(
        config,
        ClusterPaths(Path(environment.get("KUBELING_STATE", "/var/lib/kubeling/compose"))),
        Ports(2379, 2380),
        network,
        Hosts(etcd="etcd", server="apiserver", advertise=str(subnet[_APISERVER_HOST])),
    )


def init(layout: Layout, out: Path) -> None:
    """Writes credentials; ``out/kubeconfig`` belongs to whoever owns the folder."""
    for folder in (layout.paths.root, layout.paths.logs, layout.paths.kubeconfigs, layout.paths.etcd):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_credentials(layout)
    target = out / "kubeconfig"
    write_private(target, layout.paths.kubeconfig("admin").read_bytes())
    owner = out.stat()
    os.chown(target, owner.st_uid, owner.st_gid)
    specs = [s for s in plan_components(layout) if s.name in _NODE_COMPONENTS]
    write_private(layout.paths.root / "components.json", json.dumps([s.to_json() for s in specs]).encode())


_SHARE = """
findmnt -n -o PROPAGATION -T "$1" | grep -q shared && exit 0
mount --bind "$1" "$1" && mount --make-shared "$1"
"""


def share_mounts(folder: Path) -> None:
    """Makes mounts below a folder of the host reach containers and back, as systemd does for the whole machine.

    The kubelet mounts volumes there from within a container. The parent of a container's first process, the engine's shim, lives
    in the host's mount namespace. Raises ClusterError.
    """
    argv = ["nsenter", "-t", str(os.getppid()), "-m", "--", "sh", "-c", _SHARE, "sh", str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = done.stderr.strip()
        raise ClusterError(f"cannot share mounts of {folder}: {why}", "on the host: mount --make-rshared /")


def run(layout: Layout, name: str) -> None:
    """Becomes the component; returns only when it is unknown."""
    for spec in plan_components(layout):
        if spec.name == name:
            os.execvp(spec.argv[0], spec.argv)
    raise ClusterError(f"no component {name}", "see docker-compose.yml")


async def _clean_node(layout: Layout) -> None:
    async with docker_engine() as engine:
        await remove_containers(engine, layout.config.name)
    await remove_service_rules(layout.config.network)
    remove_cluster_groups(layout.config.name)
    unmount_below(layout.paths.root / "kubelet")
    remove_log_links(layout.paths.root / "kubelet")
    shutil.rmtree(layout.paths.root / "kubelet", ignore_errors=True)


def node(layout: Layout) -> int:
    """Runs the node until SIGTERM, then removes its pods: the network can go with ``docker compose down``."""
    subprocess.run(["mount", "-o", "remount,rw,bind", "/proc/sys"], check=True)  # the service proxy sets sysctls
    asyncio.run(apply_addons_when_ready(layout))
    status = supervisor.main([str(layout.paths.root)])
    asyncio.run(_clean_node(layout))
    return status


def main(arguments: Sequence[str]) -> int:
    layout = compose_layout(os.environ)
    try:
        match list(arguments):
            case ["init"]:
                share_mounts(layout.paths.root)
                init(layout, Path("/out"))
            case ["run", name]:
                run(layout, name)
            case ["node"]:
                return node(layout)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except ClusterError as err:
        print(f"{err.message}\n{err.advice}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
