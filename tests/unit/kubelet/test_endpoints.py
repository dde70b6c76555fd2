"""Which network endpoints have outlived their container."""

from __future__ import annotations

from kubelet.runtime.docker_endpoints import ownerless


def test_only_endpoints_that_nobody_holds_are_ownerless() -> None:
    endpoints = {
        "c1": {"Name": "running", "EndpointID": "e1"},
        "c2": {"Name": "renamed-from", "EndpointID": "e2"},
        "ep-e3": {"Name": "starting", "EndpointID": "e3"},
        "ep-e4": {"Name": "gone", "EndpointID": "e4"},
        "c5": {"Name": "gone-too", "EndpointID": "e5"},
    }
    held = {"c1", "running", "c2", "renamed-to", "c3", "starting"}
    assert ownerless(endpoints, held) == {"e4": "gone", "e5": "gone-too"}
    assert ownerless({}, held) == {}
