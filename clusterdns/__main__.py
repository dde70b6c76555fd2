"""``python -m clusterdns --kubeconfig=FILE``: flags, and the parts put together."""

from __future__ import annotations

import asyncio
import sys
import time

from pydantic import Field, field_validator

from clusterdns.answer import Zone
from clusterdns.forward import Forwarder, Upstreams, parse_upstream
from clusterdns.metrics import DnsMetrics
from clusterdns.server import DnsServer, Resolver
from clusterdns.service import OwnService, Place
from clusterdns.snapshot import SERVICE_INDEXERS, SLICE_INDEXERS, StoreSnapshot
from kubeling.api.resources import ENDPOINT_SLICES, NAMESPACES, SERVICES
from kubeling.client.flags import CommonOptions, Strings
from kubeling.client.informers import SharedInformers
from kubeling.client.process import Process, client_for, component_main

NAME = "clusterdns"


class Options(CommonOptions):
    """Answers DNS queries about Services and pods, and forwards all others to the host's resolvers."""

    cluster_domain: str = Field("cluster.local", description="the cluster's domain")
    bind_address: str = Field("127.0.0.1", description="address to answer on; pods must reach it")
    port: int = Field(5353, ge=0, le=65535, description="UDP and TCP port to answer on")
    cluster_dns: str = Field("10.96.0.10", description="cluster IP of the Service kube-dns; empty: keep no Service")
    forward: Strings = Field([], description="resolvers for other names (IP or IP:port); the host's by default")

    @field_validator("cluster_domain")
    @classmethod
    def _domain(cls, value: str) -> str:
        return value.strip(".").lower()

    @field_validator("forward")
    @classmethod
    def _forward(cls, value: list[str]) -> list[str]:
        for text in value:
            parse_upstream(text)
        return value


async def serve(options: Options, process: Process) -> None:
    """Answers until cancelled. Raises StartError, KubeconfigError."""
    client = client_for(options, NAME)
    informers = SharedInformers(client)
    watched = (
        informers.informer(SERVICES, indexers=SERVICE_INDEXERS),
        informers.informer(ENDPOINT_SLICES, indexers=SLICE_INDEXERS),
        informers.informer(NAMESPACES),
    )
    zone = Zone(options.cluster_domain, serial=int(time.time()))
    own = [(options.bind_address, options.port), (options.cluster_dns, 53)]
    forwarder = Forwarder(
        Upstreams([parse_upstream(f) for f in options.forward], [parse_upstream(f"{h}:{p}") for h, p in own])
    )
    resolver = Resolver(
        StoreSnapshot(*(i.store for i in watched)),
        lambda: zone,
        forwarder,
        ready=lambda: all(i.synced for i in watched),
        metrics=DnsMetrics(),
    )
    process.ready["synced"] = lambda: (
        "" if all(i.synced for i in watched) else "the cluster's services are not known yet"
    )
    server = DnsServer(resolver, options.bind_address, options.port)
    port = await server.start()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(informers.run())
            group.create_task(forwarder.detect_loops())
            if options.cluster_dns:
                place = Place(options.cluster_dns, options.bind_address, port, _metrics_port(options))
                group.create_task(OwnService(client, place).run())
    finally:
        await server.stop()
        await client.aclose()


def _metrics_port(options: Options) -> int:
    """The health port, where pods can reach it."""
    reachable = options.healthz_bind_address in (options.bind_address, "0.0.0.0")
    return options.healthz_port if reachable else 0


if __name__ == "__main__":
    sys.exit(component_main(NAME, Options, serve))
