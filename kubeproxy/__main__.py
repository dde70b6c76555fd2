"""``python -m kubeproxy --kubeconfig=FILE``: flags, and the parts put together."""

from __future__ import annotations

import ipaddress
import os
import sys

from pydantic import Field, field_validator

from kubeling.client.errors import StartError
from kubeling.client.flags import CommonOptions, Seconds, Strings
from kubeling.client.informers import SharedInformers
from kubeling.client.process import Process, client_for, component_main
from kubeproxy.command import CommandMissing, run
from kubeproxy.conntrack import Conntrack
from kubeproxy.healthcheck import HealthChecks
from kubeproxy.host import Host, disallow_forward
from kubeproxy.nft import Nft, NftError
from kubeproxy.nodeports import NodePortReserver
from kubeproxy.proxy import Proxy, SyncTimes
from kubeproxy.render import Settings

NAME = "kube-proxy"


class Options(CommonOptions):
    """Makes Services reachable: renders them into one nftables table."""

    cluster_cidr: str = Field("10.244.0.0/16", description="addresses of the cluster's pods")
    service_cluster_ip_range: str = Field("10.96.0.0/16", description="addresses of services")
    hostname_override: str = Field("", description="name of the node on this machine")
    nodeport_addresses: Strings = Field(
        [], description="networks on which NodePorts answer; all local addresses by default"
    )
    table: str = Field("kubeling-dev", pattern=r"^[a-zA-Z][\w-]{0,60}$", description="name of the nftables table")
    masquerade_all: bool = Field(False, description="masquerade all traffic to services")
    iptables_masquerade_bit: int = Field(
        14, ge=0, le=31, description="bit of the packet mark that asks for masquerading"
    )
    iptables_min_sync_period: Seconds = Field(0.1, description="shortest time between two syncs")
    iptables_sync_period: Seconds = Field(30.0, gt=0, description="longest time between two looks at the host")
    cleanup: bool = Field(False, description="remove the table and Docker's rule for it, then exit")

    @field_validator("nodeport_addresses")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        return [str(ipaddress.IPv4Network(v, strict=False)) for v in value if ":" not in v]

    @field_validator("cluster_cidr", "service_cluster_ip_range")
    @classmethod
    def _network(cls, value: str) -> str:
        ipv4 = [v for v in value.split(",") if ":" not in v]
        if not ipv4:
            raise ValueError("an IPv4 network is needed, for example 10.96.0.0/16")
        return str(ipaddress.IPv4Network(ipv4[0]))


IGNORED = {
    "proxy-mode": "there is one mode, nftables",
    "config": "flags only",
    "bind-address": "services answer on all local addresses",
    "conntrack-max-per-core": "the kernel's own setting stays",
    "conntrack-min": "the kernel's own setting stays",
    "conntrack-tcp-timeout-established": "the kernel's own setting stays",
    "conntrack-tcp-timeout-close-wait": "the kernel's own setting stays",
    "detect-local-mode": "local traffic is that of the cluster CIDR",
    "metrics-bind-address": "metrics are on the health port",
    "feature-gates": "there are none",
    "iptables-localhost-nodeports": "NodePorts answer on 127.0.0.1 always",
    "ipvs-exclude-cidrs": "there is one mode, nftables",
    "ipvs-min-sync-period": "there is one mode, nftables",
    "ipvs-scheduler": "there is one mode, nftables",
    "ipvs-strict-arp": "there is one mode, nftables",
    "ipvs-sync-period": "there is one mode, nftables",
    "nftables-masquerade-bit": "see --iptables-masquerade-bit",
    "nftables-min-sync-period": "see --iptables-min-sync-period",
    "nftables-sync-period": "see --iptables-sync-period",
    "kube-api-burst": "the server's own limits hold",
    "kube-api-content-type": "always JSON",
    "kube-api-qps": "the server's own limits hold",
    "pod-bridge-interface": "local traffic is that of the cluster CIDR",
    "pod-interface-name-prefix": "local traffic is that of the cluster CIDR",
    "profiling": "there is none",
    "show-hidden-metrics-for-version": "no metrics are hidden",
    "oom-score-adj": "not changed",
    "config-sync-period": "watches need no refresh",
}


async def clean_up(table: str) -> None:
    """Removes what the proxy of this table leaves on the host. Raises StartError."""
    try:
        await Nft(table, run).delete()
        await disallow_forward(run, table)
    except (NftError, CommandMissing) as err:
        raise StartError(f"cannot remove the service rules: {err}") from err


async def serve(options: Options, process: Process) -> None:
    """Runs the proxy until cancelled, or the clean-up. Raises StartError, KubeconfigError."""
    if os.geteuid() != 0:
        raise StartError("must run as root to change the kernel's packet rules")
    if options.cleanup:
        await clean_up(options.table)
        return
    client = client_for(options, NAME)
    settings = Settings(
        table=options.table,
        cluster_cidr=options.cluster_cidr,
        service_cidr=options.service_cluster_ip_range,
        nodeport_addresses=tuple(options.nodeport_addresses),
        masquerade_all=options.masquerade_all,
        masquerade_bit=options.iptables_masquerade_bit,
    )
    proxy = Proxy(
        SharedInformers(client),
        settings,
        nft=Nft(options.table, run),
        host=Host(run, options.cluster_cidr, options.service_cluster_ip_range, options.table),
        conntrack=Conntrack(run),
        reserver=NodePortReserver(),
        health_checks=HealthChecks(),
        own_node=options.hostname_override,
        times=SyncTimes(minimum=options.iptables_min_sync_period, full=options.iptables_sync_period),
    )
    process.checks["sync"] = proxy.healthy
    process.ready["synced"] = proxy.synced
    try:
        await proxy.run()
    except CommandMissing as err:
        raise StartError(str(err)) from err
    finally:
        await client.aclose()


if __name__ == "__main__":
    sys.exit(component_main(NAME, Options, serve, ignored=IGNORED))
