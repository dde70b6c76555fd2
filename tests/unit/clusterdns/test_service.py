from __future__ import annotations

import copy

import pytest

from clusterdns.service import Place, differs, wanted_service, wanted_slice

PLACE = Place("10.96.0.10", "10.244.0.1", 5353, 9153)
SERVICE = {"metadata": {"uid": "u1"}}


def test_the_service_is_found_where_pods_are_told() -> None:
    service = wanted_service(PLACE)
    assert service["spec"]["clusterIP"] == "10.96.0.10"
    assert [(p["name"], p["port"], p["protocol"]) for p in service["spec"]["ports"]] == [
        ("dns", 53, "UDP"),
        ("dns-tcp", 53, "TCP"),
        ("metrics", 9153, "TCP"),
    ]
    assert "selector" not in service["spec"]


def test_the_slice_leads_to_this_process() -> None:
    made = wanted_slice(PLACE, SERVICE)
    assert made["endpoints"][0]["addresses"] == ["10.244.0.1"]
    assert {p["name"]: p["port"] for p in made["ports"]} == {"dns": 5353, "dns-tcp": 5353, "metrics": 9153}
    without = wanted_slice(Place("10.96.0.10", "10.244.0.1", 5353), SERVICE)
    assert [p["name"] for p in without["ports"]] == ["dns", "dns-tcp"]


@pytest.mark.parametrize(
    ("place", "uid", "changed"),
    [
        (PLACE, "u1", False),
        (Place("10.96.0.10", "10.245.0.1", 5353, 9153), "u1", True),
        (Place("10.96.0.10", "10.244.0.1", 5354, 9153), "u1", True),
        (PLACE, "u2", True),  # the service was made anew
    ],
)
def test_a_slice_that_leads_elsewhere_is_corrected(place: Place, uid: str, changed: bool) -> None:
    found = copy.deepcopy(wanted_slice(PLACE, SERVICE))
    found["metadata"]["resourceVersion"] = "5"
    found["metadata"]["labels"]["more"] = "x"
    assert differs(found, wanted_slice(place, {"metadata": {"uid": uid}})) is changed
