"""UDP flows that the kernel would keep sending to endpoints that are gone.

A TCP connection ends by itself; a UDP flow with a fixed client port lives on for as long as packets come. Flows are compared
with what the services are now, so a missed change does no harm.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass

from kubeproxy.command import CommandMissing, Run
from kubeproxy.model import ServicePort, usable

log = logging.getLogger(__name__)
_TUPLE = re.compile(r"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)")


@dataclass(frozen=True, slots=True)
class Flow:
    """A UDP flow: who asked whom, and who answers (``reply_*`` is the endpoint after translation)."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    reply_source: str
    reply_source_port: int


def parse(listing: str) -> list[Flow]:
    """Flows from the output of ``conntrack -L``."""
    flows = []
    for line in listing.splitlines():
        both = _TUPLE.findall(line)
        if len(both) == 2:
            (src, dst, sport, dport), (reply_src, _, reply_sport, _) = both
            flows.append(Flow(src, int(sport), dst, int(dport), reply_src, int(reply_sport)))
    return flows


def stale(flows: Iterable[Flow], ports: Iterable[ServicePort]) -> list[Flow]:
    """Flows to a service's address that end at none of its usable endpoints."""
    by_address: dict[tuple[str, int], set[tuple[str, int]]] = {}
    by_node_port: dict[int, set[tuple[str, int]]] = {}
    for port in ports:
        if port.protocol != "udp":
            continue
        targets = {(e.ip, e.port) for e in usable(port.endpoints)}
        for ip in (port.cluster_ip, *port.external_ips, *port.ingress_ips):
            by_address[ip, port.port] = targets
        if port.node_port:
            by_node_port[port.node_port] = targets
    return [f for f in flows if _is_stale(f, by_address, by_node_port)]


def _is_stale(
    flow: Flow, by_address: dict[tuple[str, int], set[tuple[str, int]]], by_node_port: dict[int, set[tuple[str, int]]]
) -> bool:
    end = (flow.reply_source, flow.reply_source_port)
    targets = by_address.get((flow.destination, flow.destination_port))
    if targets is not None:
        return end not in targets
    targets = by_node_port.get(flow.destination_port)
    # a plain flow to some other machine's port of that number was never translated, so it is none of ours
    return targets is not None and end not in targets and end != (flow.destination, flow.destination_port)


class Conntrack:
    """The kernel's flow table through the ``conntrack`` tool; without the tool flows stay until they time out."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._missing = False

    async def clean(self, ports: Iterable[ServicePort]) -> int:
        """Deletes stale flows; returns how many there were."""
        if self._missing:
            return 0
        try:
            listed = await self._run(["conntrack", "-L", "-p", "udp"])
        except CommandMissing as err:
            self._missing = True
            log.warning("UDP flows to endpoints that are gone are left to time out: %s", err)
            return 0
        found = stale(parse(listed.output), ports)
        for flow in found:
            await self._run(["conntrack", "-D", "-p", "udp", *_arguments(flow)])
        return len(found)


def _arguments(flow: Flow) -> list[str]:
    named = {
        "--orig-src": flow.source,
        "--orig-dst": flow.destination,
        "--orig-port-src": flow.source_port,
        "--orig-port-dst": flow.destination_port,
    }
    return [str(word) for pair in named.items() for word in pair]
