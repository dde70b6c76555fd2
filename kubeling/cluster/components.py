"""Which processes make up a cluster, and with which arguments: pure, from settings, paths and addresses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubeling.cluster.config import ClusterConfig
from kubeling.cluster.network import PodNetwork
from kubeling.cluster.paths import ClusterPaths
from kubeling.cluster.pki import Leaf

DNS_PORT = 5353
KUBELET_PORT = 10250
CLUSTERDNS_USER = "system:serviceaccount:kube-system:clusterdns"


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """A process to keep running: its name (log file, ``kubeling logs NAME``) and its command line."""

    name: str
    argv: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "argv": list(self.argv)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ComponentSpec:
        return cls(value["name"], tuple(value["argv"]))


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports that a cluster keeps over restarts: etcd's on loopback, the kubelets' one on the address of each node."""

    etcd: int
    etcd_peer: int
    kubelet: int = KUBELET_PORT


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where components find each other when they do not share one host (docker-compose); empty: on loopback.

    ``etcd`` and ``server`` are names or addresses that the control plane uses; ``advertise`` is the address at which pods reach
    the API server.
    """

    etcd: str = ""
    server: str = ""
    advertise: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """All that decides the processes of a cluster. ``network`` is None when no node component runs."""

    config: ClusterConfig
    paths: ClusterPaths
    ports: Ports
    network: PodNetwork | None
    hosts: Hosts = Hosts()

    @property
    def advertise_address(self) -> str:
        """Where pods reach the API server: the bridge's gateway, or the bind address where there are no pods."""
        if self.hosts.advertise:
            return self.hosts.advertise
        return self.network.gateway if self.network else self.config.bind_address

    @property
    def server(self) -> str:
        """The API server's URL on the host; users and node components use it."""
        host = "127.0.0.1" if self.config.bind_address == "0.0.0.0" else self.config.bind_address
        return f"https://{host}:{self.config.port}"

    @property
    def control_plane_server(self) -> str:
        """The URL that controllers and scheduler use."""
        return f"https://{self.hosts.server}:{self.config.port}" if self.hosts.server else self.server

    @property
    def etcd_server(self) -> str:
        return f"https://{self.hosts.etcd or '127.0.0.1'}:{self.ports.etcd}"

    def crt(self, name: str) -> str:
        return str(self.paths.pki / f"{name}.crt")

    def key(self, name: str) -> str:
        return str(self.paths.pki / f"{name}.key")


FRONT_PROXY_CA = "front-proxy-ca"
FRONT_PROXY = Leaf("front-proxy-client", "front-proxy-client")
"""With which the API server vouches for users at the servers behind API services; an authority of its own signs it."""

CONTROL_PLANE = ("controllers", "scheduler")


def client_identities(config: ClusterConfig) -> dict[str, Leaf]:
    """The client certificates to issue: kubeconfig name to certificate."""
    identities = {
        "admin": Leaf("admin", "kubernetes-admin", ("system:masters",)),
        "controllers": Leaf("controllers", "system:kube-controller-manager"),
        "scheduler": Leaf("scheduler", "system:kube-scheduler"),
        "kubeproxy": Leaf("kubeproxy", "system:kube-proxy"),
        "clusterdns": Leaf(
            "clusterdns", CLUSTERDNS_USER, ("system:serviceaccounts", "system:serviceaccounts:kube-system")
        ),
    }
    for node in config.node_names:
        identities[f"kubelet-{node}"] = Leaf(f"kubelet-{node}-client", f"system:node:{node}", ("system:nodes",))
    return identities


def server_certificates(layout: Layout) -> Iterator[Leaf]:
    """Serving certificates and the API server's own client certificates."""
    config = layout.config
    services = [f"kubernetes.default{end}" for end in ("", ".svc", f".svc.{config.cluster_domain}")]
    addresses = {"127.0.0.1", config.bind_address, layout.advertise_address, config.service_address(1)} - {"0.0.0.0"}
    aliases = [layout.hosts.server] if layout.hosts.server else []
    yield Leaf(
        "apiserver", "kube-apiserver", names=("kubernetes", *services, "localhost", *aliases, *sorted(addresses))
    )
    yield Leaf("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",))
    yield Leaf("etcd", "etcd", names=("localhost", "127.0.0.1", *([layout.hosts.etcd] if layout.hosts.etcd else ())))
    yield Leaf("apiserver-etcd-client", "kube-apiserver-etcd-client")
    if layout.network:
        for i, node in enumerate(config.node_names):
            names = (node, "localhost", "127.0.0.1", layout.network.node_address(i))
            yield Leaf(f"kubelet-{node}", f"system:node:{node}", ("system:nodes",), names)


def plan_components(layout: Layout) -> list[ComponentSpec]:
    """The processes in the order in which they start (and, backwards, stop)."""
    builders = {
        "etcd": _etcd,
        "apiserver": _apiserver,
        "controllers": _controllers,
        "scheduler": _scheduler,
        "kubeproxy": _kubeproxy,
        "clusterdns": _clusterdns,
        "kubelet": _kubelets,
    }
    order = ("etcd", "apiserver", "kubeproxy", "kubelet", "controllers", "scheduler", "clusterdns")
    chosen = layout.config.components
    return [spec for name in order if name in chosen for spec in builders[name](layout)]


def _python(layout: Layout, module: str, *args: str, name: str = "", kubeconfig: str = "") -> ComponentSpec:
    extra = layout.config.extra_args.get(module, [])  # type: ignore[call-overload]  # module is a Component
    where = (f"--kubeconfig={layout.paths.kubeconfig(kubeconfig or module)}",) if module != "apiserver" else ()
    return ComponentSpec(name or module, (sys.executable, "-m", module, *where, *args, *extra))


def _etcd(layout: Layout) -> Iterator[ComponentSpec]:
    listen = f"https://{'0.0.0.0' if layout.hosts.etcd else '127.0.0.1'}:{layout.ports.etcd}"
    peer = f"https://127.0.0.1:{layout.ports.etcd_peer}"
    flags = {
        "name": layout.config.name,
        "data-dir": str(layout.paths.etcd),
        "listen-client-urls": listen,
        "advertise-client-urls": layout.etcd_server,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"{layout.config.name}={peer}",
        "cert-file": layout.crt("etcd"),
        "key-file": layout.key("etcd"),
        "trusted-ca-file": layout.crt("ca"),
        "client-cert-auth": "true",
        "peer-cert-file": layout.crt("etcd"),
        "peer-key-file": layout.key("etcd"),
        "peer-trusted-ca-file": layout.crt("ca"),
        "peer-client-cert-auth": "true",
        "log-level": "warn",
        "quota-backend-bytes": str(8 << 30),
    }
    yield ComponentSpec(
        "etcd", ("etcd", *(f"--{k}={v}" for k, v in flags.items()), *layout.config.extra_args.get("etcd", []))
    )


def _apiserver(layout: Layout) -> Iterator[ComponentSpec]:
    config = layout.config
    flags = {
        "etcd-servers": layout.etcd_server,
        "etcd-cafile": layout.crt("ca"),
        "etcd-certfile": layout.crt("apiserver-etcd-client"),
        "etcd-keyfile": layout.key("apiserver-etcd-client"),
        "secure-port": str(config.port),
        "tls-cert-file": layout.crt("apiserver"),
        "tls-private-key-file": layout.key("apiserver"),
        "client-ca-file": layout.crt("ca"),
        "requestheader-client-ca-file": layout.crt(FRONT_PROXY_CA),
        "requestheader-allowed-names": FRONT_PROXY.common_name,
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": layout.crt(FRONT_PROXY.file),
        "proxy-client-key-file": layout.key(FRONT_PROXY.file),
        "kubelet-certificate-authority": layout.crt("ca"),
        "kubelet-client-certificate": layout.crt("apiserver-kubelet-client"),
        "kubelet-client-key": layout.key("apiserver-kubelet-client"),
        "kubelet-preferred-address-types": "InternalIP,Hostname",
        "service-account-key-file": str(layout.paths.pki / "sa.pub"),
        "service-account-signing-key-file": str(layout.paths.pki / "sa.key"),
        "service-account-issuer": f"https://kubernetes.default.svc.{config.cluster_domain}",
        "service-cluster-ip-range": config.service_cidr,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        "allow-privileged": "true",
        "enable-metrics-api": "true",
        "advertise-address": layout.advertise_address,
        "kubernetes-version": config.kubernetes_version.removeprefix("v"),
        **({"legacy-apis": "true"} if config.legacy_apis else {}),
    }
    binds = [config.bind_address]
    if layout.network and config.bind_address != "0.0.0.0":
        binds.append(layout.advertise_address)
    args = [*(f"--bind-address={b}" for b in binds), *(f"--{k}={v}" for k, v in flags.items())]
    yield _python(layout, "apiserver", *args)


# one copy runs, under supervision: after a crash the next need not wait out upstream's fifteen seconds
_LEASE = ("--leader-elect-lease-duration=4s", "--leader-elect-renew-deadline=3s", "--leader-elect-retry-period=500ms")


def _controllers(layout: Layout) -> Iterator[ComponentSpec]:
    flags = {
        "root-ca-file": layout.crt("ca"),
        "service-account-private-key-file": str(layout.paths.pki / "sa.key"),
        "cluster-signing-cert-file": layout.crt("ca"),
        "cluster-signing-key-file": layout.key("ca"),
        "cluster-name": layout.config.name,
        "controllers": "*,bootstrapsigner,tokencleaner",
        "use-service-account-credentials": "true",
        "service-cluster-ip-range": layout.config.service_cidr,
        "hostpath-provisioner-root": str(layout.paths.root / "volumes"),
        **({"cluster-cidr": str(layout.network.subnet)} if layout.network else {}),
    }
    yield _python(layout, "controllers", *(f"--{k}={v}" for k, v in flags.items()), *_LEASE)


def _scheduler(layout: Layout) -> Iterator[ComponentSpec]:
    yield _python(layout, "scheduler", *_LEASE)


def _kubeproxy(layout: Layout) -> Iterator[ComponentSpec]:
    network = _network(layout)
    yield _python(
        layout,
        "kubeproxy",
        f"--cluster-cidr={network.subnet}",
        f"--service-cluster-ip-range={layout.config.service_cidr}",
        f"--hostname-override={layout.config.node_names[0]}",
        f"--table={layout.config.network}",
    )


def _clusterdns(layout: Layout) -> Iterator[ComponentSpec]:
    yield _python(
        layout,
        "clusterdns",
        f"--cluster-domain={layout.config.cluster_domain}",
        f"--bind-address={_network(layout).gateway}",
        f"--port={DNS_PORT}",
        f"--cluster-dns={layout.config.service_address(10)}",
    )


def _kubelets(layout: Layout) -> Iterator[ComponentSpec]:
    config, network = layout.config, _network(layout)
    for i, node in enumerate(config.node_names):
        flags = {
            "hostname-override": node,
            "node-ip": network.node_address(i),
            "address": network.node_address(i),  # not all of them: clusters side by side keep their ports apart
            "port": str(layout.ports.kubelet),
            "cluster-dns": config.service_address(10),
            "cluster-domain": config.cluster_domain,
            "root-dir": str(layout.paths.kubelet_root(node)),
            "tls-cert-file": layout.crt(f"kubelet-{node}"),
            "tls-private-key-file": layout.key(f"kubelet-{node}"),
            "client-ca-file": layout.crt("ca"),
            "cluster-name": config.name,
            "pod-network": network.name,
            "pod-cidr": str(network.subnet),
            # the disk is the user's: what they keep on it is no reason to end pods before it is nearly full
            "eviction-hard": "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%",
        }
        name = "kubelet" if config.nodes == 1 else f"kubelet-{node}"
        args = [f"--{k}={v}" for k, v in flags.items()]
        yield _python(layout, "kubelet", *args, name=name, kubeconfig=f"kubelet-{node}")


def _network(layout: Layout) -> PodNetwork:
    if layout.network is None:
        raise ValueError("node components need the pod network")
    return layout.network
