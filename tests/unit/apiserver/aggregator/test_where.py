"""Where the server behind an APIService is, and what its resources look like in discovery."""

from __future__ import annotations

import pytest

from apiserver.aggregator.where import Place, Unavailable, places_of, resources_as_discovered
from kubeling.api.meta import Object

API = {"spec": {"group": "g", "version": "v1", "service": {"name": "s", "namespace": "n", "port": 443}}}
SERVICE: Object = {"spec": {"type": "ClusterIP", "ports": [{"port": 443, "name": "https"}]}}


def subset(*ips: str, port: str = "https") -> Object:
    return {"subsets": [{"addresses": [{"ip": ip} for ip in ips], "ports": [{"name": port, "port": 8443}]}]}


def test_every_ready_endpoint_may_be_asked() -> None:
    found = places_of(API, lambda *_: SERVICE, lambda *_: subset("10.0.0.1", "10.0.0.2"))
    assert found == [Place("10.0.0.1", 8443, "s.n.svc"), Place("10.0.0.2", 8443, "s.n.svc")]


def test_an_external_name_is_asked_by_that_name() -> None:
    external = {"spec": {"type": "ExternalName", "externalName": "api.example.com"}}
    assert places_of(API, lambda *_: external, lambda *_: None) == [Place("api.example.com", 443, "s.n.svc")]


@pytest.mark.parametrize(
    ("service", "endpoints", "reason", "message"),
    [
        (None, None, "ServiceNotFound", 'service/s in "n" is not present'),
        (
            {"spec": {"ports": [{"port": 80}]}},
            None,
            "ServicePortError",
            'service/s in "n" is not listening on port 443',
        ),
        (SERVICE, None, "EndpointsNotFound", 'cannot find endpointslices for service/s in "n"'),
        (
            SERVICE,
            subset("10.0.0.1", port="http"),
            "MissingEndpoints",
            'endpointslices for service/s in "n" have no addresses with port name "https"',
        ),
        (
            SERVICE,
            subset(),
            "MissingEndpoints",
            'endpointslices for service/s in "n" have no addresses with port name "https"',
        ),
    ],
)
def test_what_is_missing_is_told(service: Object, endpoints: Object, reason: str, message: str) -> None:
    with pytest.raises(Unavailable) as caught:
        places_of(API, lambda *_: service, lambda *_: endpoints)
    assert (caught.value.reason, str(caught.value)) == (reason, message)


def test_a_list_of_resources_becomes_entries_of_aggregated_discovery() -> None:
    listed = {
        "groupVersion": "g/v1",
        "resources": [
            {"name": "things", "namespaced": True, "kind": "Thing", "singularName": "thing", "verbs": ["get"], "shortNames": ["t"]},
            {"name": "things/scale", "kind": "Scale", "group": "autoscaling", "version": "v1", "verbs": ["get"]},
            {"name": "pods/hits", "namespaced": True, "kind": "MetricValueList", "verbs": ["get"]},
        ],
    }  # fmt: skip
    things, pods = resources_as_discovered(listed)
    assert things == {
        "resource": "things",
        "scope": "Namespaced",
        "singularResource": "thing",
        "verbs": ["get"],
        "shortNames": ["t"],
        "responseKind": {"group": "g", "version": "v1", "kind": "Thing"},
        "subresources": [
            {
                "subresource": "scale",
                "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
                "verbs": ["get"],
            }
        ],
    }
    assert (pods["resource"], pods["scope"], pods["verbs"]) == ("pods", "Namespaced", [])
    assert [s["subresource"] for s in pods["subresources"]] == ["hits"]
