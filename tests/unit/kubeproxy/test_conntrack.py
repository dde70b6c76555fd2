from __future__ import annotations

import pytest

from kubeproxy.conntrack import Flow, parse, stale
from kubeproxy.model import Endpoint, ServicePort

LISTING = (
    "udp      17 29 src=10.0.0.1 dst=10.96.0.10 sport=555 dport=53 [UNREPLIED] "
    "src=10.244.0.5 dst=10.0.0.1 sport=5353 dport=555 mark=0 use=1\n"
    "conntrack v1.4.7 (conntrack-tools): 1 flow entries have been shown.\n"
)
DNS = ServicePort(
    "kube-system", "dns", "dns", "udp", 53, "10.96.0.10", 30053, endpoints=(Endpoint("10.244.0.5", 5353),)
)


def test_parse() -> None:
    assert parse(LISTING) == [Flow("10.0.0.1", 555, "10.96.0.10", 53, "10.244.0.5", 5353)]


@pytest.mark.parametrize(
    ("destination", "port", "end", "end_port", "is_stale"),
    [
        ("10.96.0.10", 53, "10.244.0.5", 5353, False),
        ("10.96.0.10", 53, "10.244.0.6", 5353, True),
        ("10.96.0.10", 54, "10.244.0.6", 5353, False),
        ("127.0.0.1", 30053, "10.244.0.6", 5353, True),
        ("192.0.2.9", 30053, "192.0.2.9", 30053, False),  # somebody else's port of the same number
    ],
)
def test_stale(destination: str, port: int, end: str, end_port: int, is_stale: bool) -> None:
    flow = Flow("10.0.0.1", 555, destination, port, end, end_port)
    assert (stale([flow], [DNS]) == [flow]) is is_stale


def test_tcp_services_have_no_part_in_it() -> None:
    tcp = ServicePort("ns", "web", "", "tcp", 53, "10.96.0.10")
    assert stale(parse(LISTING), [tcp]) == []
