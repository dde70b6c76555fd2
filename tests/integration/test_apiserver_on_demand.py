"""Versions that ``--runtime-config`` turns on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.conftest import StartServer

GROUP = "resource.k8s.io"
APPLY = {"content-type": "application/apply-patch+yaml"}


@pytest.fixture(scope="module")
def every(start_apiserver: StartServer) -> Iterator[httpx.Client]:
    server = start_apiserver("--runtime-config=resource.k8s.io/v1beta1=true,resource.k8s.io/v1beta2=true,api/alpha")
    yield server.client()


def path(version: str, plural: str, name: str = "") -> str:
    scope = "/namespaces/default" if plural.startswith("resourceclaim") else ""
    return f"/apis/{GROUP}/{version}{scope}/{plural}" + (f"/{name}" if name else "")


def made(api: httpx.Client, version: str, plural: str, kind: str, name: str, spec: Any) -> dict[str, Any]:
    body = {"apiVersion": f"{GROUP}/{version}", "kind": kind, "metadata": {"name": name}, "spec": spec}
    answer = api.post(path(version, plural), json=body)
    assert answer.status_code == 201, answer.text
    assert f"{GROUP}/{version} {kind} is deprecated in v1.3" in answer.headers["warning"]
    return dict(answer.json())


def test_discovery_puts_the_stable_version_first(every: httpx.Client) -> None:
    group = every.get(f"/apis/{GROUP}").json()
    assert [v["version"] for v in group["versions"]] == ["v1", "v1beta2", "v1beta1", "v1alpha3"]
    assert group["preferredVersion"]["version"] == "v1"

    def plurals(version: str) -> list[str]:
        return [r["name"] for r in every.get(f"/apis/{GROUP}/{version}").json()["resources"] if "/" not in r["name"]]

    stable = ["deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices"]
    assert sorted(plurals("v1")) == sorted(plurals("v1beta1")) == stable
    assert sorted(plurals("v1beta2")) == sorted([*stable, "devicetaintrules"])
    assert plurals("v1alpha3") == ["devicetaintrules"]


def test_requests_of_v1beta1_are_written_flat(every: httpx.Client) -> None:
    alternatives = [{"name": "x", "deviceClassName": "big"}]
    requests = [{"name": "a", "deviceClassName": "gpu"}, {"name": "b", "firstAvailable": alternatives}]
    claim = made(every, "v1beta1", "resourceclaims", "ResourceClaim", "c", {"devices": {"requests": requests}})
    exact = {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1}
    filled = [{"name": "x", "deviceClassName": "big", "allocationMode": "ExactCount", "count": 1}]
    wanted = [{"name": "a", **exact}, {"name": "b", "firstAvailable": filled}]
    assert claim["apiVersion"] == f"{GROUP}/v1beta1" and claim["spec"]["devices"]["requests"] == wanted
    for version in ("v1", "v1beta2"):
        stored = every.get(path(version, "resourceclaims", "c")).json()
        assert stored["apiVersion"] == f"{GROUP}/{version}"
        assert stored["spec"]["devices"]["requests"] == [{"name": "a", "exactly": exact}, wanted[1]]

    claim["status"] = {"allocation": {"devices": {"results": [
        {"request": "a", "driver": "d.example.com", "pool": "p", "device": "d"}
    ]}}}  # fmt: skip
    answer = every.put(path("v1beta1", "resourceclaims", "c") + "/status", json=claim)
    assert answer.status_code == 200, answer.text
    assert every.get(path("v1", "resourceclaims", "c")).json()["status"]["allocation"]["devices"]["results"]

    template = {"spec": {"devices": {"requests": requests[:1]}}}
    made(every, "v1beta1", "resourceclaimtemplates", "ResourceClaimTemplate", "t", template)
    stored = every.get(path("v1", "resourceclaimtemplates", "t")).json()
    assert stored["spec"]["spec"]["devices"]["requests"] == [{"name": "a", "exactly": exact}]


def test_devices_of_v1beta1_have_a_basic_part(every: httpx.Client) -> None:
    basic = {"attributes": {"model": {"string": "m"}}}
    spec = {
        "driver": "d.example.com", "nodeName": "n", "devices": [{"name": "d", "basic": basic}],
        "pool": {"name": "p", "resourceSliceCount": 1, "generation": 1},
    }  # fmt: skip
    slice_ = made(every, "v1beta1", "resourceslices", "ResourceSlice", "s", spec)
    assert slice_["spec"]["devices"] == [{"name": "d", "basic": basic}]
    assert every.get(path("v1", "resourceslices", "s")).json()["spec"]["devices"] == [{"name": "d", **basic}]
    listed = every.get(path("v1beta1", "resourceslices"), params={"fieldSelector": "spec.nodeName=n"}).json()
    assert [s["spec"]["devices"][0]["basic"] for s in listed["items"]] == [basic]


def test_classes_and_rules_are_the_same_in_every_version(every: httpx.Client) -> None:
    selectors = [{"cel": {"expression": "true"}}]
    made(every, "v1beta2", "deviceclasses", "DeviceClass", "gpu", {"selectors": selectors})
    assert every.get(path("v1", "deviceclasses", "gpu")).json()["spec"]["selectors"] == selectors
    taint = {"key": "k", "effect": "NoSchedule"}
    made(
        every,
        "v1alpha3",
        "devicetaintrules",
        "DeviceTaintRule",
        "r",
        {"taint": taint, "deviceSelector": {"driver": "d"}},
    )
    assert every.get(path("v1beta2", "devicetaintrules", "r")).json()["spec"]["taint"]["key"] == "k"


def test_what_one_version_applies_another_owns_too(every: httpx.Client) -> None:
    body = {"apiVersion": f"{GROUP}/v1beta1", "kind": "ResourceClaim", "metadata": {"name": "applied"},
            "spec": {"devices": {"requests": [{"name": "a", "deviceClassName": "gpu"}]}}}  # fmt: skip
    first = every.patch(
        path("v1beta1", "resourceclaims", "applied"), json=body, headers=APPLY, params={"fieldManager": "m"}
    )
    assert first.status_code == 201, first.text
    body["apiVersion"] = f"{GROUP}/v1"
    body["spec"] = {"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "gpu"}}]}}
    again = every.patch(path("v1", "resourceclaims", "applied"), json=body, headers=APPLY, params={"fieldManager": "m"})
    assert again.status_code == 200, again.text


def test_the_alpha_version_stands_alone(start_apiserver: StartServer) -> None:
    api = start_apiserver("--runtime-config=resource.k8s.io/v1alpha3/devicetaintrules").client()
    assert [v["version"] for v in api.get(f"/apis/{GROUP}").json()["versions"]] == ["v1", "v1alpha3"]
    spec = {"taint": {"key": "k", "effect": "None"}}
    made(api, "v1alpha3", "devicetaintrules", "DeviceTaintRule", "alone", spec)
    assert api.delete(path("v1alpha3", "devicetaintrules", "alone")).status_code == 200
    assert api.get(path("v1beta2", "devicetaintrules")).status_code == 404
