"""Drivers of devices: they register, prepare claims and give them back; containers get what CDI files say of the devices."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from kubelet.dra.cdi import CdiError, edits_for
from kubelet.dra.claims import STATE, Claims
from kubelet.dra.plugins import DraError, Plugins
from kubelet.dra.wire import ClaimRef, decode, decode_prepared, encode_claims
from kubelet.runtime.specs import Device, Mount
from kubeling.api.meta import Object
from kubeling.api.protobuf.wire import encode
from kubeling.api.resource import Resource
from kubeling.client.clock import FakeClock

SERVICE = "k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin"
DEVICE = encode(((1, "gpu"), (2, "pool"), (3, "dev"), (4, "example.com/gpu=dev")))


def refs(request: bytes) -> list[ClaimRef]:
    """The claims that a driver is asked about."""
    found = (decode(claim) for claim in decode(request).get(1, ()))
    return [ClaimRef(*(f[n][0].decode() for n in (1, 2, 3))) for f in found]


class Driver(grpc.GenericRpcHandler):
    """A driver's plugin on one socket: what it answers to each method, and what it was asked."""

    def __init__(self, socket: Path, *, kind: str = "DRAPlugin", versions: tuple[str, ...] = ("v1.DRAPlugin",)) -> None:
        self.socket = socket
        self.info = encode(((1, kind), (2, "drv.example"), *((4, version) for version in versions)))
        self.error = ""
        self.gibberish = False
        self.asked: list[tuple[str, Any]] = []
        self.server = grpc.aio.server()
        self.server.add_generic_rpc_handlers((self,))
        self.server.add_insecure_port(f"unix:{socket}")

    def service(self, details: Any) -> Any:
        method = details.method

        async def answer(request: bytes, context: Any) -> bytes:
            return self.answer(method, request)

        return grpc.unary_unary_rpc_method_handler(answer)

    def answer(self, method: str, request: bytes) -> bytes:
        match method.rpartition("/")[2]:
            case "GetInfo":
                return self.info
            case "NotifyRegistrationStatus":
                self.asked.append(("status", request))
                return b""
            case name:
                self.asked.append((method, refs(request)))
                if self.gibberish:
                    return b"\x0a\xff"
                field = 2 if name == "NodePrepareResources" else 1
                devices = [(1, DEVICE)] if name == "NodePrepareResources" and not self.error else []
                entry = encode([*devices, (field, self.error)])
                return encode((1, encode(((1, ref.uid), (2, entry)))) for ref in refs(request))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: sockets have no longer ones."""
    made = Path(tempfile.mkdtemp(prefix="dra"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def driver(folder: Path) -> AsyncIterator[Driver]:
    made = Driver(folder / "drv.sock")
    await made.server.start()
    yield made
    await made.server.stop(None)


class Known:
    """Claims as the API has them."""

    def __init__(self, *claims: Object) -> None:
        self.claims = {c["metadata"]["name"]: c for c in claims}

    async def get(self, resource: Resource, namespace: str, name: str, pod_uid: str) -> Object | None:
        return self.claims.get(name)


def pod(name: str = "p", **status: Any) -> Object:
    entries = [{"name": "gpu", "resourceClaimName": "c"}]
    metadata = {"name": name, "namespace": "ns", "uid": f"uid-{name}"}
    return {"metadata": metadata, "spec": {"resourceClaims": entries}, "status": status}


def claim(*users: str, uid: str = "uid-c", name: str = "c", driver: str = "drv.example", **metadata: Any) -> Object:
    results = [{"request": "gpu", "driver": driver, "pool": "pool", "device": "dev"}]
    reserved = [{"resource": "pods", "name": u, "uid": f"uid-{u}"} for u in users]
    status = {"allocation": {"devices": {"results": results}}, "reservedFor": reserved}
    return {"metadata": {"name": name, "namespace": "ns", "uid": uid, **metadata}, "status": status}


CONTAINER: Object = {"name": "main", "resources": {"claims": [{"name": "gpu"}]}}
REF = ClaimRef("ns", "uid-c", "c")


async def test_a_driver_registers_prepares_and_gives_back(driver: Driver, folder: Path) -> None:
    plugins = Plugins(folder, FakeClock())
    await plugins.look()
    assert driver.asked == [("status", b"\x08\x01")]
    claims = Claims(folder / "state", Known(claim("p", "q")), plugins)
    await claims.prepare(pod("p"))
    await claims.prepare(pod("q"))
    assert driver.asked[1:] == [(f"/{SERVICE}/NodePrepareResources", [REF])]  # once for both
    assert await claims.cdi_devices(pod("p"), CONTAINER) == ["example.com/gpu=dev"]
    other = {"name": "other", "resources": {"claims": [{"name": "gpu", "request": "net"}]}}
    assert await claims.cdi_devices(pod("p"), other) == []
    assert await claims.cdi_devices(pod("p"), {"name": "none"}) == []
    again = Claims(folder / "state", Known(), plugins)  # the next kubelet goes on where this one stopped
    assert await again.cdi_devices(pod("p"), CONTAINER) == ["example.com/gpu=dev"]
    await again.unprepare(pod("p"))
    assert len(driver.asked) == 2
    await again.unprepare(pod("q"))
    assert driver.asked[2:] == [(f"/{SERVICE}/NodeUnprepareResources", [REF])]
    assert json.loads((folder / "state" / STATE).read_bytes()) == []
    await again.unprepare(pod("q"))
    assert len(driver.asked) == 3


async def test_the_claim_for_extended_resources_is_prepared(driver: Driver, folder: Path) -> None:
    plugins = Plugins(folder, FakeClock())
    await plugins.look()
    mapping = {"containerName": "main", "resourceName": "example.com/gpu", "requestName": "gpu"}
    special = {"resourceClaimName": "c", "requestMappings": [mapping]}
    user = pod("p", extendedResourceClaimStatus=special)
    user["spec"] = {}
    claims = Claims(None, Known(claim("p")), plugins)
    await claims.prepare(user)
    assert await claims.cdi_devices(user, {"name": "main"}) == ["example.com/gpu=dev"]
    assert await claims.cdi_devices(user, {"name": "side"}) == []


async def test_a_driver_goes_with_its_socket(driver: Driver, folder: Path) -> None:
    plugins = Plugins(folder, FakeClock())
    await plugins.look()
    assert plugins.of("drv.example").endpoint == str(driver.socket)
    driver.socket.unlink()
    await plugins.look()
    with pytest.raises(DraError, match=r"^DRA driver drv\.example is not registered$"):
        plugins.of("drv.example")


@pytest.mark.parametrize(
    ("kind", "versions", "why"),
    [
        ("CSIPlugin", ("1.0.0",), "no handler registered for plugin type: CSIPlugin at socket "),
        ("DRAPlugin", ("v1alpha9.DRAPlugin",), "invalid supported gRPC versions of DRA driver plugin drv.example"),
    ],
)
async def test_what_is_no_driver_of_ours_is_told_so(
    folder: Path, kind: str, versions: tuple[str, ...], why: str
) -> None:
    made = Driver(folder / "x.sock", kind=kind, versions=versions)
    await made.server.start()
    await Plugins(folder, FakeClock()).look()
    await made.server.stop(None)
    ((_, status),) = made.asked
    assert decode(status)[2][0].decode().startswith(why)


async def test_what_does_not_answer_is_asked_again(folder: Path) -> None:
    made = Driver(folder / "x.sock")  # the socket is there, nobody listens yet
    plugins = Plugins(folder, FakeClock())
    (folder / "file").write_text("no socket")
    await made.server.start()
    await plugins.look()
    assert plugins.of("drv.example").service == SERVICE
    await made.server.stop(None)


@pytest.mark.parametrize(
    ("one", "user", "why"),
    [
        (None, pod(), 'fetch ResourceClaim c: resourceclaims.resource.k8s.io "c" not found'),
        (claim("q"), pod(), "pod p (uid-p) is not allowed to use ResourceClaim c (uid-c)"),
        (claim("p", driver="else.example"), pod(), "DRA driver else.example is not registered"),
        (
            claim("p"),
            {**pod(), "spec": {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "t"}]}},
            'pod "ns/p": ResourceClaim not created yet',
        ),
        (
            claim("p"),
            {
                **pod(resourceClaimStatuses=[{"name": "gpu", "resourceClaimName": "c"}]),
                "spec": {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "t"}]},
            },
            "ResourceClaim ns/c was not created for pod ns/p (pod is not owner)",
        ),
    ],
)
async def test_why_claims_are_not_prepared(one: Object | None, user: Object, why: str, folder: Path) -> None:
    claims = Claims(None, Known(*([one] if one else [])), Plugins(folder, FakeClock()))
    with pytest.raises(DraError) as failure:
        await claims.prepare(user)
    assert str(failure.value).removeprefix("prepare dynamic resources: ") == why


async def test_what_a_driver_refuses_is_told(driver: Driver, folder: Path) -> None:
    plugins = Plugins(folder, FakeClock())
    await plugins.look()
    claims = Claims(None, Known(claim("p")), plugins)
    driver.error = "no such device"
    why = "prepare dynamic resources: NodePrepareResources failed for ResourceClaim c: no such device"
    with pytest.raises(DraError, match=f"^{why}$"):
        await claims.prepare(pod())
    driver.error = ""
    await claims.prepare(pod())
    replaced = Claims(None, Known(claim("p")), plugins)
    await replaced.prepare(pod())
    replaced._objects = Known(claim("p", uid="another"))
    with pytest.raises(DraError, match="old ResourceClaim with same name c and different UID uid-c still exists"):
        await replaced.prepare(pod())


async def test_a_driver_that_talks_gibberish_is_told(driver: Driver, folder: Path) -> None:
    plugins = Plugins(folder, FakeClock())
    await plugins.look()
    driver.gibberish = True
    with pytest.raises(DraError, match=r"^NodePrepareResources: unexpected EOF$"):
        await plugins.of("drv.example").prepare([REF])


async def test_a_driver_that_has_died_is_told(driver: Driver, folder: Path) -> None:
    plugins = Plugins(folder, FakeClock())
    await plugins.look()
    plugin = plugins.of("drv.example")
    await driver.server.stop(None)
    with pytest.raises(DraError, match=r"^NodePrepareResources: rpc error: code = Unavailable desc = "):
        await plugin.prepare([REF])


def test_messages() -> None:
    assert refs(encode_claims([REF])) == [REF]
    (answer,) = decode_prepared(encode([(1, encode(((1, "u"), (2, encode([(1, DEVICE)])))))])).values()
    assert answer.devices[0].cdi == ("example.com/gpu=dev",)


def test_cdi_devices_bring_variables_mounts_and_devices(tmp_path: Path) -> None:
    edits = {
        "env": ["A=1=2"],
        "mounts": [{"hostPath": "/h", "containerPath": "/c", "options": ["ro", "bind"]}],
        "deviceNodes": [{"path": "/dev/x"}, {"path": "/dev/y", "hostPath": "/dev/z", "permissions": "r"}],
    }
    spec = {
        "cdiVersion": "0.5.0",
        "kind": "example.com/gpu",
        "devices": [{"name": "a", "containerEdits": edits}, {"name": "b", "containerEdits": {"env": ["B=b"]}}],
        "containerEdits": {"env": ["ALL=1"]},
    }
    (tmp_path / "one.json").write_text(json.dumps(spec))
    (tmp_path / "broken.yaml").write_text("{")
    (tmp_path / "bad.yaml").write_text("kind: example.com/bad\ndevices: [{name: a, containerEdits: {hooks: [{}]}}]\n")
    found = edits_for(["example.com/gpu=a", "example.com/gpu=b"], [tmp_path, tmp_path / "missing"])
    assert found.env == [("A", "1=2"), ("B", "b"), ("ALL", "1")]
    assert found.mounts == [Mount("/h", "/c", True)]
    assert found.devices == [Device("/dev/x", "/dev/x", False), Device("/dev/z", "/dev/y", True)]
    with pytest.raises(CdiError, match=r"unresolvable CDI devices example\.com/gpu=c"):
        edits_for(["example.com/gpu=c"], [tmp_path])
    with pytest.raises(CdiError, match="has hooks, which the container engine does not run"):
        edits_for(["example.com/bad=a"], [tmp_path])
    assert edits_for([], [tmp_path]).env == []
