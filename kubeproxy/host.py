"""What service traffic needs of the host besides the rules: kernel settings, hairpin mode, a route, Docker's consent.

Everything here is repeated at every sync and changes nothing that is right already.
"""

from __future__ import annotations

import fcntl
import ipaddress
import logging
import shlex
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from kubeproxy.command import CommandMissing, Run

log = logging.getLogger(__name__)
_SIOCGIFADDR = 0x8915
_USER_CHAIN = "DOCKER-USER"
_BRIDGED = "bridge/bridge-nf-call-iptables"


class Host:
    """The host as files under /proc and /sys (``root`` in tests) and a few commands."""

    def __init__(self, run: Run, cluster_cidr: str, service_cidr: str, table: str, root: Path = Path("/")) -> None:
        self._run = run
        self._pods = ipaddress.IPv4Network(cluster_cidr)
        self._service_cidr = service_cidr
        self._comment = forward_comment(table)
        self._sysctl = root / "proc/sys/net"
        self._interfaces = root / "sys/class/net"
        self._warned: set[str] = set()

    def bridge(self) -> str:
        """The bridge that has an address of the pod network; empty when there is none (yet)."""
        for name in sorted(p.name for p in self._interfaces.iterdir()):
            if (self._interfaces / name / "bridge").is_dir():
                address = interface_address(name)
                if address and ipaddress.IPv4Address(address) in self._pods:
                    return name
        return ""

    def sees_bridged_packets(self) -> bool:
        """Turns on that bridged packets pass the rules; False when the kernel cannot (no br_netfilter)."""
        return self._set(_BRIDGED, "1")

    async def prepare(self, bridge: str) -> None:
        """Forwarding, loopback NodePorts, a route to services where there is none, Docker's consent."""
        if not (self._sysctl / _BRIDGED).exists():
            await self._tolerant("modprobe", "br_netfilter", quiet=True)
        self._set("ipv4/ip_forward", "1")
        if bridge:
            self._set(f"ipv4/conf/{bridge}/route_localnet", "1")
            await self._route(bridge)
        await self._allow_forward()

    def allow_hairpin(self, bridge: str) -> None:
        """Lets every port of the bridge send a packet back where it came from: pods reach themselves through a service."""
        for port in (self._interfaces / bridge / "brif").glob("*"):
            self._write(port / "hairpin_mode", "1")

    def _set(self, name: str, value: str) -> bool:
        return self._write(self._sysctl / name, value)

    def _write(self, path: Path, value: str) -> bool:
        """True when the setting holds; interfaces may vanish at any moment."""
        try:
            if path.read_text().strip() != value:
                path.write_text(value)
        except OSError as err:
            self._warn(f"cannot set {path} to {value}: {err.strerror}")
            return False
        return True

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            log.warning(message)

    async def _route(self, bridge: str) -> None:
        """A host without a default route (a laptop without network) needs one to services before they are translated."""
        address = str(ipaddress.IPv4Network(self._service_cidr)[1])
        if await self._tolerant("ip", "route", "get", address, quiet=True):
            return
        metric = str(1000 + socket.if_nametoindex(bridge))  # clusters with the same range each have their own
        await self._tolerant("ip", "route", "replace", self._service_cidr, "dev", bridge, "metric", metric)

    async def _allow_forward(self) -> None:
        """Docker drops what is forwarded unless a rule allows it; its DOCKER-USER chain is the place for such rules."""
        rule = forward_rule(str(self._pods), self._comment)
        if await self._tolerant("iptables", "-w", "-C", _USER_CHAIN, *rule, quiet=True):
            return
        if await self._tolerant("iptables", "-w", "-S", _USER_CHAIN, quiet=True):
            await self._tolerant("iptables", "-w", "-I", _USER_CHAIN, *rule)

    async def _tolerant(self, *argv: str, quiet: bool = False) -> bool:
        try:
            done = await self._run(argv)
        except CommandMissing as err:
            self._warn(str(err))
            return False
        if done.status != 0 and not quiet:
            self._warn(f"{' '.join(argv)}: {done.errors.strip()}")
        return done.status == 0


def forward_comment(table: str) -> str:
    """Marks the cluster's rule in DOCKER-USER."""
    return f"{table} service traffic"


def forward_rule(pods: str, comment: str) -> list[str]:
    match = ["-d", pods, "-m", "conntrack", "--ctstate", "DNAT", "-m", "comment", "--comment", comment]
    return [*match, "-j", "ACCEPT"]


def deletions(rules: str, comment: str) -> Iterable[list[str]]:
    """From the output of ``iptables -S``: the arguments that delete each rule with that comment."""
    for line in rules.splitlines():
        words = shlex.split(line)
        if words[:1] == ["-A"] and comment in words:
            yield ["-D", *words[1:]]


async def disallow_forward(run: Run, table: str) -> None:
    """Removes the cluster's rules from DOCKER-USER; nothing to do where iptables or the chain is missing."""
    try:
        listed = await run(["iptables", "-w", "-S", _USER_CHAIN])
    except CommandMissing:
        return
    for arguments in deletions(listed.output, forward_comment(table)):
        await run(["iptables", "-w", *arguments])


def interface_address(name: str) -> str:
    """The first IPv4 address of an interface; empty when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])


def is_local(address: str) -> bool:
    """Whether this machine has the address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
