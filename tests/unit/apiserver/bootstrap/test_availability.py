from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.bootstrap.availability import PASSED, Verdict, discovery_url, judge, status_with

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REFERENCE = {"name": "svc", "namespace": "ns"}
PORTS = [{"name": "web", "port": 443}]
SLICE = {"endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"name": "web", "port": 8443}]}


def service(ports: Any = PORTS, **spec: Any) -> dict[str, Any]:
    return {"spec": {"type": "ClusterIP", "clusterIP": "10.96.0.7", "ports": ports, **spec}}


@pytest.mark.parametrize(
    ("found", "slices", "reason", "message"),
    [
        (None, [], "ServiceNotFound", 'service/svc in "ns" is not present'),
        (service([{"port": 80}]), [], "ServicePortError", 'service/svc in "ns" is not listening on port 443'),
        (service(), [], "EndpointsNotFound", 'cannot find endpointslices for service/svc in "ns"'),
        (
            service(),
            [{**SLICE, "endpoints": [{"conditions": {"ready": False}}]}],
            "MissingEndpoints",
            'endpointslices for service/svc in "ns" have no addresses with port name "web"',
        ),
        (
            service(),
            [{**SLICE, "ports": [{"name": "other", "port": 1}]}],
            "MissingEndpoints",
            'endpointslices for service/svc in "ns" have no addresses with port name "web"',
        ),
    ],
)
def test_what_the_objects_tell(found: Any, slices: list[Any], reason: str, message: str) -> None:
    assert judge(REFERENCE, lambda *_: found, lambda *_: slices) == Verdict("False", reason, message)


def test_nothing_speaks_against_it() -> None:
    assert judge(REFERENCE, lambda *_: service(), lambda *_: [SLICE]) is None
    assert judge(REFERENCE, lambda *_: service(type="ExternalName"), lambda *_: []) is None


def test_where_discovery_is_asked() -> None:
    api_service = {"spec": {"group": "a.b", "version": "v1", "service": {**REFERENCE, "port": 8443}}}
    assert discovery_url(api_service, service()) == "https://10.96.0.7:8443/apis/a.b/v1"
    outside = service(type="ExternalName", externalName="there.example")
    assert discovery_url(api_service, outside) == "https://there.example:8443/apis/a.b/v1"


def test_said_once() -> None:
    status = status_with({}, PASSED, NOW)
    assert status is not None
    (condition,) = status["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Available", "True", "Passed")
    assert status_with({"status": status}, PASSED, NOW) is None
    assert status_with({"status": status}, Verdict("False", "ServiceNotFound", "gone"), NOW) is not None
