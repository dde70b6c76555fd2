"""Services and endpoints to the text of one nftables transaction. Pure.

The text is a whole: it declares, flushes and refills every chain and map of the cluster's table, so applying it twice changes
nothing. Sets that hold client affinity are declared but never flushed: they live in the kernel from one sync to the next.

How a packet travels::

    nat prerouting/output -> services -> (map service-ips | map service-nodeports) -> svc/... -> dnat
                                                             ext/... marks or restricts ─┘
    filter input/forward/output -> endpoints-check (services without endpoints) -> service-range-check -> pod-range-check
    nat postrouting -> masquerading (marked packets, and pods that reached themselves)
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from kubeling.api.meta import Object
from kubeproxy.model import Endpoint, ServicePort, on_nodes, service_ports, usable

FAMILY = "inet"
_IP_PORT_KEY = "ip daddr . meta l4proto . th dport"
_PORT_KEY = "meta l4proto . th dport"
_MAPS = {
    "service-ips": "ipv4_addr . inet_proto . inet_service : verdict",
    "service-nodeports": "inet_proto . inet_service : verdict",
    "no-endpoint-services": "ipv4_addr . inet_proto . inet_service : verdict",
    "no-endpoint-nodeports": "inet_proto . inet_service : verdict",
    "firewall-ips": "ipv4_addr . inet_proto . inet_service : verdict",
}
_HAIRPIN = "hairpin-connections"


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not come from the API.

    ``bridge`` is the interface of the pod network, empty while it is unknown; ``local_nodes`` are the nodes on this machine,
    and ``node_addresses`` their names and addresses when there are several;
    ``nodeport_addresses`` restricts NodePorts to these networks, all local addresses when empty. ``masquerade_pods`` is for
    a kernel that does not show bridged packets to these rules: replies between pods then have to come by way of this host.
    """

    table: str
    cluster_cidr: str
    service_cidr: str
    bridge: str = ""
    local_nodes: frozenset[str] = frozenset()
    node_addresses: tuple[tuple[str, str], ...] = ()
    nodeport_addresses: tuple[str, ...] = ()
    masquerade_all: bool = False
    masquerade_pods: bool = False
    masquerade_bit: int = 14

    @property
    def mark(self) -> str:
        return f"{1 << self.masquerade_bit:#x}"


class _Table:
    """Collects the parts of a table and puts them in the order in which nft wants them."""

    def __init__(self, name: str) -> None:
        self._prefix = f"{FAMILY} {name}"
        self._declared: list[str] = []
        self._flushed: list[str] = []
        self._rules: list[str] = []
        self._elements: dict[str, list[str]] = {}

    def chain(self, name: str, *rules: str, hook: str = "") -> str:
        """Declares and fills a chain; ``hook`` is ``type hook where priority n`` of a base chain. Returns the name."""
        self._declared.append(f"add chain {self._prefix} {name}" + (f" {{ {hook}; policy accept; }}" if hook else ""))
        self._flushed.append(f"flush chain {self._prefix} {name}")
        self._rules.extend(f"add rule {self._prefix} {name} {rule}" for rule in rules)
        return name

    def map(self, name: str, type_: str) -> None:
        self._declared.append(f"add map {self._prefix} {name} {{ type {type_}; }}")
        self._flushed.append(f"flush map {self._prefix} {name}")

    def set(self, name: str, type_: str) -> None:
        self._declared.append(f"add set {self._prefix} {name} {{ type {type_}; }}")
        self._flushed.append(f"flush set {self._prefix} {name}")

    def affinity(self, name: str, seconds: int) -> str:
        """A set that packets fill and time empties; never flushed."""
        options = f"flags dynamic,timeout; timeout {seconds}s;"
        self._declared.append(f"add set {self._prefix} {name} {{ type ipv4_addr; {options} }}")
        return name

    def element(self, where: str, text: str) -> None:
        self._elements.setdefault(where, []).append(text)

    def text(self) -> str:
        # an address may be asked for twice (two services with one external IP): the first one has it
        elements = [
            f"add element {self._prefix} {name} {{ {', '.join(_first_by_key(items))} }}"
            for name, items in self._elements.items()
        ]
        return "\n".join([f"add table {self._prefix}", *self._declared, *self._flushed, *self._rules, *elements, ""])


def _first_by_key(items: list[str]) -> Iterable[str]:
    return {item.partition(" : ")[0]: item for item in reversed(items)}.values()


def render(services: Iterable[Object], slices: Iterable[Object], settings: Settings) -> str:
    """The transaction that makes the table serve these services."""
    return render_ports(service_ports(services, slices), settings)


def render_ports(ports: Iterable[ServicePort], settings: Settings) -> str:
    """As ``render``, from ports already read."""
    table = _Table(settings.table)
    for name, type_ in _MAPS.items():
        table.map(name, type_)
    table.set(_HAIRPIN, "ipv4_addr . ipv4_addr")
    _base(table, settings)
    for port in ports:
        _Port(table, settings, port).add()
    return table.text()


def _base(table: _Table, s: Settings) -> None:
    """The chains that are there whatever services exist."""
    local = "fib daddr type local"
    if s.nodeport_addresses:
        local = f"ip daddr {{ {', '.join(s.nodeport_addresses)} }} {local}"
    mark = f"meta mark set meta mark or {s.mark}"
    table.chain(
        "services",
        f"ip daddr {s.service_cidr} " + ("" if s.masquerade_all else f"ip saddr != {s.cluster_cidr} ") + mark,
        f"{_IP_PORT_KEY} vmap @service-ips",
        f"{local} {_PORT_KEY} vmap @service-nodeports",
    )
    table.chain(
        "endpoints-check",
        f"{_IP_PORT_KEY} vmap @no-endpoint-services",
        f"{local} {_PORT_KEY} vmap @no-endpoint-nodeports",
    )
    # a reset is never rate-limited, as ICMP errors are: "connection refused" comes at once, every time
    table.chain("refuse", "meta l4proto tcp reject with tcp reset", "reject")
    table.chain("service-range-check", f"ip daddr {s.service_cidr} goto refuse")
    # A pod address with no bridge to go to would take the default route. In the output hook the interface of a translated
    # packet is still the old one, so those are caught after routing, where there is no reject.
    stray = f'ip daddr {s.cluster_cidr} oifname != {{ "{s.bridge}", "lo" }}'
    table.chain("pod-range-check", *([f"ct status and dnat == 0 {stray} goto refuse"] if s.bridge else []))
    table.chain("pods-stay", *([f"{stray} drop"] if s.bridge else []), hook="type filter hook postrouting priority 110")
    bridged = f"ct status dnat ip saddr {s.cluster_cidr} ip daddr {s.cluster_cidr} masquerade"
    table.chain(
        "masquerading",
        *([bridged] if s.masquerade_pods else []),
        f"ip saddr . ip daddr @{_HAIRPIN} masquerade",
        f"meta mark and {s.mark} == 0 return",
        f"meta mark set meta mark xor {s.mark}",
        "masquerade fully-random",
    )
    checks = ("ct state new jump endpoints-check", "jump service-range-check", "jump pod-range-check")
    # the bridge routes 127.0.0.0/8 for NodePorts' sake: pods must not get to the host's loopback that way
    loopback = [f'iifname "{s.bridge}" ip daddr 127.0.0.0/8 ct state new,invalid drop'] if s.bridge else []
    table.chain("filter-input", *loopback, checks[0], hook="type filter hook input priority -10")
    table.chain("filter-forward", *checks, hook="type filter hook forward priority -10")
    table.chain("filter-output", *checks, hook="type filter hook output priority -10")
    firewall = f"ct state new {_IP_PORT_KEY} vmap @firewall-ips"
    table.chain("firewall-prerouting", firewall, hook="type filter hook prerouting priority -110")
    table.chain("firewall-output", firewall, hook="type filter hook output priority -110")
    # pods of other clusters on this machine have services of their own at the same addresses
    foreign = f"ip daddr {s.service_cidr} ip saddr != {s.cluster_cidr} return"
    table.chain("nat-prerouting", foreign, "jump services", hook="type nat hook prerouting priority -100")
    table.chain("nat-output", "jump services", hook="type nat hook output priority -100")
    table.chain("nat-postrouting", "jump masquerading", hook="type nat hook postrouting priority 100")


class _Port:
    """Adds one service port to a table."""

    def __init__(self, table: _Table, settings: Settings, port: ServicePort) -> None:
        self._table = table
        self._settings = settings
        self._port = port
        self._all = usable(port.endpoints)
        self._local = usable(on_nodes(port.endpoints, settings.local_nodes))
        self._targets: dict[Endpoint, tuple[str, str]] = {}

    def add(self) -> None:
        port = self._port
        needs_local = bool(self._local) and (port.internal_local or (port.external and port.external_local))
        if port.affinity_seconds:
            self._affinity_targets()
        if self._all:
            self._balance("svc/", self._all)
        if needs_local:
            self._balance("local/", self._local)
        for ip in dict.fromkeys(e.ip for e in (*self._all, *self._local)):
            self._table.element(_HAIRPIN, f"{ip} . {ip}")
        prefix = "local/" if port.internal_local else "svc/"
        chosen = self._local if port.internal_local else self._all
        self._route(f"{port.cluster_ip} . {port.protocol} . {port.port}", "service-ips", prefix, bool(chosen))
        if port.external:
            self._external()

    def _route(self, key: str, where: str, prefix: str, served: bool) -> None:
        """An element that leads to a chain, or says why there is none: no endpoint at all, or none on this node."""
        if served:
            self._table.element(where, f"{key} : goto {prefix}{self._port.path}")
            return
        verdict = "drop" if self._all else "goto refuse"
        missing = "no-endpoint-nodeports" if where == "service-nodeports" else "no-endpoint-services"
        self._table.element(missing, f"{key} : {verdict}")

    def _external(self) -> None:
        port, served = self._port, bool(self._local if self._port.external_local else self._all)
        if self._all:
            self._table.chain(f"ext/{port.path}", *self._external_rules())
        for ip in (*port.external_ips, *port.ingress_ips):
            self._route(f"{ip} . {port.protocol} . {port.port}", "service-ips", "ext/", served or self._short_cut)
        if port.node_port:
            self._route(f"{port.protocol} . {port.node_port}", "service-nodeports", "ext/", served or self._short_cut)
            if port.external_local and self._all:
                self._node_addresses()
        if port.ingress_ips and port.source_ranges:
            chain = self._table.chain(
                f"fw/{port.path}", f"ip saddr != {{ {', '.join(_merged(port.source_ranges))} }} drop"
            )
            for ip in port.ingress_ips:
                self._table.element("firewall-ips", f"{ip} . {port.protocol} . {port.port} : goto {chain}")

    def _node_addresses(self) -> None:
        """Of several nodes here each answers at its own address for its own endpoints only; the host is outside of them."""
        port, path = self._port, self._port.path
        for node, address in self._settings.node_addresses:
            there = usable(on_nodes(port.endpoints, frozenset({node})))
            if there:
                self._balance(f"local-{node}/", there)
            own = f"goto local-{node}/{path}" if there else "drop"
            inside = f"ip saddr {self._settings.cluster_cidr} goto svc/{path}"
            chain = self._table.chain(f"ext-{node}/{path}", f"fib saddr type local {own}", inside, own)
            self._table.element("service-ips", f"{address} . {port.protocol} . {port.node_port} : goto {chain}")

    @property
    def _short_cut(self) -> bool:
        """With the Local policy pods and this host still reach every endpoint, even if none is local."""
        return self._port.external_local and bool(self._all)

    def _external_rules(self) -> list[str]:
        mark, path = f"meta mark set meta mark or {self._settings.mark}", self._port.path
        if not self._port.external_local:
            return [mark, f"goto svc/{path}"]
        return [
            f"ip saddr {self._settings.cluster_cidr} goto svc/{path}",
            f"fib saddr type local {mark}",
            f"fib saddr type local goto svc/{path}",
            f"goto local/{path}" if self._local else "drop",
        ]

    def _affinity_targets(self) -> None:
        for endpoint in self._port.endpoints:
            path = f"{self._port.path}/{endpoint.ip}/{endpoint.port}"
            seconds = self._port.affinity_seconds
            remembered = self._table.affinity(f"aff/{path}/{seconds}", seconds)
            rules = f"update @{remembered} {{ ip saddr }}", f"{self._dnat()}{endpoint.ip}:{endpoint.port}"
            self._targets[endpoint] = self._table.chain(f"ep/{path}", *rules), remembered

    def _dnat(self) -> str:
        return f"meta l4proto {self._port.protocol} dnat ip to "

    def _balance(self, prefix: str, endpoints: tuple[Endpoint, ...]) -> None:
        """A chain that spreads connections evenly at random."""
        count = len(endpoints)
        if self._port.affinity_seconds:
            targets = [self._targets[e] for e in endpoints]
            known = [f"ip saddr @{remembered} goto {chain}" for chain, remembered in targets]
            choices = ", ".join(f"{i} : goto {chain}" for i, (chain, _) in enumerate(targets))
            self._table.chain(prefix + self._port.path, *known, f"numgen random mod {count} vmap {{ {choices} }}")
        elif count == 1:
            self._table.chain(prefix + self._port.path, f"{self._dnat()}{endpoints[0].ip}:{endpoints[0].port}")
        else:
            choices = ", ".join(f"{i} : {e.ip} . {e.port}" for i, e in enumerate(endpoints))
            self._table.chain(prefix + self._port.path, f"{self._dnat()}numgen random mod {count} map {{ {choices} }}")


def _merged(networks: Iterable[str]) -> list[str]:
    """Networks without overlap, which an nftables set does not take."""
    return [str(n) for n in ipaddress.collapse_addresses(ipaddress.IPv4Network(n, strict=False) for n in networks)]
