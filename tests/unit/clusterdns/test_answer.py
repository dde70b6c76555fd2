from __future__ import annotations

from typing import Any

import pytest
from dnslib import EDNS0, OPCODE, QTYPE, RCODE, RR, A, DNSHeader, DNSQuestion, DNSRecord

from clusterdns.answer import Reply, Zone, answer, fitted, udp_limit
from clusterdns.snapshot import StoreSnapshot

ZONE = Zone("cluster.local", serial=7)


def service(name: str, ip: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    ports = spec.pop("ports", [{"name": "http", "port": 80, "protocol": "TCP"}])
    body = {"clusterIP": ip, "ports": ports, **spec}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": body}


def piece(name: str, *endpoints: dict[str, Any], ports: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": name}
    return {
        "metadata": {"name": f"{name}-x", "namespace": "default", "labels": labels},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}] if ports is None else ports,
        "endpoints": list(endpoints),
    }


SNAPSHOT = StoreSnapshot.of(
    services=[
        service(
            "web", "10.96.0.7", ports=[{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]
        ),
        service("db", "None"),
        service("empty", "None"),
        service("six", "fd00::7"),
        service("outside", "", type="ExternalName", externalName="www.example.com"),
        service("inside", "", type="ExternalName", externalName="Web.default.svc.cluster.local"),
        service("round", "", type="ExternalName", externalName="round.default.svc.cluster.local"),
        service("portless", "None", ports=[]),
    ],
    slices=[
        piece("web", {"addresses": ["10.244.0.8"], "conditions": {"ready": True}}),
        piece(
            "db",
            {"addresses": ["10.244.0.5"], "hostname": "db-0", "conditions": {"ready": True}},
            {"addresses": ["10.244.0.6"], "conditions": {}},
            {"addresses": ["10.244.0.7"], "hostname": "db-2", "conditions": {"ready": False}},
        ),
        piece("portless", {"addresses": ["10.244.0.9"]}, ports=[]),
    ],
    namespaces=[{"metadata": {"name": "default"}}],
)


def ask(name: str, kind: str = "A") -> Reply:
    reply = answer(DNSRecord.question(name, kind), SNAPSHOT, ZONE)
    assert reply is not None
    return reply


def told(reply: Reply) -> list[tuple[str, str]]:
    return [(QTYPE[rr.rtype], str(rr.rdata)) for rr in reply.record.rr]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("web.default.svc.cluster.local", "A", [("A", "10.96.0.7")]),
        ("WEB.Default.SVC.cluster.LOCAL", "A", [("A", "10.96.0.7")]),
        ("six.default.svc.cluster.local", "AAAA", [("AAAA", "fd00::7")]),
        ("db.default.svc.cluster.local", "A", [("A", "10.244.0.5"), ("A", "10.244.0.6")]),
        ("db-0.db.default.svc.cluster.local", "A", [("A", "10.244.0.5")]),
        ("10-244-0-6.db.default.svc.cluster.local", "A", [("A", "10.244.0.6")]),
        ("10-244-0-8.web.default.svc.cluster.local", "A", [("A", "10.244.0.8")]),
        ("portless.default.svc.cluster.local", "A", [("A", "10.244.0.9")]),
        ("10-244-0-77.default.pod.cluster.local", "A", [("A", "10.244.0.77")]),
        ("_http._tcp.web.default.svc.cluster.local", "SRV", [("SRV", "0 100 80 web.default.svc.cluster.local.")]),
        ("_dns._udp.web.default.svc.cluster.local", "SRV", [("SRV", "0 100 53 web.default.svc.cluster.local.")]),
        (
            "_http._tcp.db.default.svc.cluster.local",
            "SRV",
            [
                ("SRV", "0 50 8080 db-0.db.default.svc.cluster.local."),
                ("SRV", "0 50 8080 10-244-0-6.db.default.svc.cluster.local."),
            ],
        ),
        ("7.0.96.10.in-addr.arpa", "PTR", [("PTR", "web.default.svc.cluster.local.")]),
        ("5.0.244.10.in-addr.arpa", "PTR", [("PTR", "db-0.db.default.svc.cluster.local.")]),
        ("dns-version.cluster.local", "TXT", [("TXT", '"1.1.0"')]),
        ("cluster.local", "NS", [("NS", "kube-dns.kube-system.svc.cluster.local.")]),
        ("inside.default.svc.cluster.local", "A", [("CNAME", "Web.default.svc.cluster.local."), ("A", "10.96.0.7")]),
    ],
)
def test_records(name: str, kind: str, expected: list[tuple[str, str]]) -> None:
    reply = ask(name, kind)
    assert told(reply) == expected
    assert reply.record.header.rcode == RCODE.NOERROR
    assert (reply.record.header.aa, reply.record.header.qr) == (1, 1)
    assert {rr.ttl for rr in reply.record.rr} == {30}
    assert str(reply.record.rr[0].rname).rstrip(".") == name  # in the asker's own spelling


@pytest.mark.parametrize(
    "name",
    [
        "nothere.default.svc.cluster.local",
        "web.other.svc.cluster.local",
        "web.default.svc.cluster.local.default.svc.cluster.local",
        "a.b.c.web.default.svc.cluster.local",
        "a.b.web.default.svc.cluster.local",
        "empty.default.svc.cluster.local",  # headless without ready endpoints
        "db-2.db.default.svc.cluster.local",  # not ready
        "_nope._tcp.web.default.svc.cluster.local",
        "_http._udp.web.default.svc.cluster.local",
        "x.outside.default.svc.cluster.local",
        "nopod.default.pod.cluster.local",
        "10-244-0-5.other.pod.cluster.local",
        "other.svc.cluster.local",
        "example.cluster.local",
    ],
)
def test_names_that_do_not_exist(name: str) -> None:
    record = ask(name).record
    assert record.header.rcode == RCODE.NXDOMAIN
    assert record.rr == []
    (soa,) = record.auth
    assert (QTYPE[soa.rtype], str(soa.rname), soa.ttl, soa.rdata.times) == (
        "SOA",
        "cluster.local.",
        30,
        (7, 7200, 1800, 86400, 30),
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("web.default.svc.cluster.local", "AAAA"),
        ("web.default.svc.cluster.local", "MX"),
        ("default.svc.cluster.local", "A"),
        ("svc.cluster.local", "A"),
        ("pod.cluster.local", "A"),
        ("default.pod.cluster.local", "A"),
        ("cluster.local", "A"),
        ("portless.default.svc.cluster.local", "SRV"),
    ],
)
def test_names_without_such_records(name: str, kind: str) -> None:
    record = ask(name, kind).record
    assert (record.header.rcode, record.rr, len(record.auth)) == (RCODE.NOERROR, [], 1)


def test_srv_brings_the_addresses_along() -> None:
    more = ask("_http._tcp.db.default.svc.cluster.local", "SRV").record.ar
    assert [(str(rr.rname), str(rr.rdata)) for rr in more] == [
        ("db-0.db.default.svc.cluster.local.", "10.244.0.5"),
        ("10-244-0-6.db.default.svc.cluster.local.", "10.244.0.6"),
    ]


def test_an_alias_that_leaves_the_cluster_is_to_be_followed() -> None:
    reply = ask("outside.default.svc.cluster.local")
    assert told(reply) == [("CNAME", "www.example.com.")]
    assert reply.follow == "www.example.com"
    assert ask("outside.default.svc.cluster.local", "CNAME").follow == ""


def test_an_alias_of_itself_ends() -> None:
    assert len(told(ask("round.default.svc.cluster.local"))) == 10


@pytest.mark.parametrize(
    ("name", "kind"), [("example.com", "A"), ("1.2.0.192.in-addr.arpa", "PTR"), ("notcluster.local", "A")]
)
def test_everything_else_is_forwarded(name: str, kind: str) -> None:
    assert answer(DNSRecord.question(name, kind), SNAPSHOT, ZONE) is None


@pytest.mark.parametrize(
    ("query", "rcode"),
    [
        (DNSRecord(DNSHeader(opcode=OPCODE.UPDATE), q=DNSQuestion("web.default.svc.cluster.local")), RCODE.NOTIMP),
        (DNSRecord(DNSHeader()), RCODE.FORMERR),
        (DNSRecord(q=DNSQuestion("version.bind", QTYPE.TXT, 3)), RCODE.REFUSED),
    ],
)
def test_queries_of_other_kinds(query: DNSRecord, rcode: int) -> None:
    reply = answer(DNSRecord.parse(query.pack()), SNAPSHOT, ZONE)
    assert reply is not None and reply.record.header.rcode == rcode


def with_edns(name: str, size: int, version: int = 0) -> DNSRecord:
    query = DNSRecord.question(name)
    query.add_ar(EDNS0(udp_len=size, version=version))
    return DNSRecord.parse(query.pack())


def test_edns_is_answered_with_edns() -> None:
    reply = answer(with_edns("web.default.svc.cluster.local", 4096), SNAPSHOT, ZONE)
    assert reply is not None
    assert [rr.rtype for rr in reply.record.ar] == [QTYPE.OPT]
    assert udp_limit(with_edns("x", 4096)) == 1232
    assert udp_limit(with_edns("x", 100)) == udp_limit(DNSRecord.question("x")) == 512


def test_an_unknown_edns_version_is_refused() -> None:
    reply = answer(with_edns("web.default.svc.cluster.local", 1232, version=1), SNAPSHOT, ZONE)
    assert reply is not None
    option = DNSRecord.parse(reply.record.pack()).ar[0]
    assert (option.ttl >> 24, reply.record.header.rcode) == (1, 0)  # together 16: BADVERS


def test_a_long_answer_is_cut_and_says_so() -> None:
    record = DNSRecord.question("db.default.svc.cluster.local").reply()
    record.add_answer(*(RR("db.default.svc.cluster.local", rdata=A(f"10.0.0.{i}")) for i in range(200)))
    cut = DNSRecord.parse(fitted(record, 512))
    assert cut.header.tc == 1 and 10 < len(cut.rr) < 200
    assert len(fitted(cut, 512)) <= 512


def test_changes_of_the_world_are_seen() -> None:
    """The snapshot is the informers' stores: no copy, no delay."""
    assert ask("db-0.db.default.svc.cluster.local").record.rr
    assert SNAPSHOT.slices_at("10.244.0.7") == []
