"""Keeps NodePorts from being taken by other programs: a socket is bound (not listened on) for each."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable

from kubeproxy.model import ServicePort

log = logging.getLogger(__name__)
_SOCKETS = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0)}
LocalPort = tuple[str, int]
"""Protocol and port number."""


def wanted_ports(ports: Iterable[ServicePort]) -> dict[LocalPort, str]:
    """The local ports to hold, each with the service port that it is for."""
    return {
        (p.protocol, p.node_port): f"{p.namespace}/{p.name}" + (f":{p.port_name}" if p.port_name else "")
        for p in ports
        if p.node_port and p.protocol in _SOCKETS
    }


class NodePortReserver:
    """Holds the wanted ports and lets go of the others."""

    def __init__(self) -> None:
        self._held: dict[LocalPort, socket.socket] = {}
        self._complained: set[LocalPort] = set()

    @property
    def held(self) -> set[LocalPort]:
        return set(self._held)

    def hold(self, wanted: dict[LocalPort, str]) -> None:
        """A port that another program has is reported once and tried again at every call."""
        for port in self._held.keys() - wanted.keys():
            self._held.pop(port).close()
        self._complained &= wanted.keys()
        for port, owner in wanted.items():
            if port not in self._held:
                self._take(port, owner)

    def _take(self, port: LocalPort, owner: str) -> None:
        protocol, number = port
        kind, flags = _SOCKETS[protocol]
        holder = socket.socket(socket.AF_INET, kind, flags)
        try:
            holder.bind(("0.0.0.0", number))
        except OSError as err:
            holder.close()
            if port not in self._complained:
                self._complained.add(port)
                log.warning(
                    'cannot reserve "nodePort for %s" (:%d/%s), another program has it: %s',
                    owner,
                    number,
                    protocol,
                    err,
                )
            return
        self._held[port] = holder
        self._complained.discard(port)

    def close(self) -> None:
        self.hold({})
