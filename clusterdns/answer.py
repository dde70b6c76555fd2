"""A DNS query and what the cluster looks like to a DNS response. Pure.

Names outside of the cluster's domain, and reverse names that the cluster does not know, are not answered here (``None``): they
are the host's resolvers' to answer.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from dnslib import AAAA, CLASS, CNAME, EDNS0, NS, OPCODE, PTR, QTYPE, RCODE, RR, SOA, SRV, TXT, A, DNSHeader, DNSRecord

from clusterdns.lookup import EMPTY, NO_PORT, Found, Lookup, Target
from clusterdns.snapshot import Snapshot

TTL = 30
UDP_LIMIT = 512
EDNS_SIZE = 1232
_BADVERS = 16
_MAX_ALIASES = 10


@dataclass(frozen=True, slots=True)
class Zone:
    """The cluster's domain and who answers for it. ``serial`` goes into the SOA."""

    domain: str = "cluster.local"
    serial: int = 1
    ttl: int = TTL


@dataclass(frozen=True, slots=True)
class Reply:
    """A response; ``follow`` names where its last CNAME leads when that is outside of the cluster's domain."""

    record: DNSRecord
    follow: str = ""


def answer(query: DNSRecord, snapshot: Snapshot, zone: Zone) -> Reply | None:
    """The response to a query, or None when it is to be forwarded."""
    problem = _problem(query)
    if problem is not None:
        return Reply(problem)
    name = str(query.q.qname).rstrip(".").lower()
    lookup = Lookup(snapshot, zone.domain)
    address = reverse_address(name)
    if address and query.q.qtype in (QTYPE.PTR, QTYPE.ANY):
        names = lookup.names_of(address)
        if not names:
            return None
        records = [_rr(query.q.qname, "PTR", PTR(f"{n}.{zone.domain}"), zone) for n in dict.fromkeys(names)]
        return Reply(_response(query, records))
    labels = labels_below(name, zone.domain)
    return None if labels is None else _Answering(query, lookup, zone).reply(labels)


def labels_below(name: str, domain: str) -> list[str] | None:
    """The labels in front of the domain, or None when the name is not in it."""
    if name == domain:
        return []
    return name.removesuffix("." + domain).split(".") if name.endswith("." + domain) else None


def reverse_address(name: str) -> str:
    """The address that ``4.3.2.1.in-addr.arpa`` or its IPv6 kin stands for; empty for any other name."""
    if name.endswith(".in-addr.arpa"):
        text = ".".join(reversed(name.removesuffix(".in-addr.arpa").split(".")))
    elif name.endswith(".ip6.arpa"):
        digits = "".join(reversed(name.removesuffix(".ip6.arpa").split(".")))
        text = ":".join(digits[i : i + 4] for i in range(0, len(digits), 4))
    else:
        return ""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def error(query: DNSRecord, rcode: int) -> DNSRecord:
    """An empty response with that code."""
    response = _response(query, [], authoritative=False)
    response.header.rcode = rcode
    return response


def _problem(query: DNSRecord) -> DNSRecord | None:
    """The error for a query that no server of this kind answers."""
    if query.header.opcode != OPCODE.QUERY:
        return error(query, RCODE.NOTIMP)
    if len(query.questions) != 1:
        return error(query, RCODE.FORMERR)
    option = edns_of(query)
    if option is not None and (option.ttl >> 16) & 0xFF:
        response = error(query, RCODE.NOERROR)
        response.ar[0] = EDNS0(ext_rcode=_BADVERS >> 4, udp_len=EDNS_SIZE)
        return response
    return error(query, RCODE.REFUSED) if query.q.qclass not in (CLASS.IN, 255) else None


def edns_of(record: DNSRecord) -> RR | None:
    """The OPT record of a message."""
    return next((rr for rr in record.ar if rr.rtype == QTYPE.OPT), None)


def udp_limit(query: DNSRecord) -> int:
    """How many bytes a response over UDP may have."""
    option = edns_of(query)
    return min(max(UDP_LIMIT, option.rclass), EDNS_SIZE) if option is not None else UDP_LIMIT


def fitted(response: DNSRecord, limit: int) -> bytes:
    """The response packed into ``limit`` bytes: additional records go first, then answers, and TC says so."""
    data: bytes = response.pack()
    if len(data) <= limit:
        return data
    response.ar = [rr for rr in response.ar if rr.rtype == QTYPE.OPT]
    data = response.pack()
    while len(data) > limit and (response.rr or response.auth):
        response.header.tc = 1
        response.auth = []
        response.rr = response.rr[: len(response.rr) * limit // len(data)]
        data = response.pack()
    return data


def _response(query: DNSRecord, records: Iterable[RR], *, authoritative: bool = True) -> DNSRecord:
    header = DNSHeader(
        id=query.header.id, qr=1, aa=int(authoritative), ra=1, rd=query.header.rd, opcode=query.header.opcode
    )
    response = DNSRecord(header, questions=list(query.questions), rr=list(records))
    if edns_of(query) is not None:
        response.add_ar(EDNS0(udp_len=EDNS_SIZE))
    return response


def _rr(name: object, kind: str, data: object, zone: Zone) -> RR:
    return RR(name, getattr(QTYPE, kind), rdata=data, ttl=zone.ttl)


class _Answering:
    """One question about a name of the domain."""

    def __init__(self, query: DNSRecord, lookup: Lookup, zone: Zone) -> None:
        self._query = query
        self._lookup = lookup
        self._zone = zone
        self._type = QTYPE.get(query.q.qtype)

    def reply(self, labels: list[str]) -> Reply:
        found = self._lookup.find(labels)
        if found is None:
            return Reply(self._negative(RCODE.NXDOMAIN))
        if found.alias:
            return self._aliased(found)
        records, more = self._records(self._query.q.qname, found)
        if not records and labels == []:
            records = self._apex()
        if not records:
            return Reply(self._negative(RCODE.NOERROR))
        response = _response(self._query, records)
        response.add_ar(*more)
        return Reply(response)

    def _negative(self, rcode: int) -> DNSRecord:
        response = _response(self._query, [])
        response.header.rcode = rcode
        response.add_auth(self._soa())
        return response

    def _soa(self) -> RR:
        domain, zone = self._zone.domain, self._zone
        times = (zone.serial, 7200, 1800, 86400, zone.ttl)
        return _rr(domain, "SOA", SOA(f"ns.dns.{domain}", f"hostmaster.{domain}", times), zone)

    def _apex(self) -> list[RR]:
        if self._type == "SOA":
            return [self._soa()]
        if self._type == "NS":
            return [_rr(self._query.q.qname, "NS", NS(f"kube-dns.kube-system.svc.{self._zone.domain}"), self._zone)]
        return []

    def _aliased(self, found: Found) -> Reply:
        """CNAMEs as far as they stay in the domain, then the records at their end, or where to go on."""
        name, records = str(self._query.q.qname), []
        for _ in range(_MAX_ALIASES):
            target = found.alias.rstrip(".")
            records.append(_rr(name, "CNAME", CNAME(target), self._zone))
            if self._type == "CNAME":
                break
            labels = labels_below(target.lower(), self._zone.domain)
            if labels is None:
                return Reply(_response(self._query, records), follow=target)
            name, found = target, self._lookup.find(labels) or EMPTY
            if not found.alias:
                records += self._records(name, found)[0]
                break
        return Reply(_response(self._query, records))

    def _records(self, name: object, found: Found) -> tuple[list[RR], list[RR]]:
        """The answers of the type asked for, and additional records."""
        match self._type:
            case "A" | "AAAA":
                return self._addresses(name, found.targets, self._type), []
            case "SRV":
                return self._services(name, found.targets)
            case "TXT" if found.text:
                return [_rr(name, "TXT", TXT(found.text), self._zone)], []
        return [], []

    def _addresses(self, name: object, targets: Iterable[Target], kind: str) -> list[RR]:
        make, mark = (A, ".") if kind == "A" else (AAAA, ":")
        return [_rr(name, kind, make(ip), self._zone) for ip in dict.fromkeys(t.ip for t in targets) if mark in ip]

    def _services(self, name: object, targets: Iterable[Target]) -> tuple[list[RR], list[RR]]:
        """SRV for every port, weighted so that all together are about 100; addresses of the hosts they name."""
        domain = self._zone.domain
        ports = list(dict.fromkeys((t.port, f"{t.host}.{domain}") for t in targets if t.port != NO_PORT))
        weight = max(1, 100 // len(ports)) if ports else 0
        records = [_rr(name, "SRV", SRV(0, weight, port, host), self._zone) for port, host in ports]
        hosts = dict.fromkeys((f"{t.host}.{domain}", t.ip) for t in targets if t.port != NO_PORT)
        more = [
            _rr(host, "AAAA" if ":" in ip else "A", AAAA(ip) if ":" in ip else A(ip), self._zone) for host, ip in hosts
        ]
        return records, more
