"""Volumes and claims, silent nodes and taints, mirrored endpoints and device claims come to the right end, however interleaved."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from controllers.endpoints import ENDPOINT_SLICE_MIRRORING
from controllers.nodelifecycle import CONTROLLER as NODE_LIFECYCLE
from controllers.nodelifecycle import TAINT_EVICTION
from controllers.resourceclaim import CONTROLLER as RESOURCE_CLAIM
from controllers.resourceclaim.plan import FINALIZER
from controllers.volumes import BINDER, PV_PROTECTION, PVC_PROTECTION
from kubeling.api.meta import Object, annotations_of, is_deleting, labels_of, name_of, rfc3339, rfc3339_micro, uid_of
from kubeling.api.resource import Resource
from kubeling.api.resources import (
    ENDPOINT_SLICES,
    ENDPOINTS,
    LEASES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    SERVICES,
)
from tests.unit.controllers.interleaving import RULES, Step, Story, living, pick, play, steps
from tests.unit.controllers.world import World

SIZES = ("1Gi", "2Gi", "3Gi")


def reference_of(volume: Object) -> Object:
    return volume["spec"].get("claimRef") or {}


class VolumeStory(Story):
    """Users make and delete volumes and claims, some of them for each other by name."""

    controllers = (BINDER, PVC_PROTECTION, PV_PROTECTION)
    actions = ("volume", "volume", "claim", "claim", "named", "reserved", "delete claim", "delete volume", "forget")
    writes_a_step = 14
    longest_wait = 40.0

    def begin(self, w: World) -> None:
        return

    async def act(self, w: World, action: str, choice: int) -> None:
        volumes, claims = w.api.all(PERSISTENT_VOLUMES), w.api.all(PERSISTENT_VOLUME_CLAIMS)
        volume, claim = pick(volumes, choice), pick(claims, choice)
        if action == "volume":
            self._volume(w, choice)
        elif action == "claim":
            self._claim(w, choice)
        elif action == "named" and volume is not None:
            self._claim(w, choice, volumeName=name_of(volume))
        elif action == "reserved" and claim is not None:
            self._volume(w, choice, claimRef={"namespace": "ns", "name": name_of(claim)})
        elif action == "delete claim" and claim is not None:
            w.api.delete(PERSISTENT_VOLUME_CLAIMS, "ns", name_of(claim))
        elif action == "delete volume" and volume is not None:
            w.api.delete(PERSISTENT_VOLUMES, "", name_of(volume))
        elif action == "forget" and volume is not None and volume.get("status", {}).get("phase") == "Released":
            w.api.update(PERSISTENT_VOLUMES, "", name_of(volume), lambda v: v["spec"].pop("claimRef", None))

    def _volume(self, w: World, choice: int, **more: Any) -> None:
        spec = {"capacity": {"storage": SIZES[choice % 3]}, "accessModes": ["ReadWriteOnce"], "storageClassName": ""}
        w.create(PERSISTENT_VOLUMES, f"v{w.api.version}", {**spec, **more}, namespace="")

    def _claim(self, w: World, choice: int, **more: Any) -> None:
        wanted = {"requests": {"storage": SIZES[choice // 3 % 3]}}
        spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": wanted}
        w.create(PERSISTENT_VOLUME_CLAIMS, f"c{w.api.version}", {**spec, **more})

    def kubelets(self, w: World) -> None:
        return

    def check(self, w: World) -> None:
        volumes = {name_of(v): v for v in w.api.all(PERSISTENT_VOLUMES)}
        claims = {uid_of(c): c for c in w.api.all(PERSISTENT_VOLUME_CLAIMS)}
        bound = [c for c in claims.values() if c["status"]["phase"] == "Bound"]
        assert len({c["spec"]["volumeName"] for c in bound}) == len(bound)
        for claim in bound:
            volume = volumes[claim["spec"]["volumeName"]]
            assert reference_of(volume).get("uid") == uid_of(claim) and volume["status"]["phase"] == "Bound"
            assert claim["status"]["capacity"] == volume["spec"]["capacity"]
            assert annotations_of(claim)["pv.kubernetes.io/bind-completed"] == "yes"
        for volume in volumes.values():
            uid, phase = str(reference_of(volume).get("uid") or ""), volume["status"]["phase"]
            if phase == "Bound":
                assert claims[uid]["spec"]["volumeName"] == name_of(volume)
            else:
                assert phase == ("Released" if uid else "Available")
        self._nobody_waits_in_vain(volumes, claims)
        self._never_two(w)

    def _nobody_waits_in_vain(self, volumes: dict[str, Object], claims: dict[str, Object]) -> None:
        free = [v for v in volumes.values() if not reference_of(v) and not is_deleting(v)]
        largest = max((SIZES.index(v["spec"]["capacity"]["storage"]) for v in free), default=-1)
        for claim in claims.values():
            if claim["status"]["phase"] == "Pending" and not claim["spec"].get("volumeName"):
                assert SIZES.index(claim["spec"]["resources"]["requests"]["storage"]) > largest

    def _never_two(self, w: World) -> None:
        """At no moment is a volume the one of two claims that are both told to be bound."""
        state: dict[str, Object] = {}
        for _, type_, ident, obj in w.api.history:
            if ident[1] != "persistentvolumeclaims":
                continue
            state[ident[3]] = obj
            if type_ == "DELETED":
                del state[ident[3]]
            names = [c["spec"]["volumeName"] for c in state.values() if (c.get("status") or {}).get("phase") == "Bound"]
            assert len(set(names)) == len(names)


class NodeStory(Story):
    """Kubelets fall silent and come back, say that they are not ready, are tainted by hand; pods come to any node."""

    controllers = (NODE_LIFECYCLE, TAINT_EVICTION)
    actions = ("silence", "return", "unready", "taint", "untaint", "pod", "pod", "wait", "wait")
    writes_a_step = 40
    longest_wait = 5.0
    names = ("n1", "n2", "n3")

    def __init__(self) -> None:
        self.silent: set[str] = set()
        self.unready: set[str] = set()

    def begin(self, w: World) -> None:
        for name in self.names:
            w.create(NODES, name, {}, namespace="")
            w.create(LEASES, name, {"renewTime": rfc3339_micro(w.clock.now())}, namespace="kube-node-lease")
        self._beat(w)

    def _beat(self, w: World) -> None:
        """The kubelets that are not silent renew their Leases, and their status where it is another."""
        now = w.clock.now()
        for name in set(self.names) - self.silent:
            renewed = rfc3339_micro(now)
            _update(w, LEASES, name, {"spec": {"renewTime": renewed}}, "kube-node-lease")
            value = "False" if name in self.unready else "True"
            conditions = w.get(NODES, name).get("status", {}).get("conditions") or [{}]
            if conditions[0].get("status") != value:
                ready = {"type": "Ready", "status": value, "lastHeartbeatTime": rfc3339(now)}
                _update(w, NODES, name, {"status": {"conditions": [ready]}})

    async def act(self, w: World, action: str, choice: int) -> None:
        name = self.names[choice % len(self.names)]
        if action == "silence":
            self.silent.add(name)
        elif action in ("return", "unready"):
            self.silent.discard(name)
            (self.unready.add if action == "unready" else self.unready.discard)(name)
        elif action in ("taint", "untaint"):
            by_hand = [{"key": "mine", "effect": "NoExecute"}] if action == "taint" else []
            w.api.update(NODES, "", name, lambda o: o["spec"].update(taints=[*_others(o), *by_hand]))
        elif action == "pod":
            tolerations = [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}] if choice % 2 else []
            w.create(PODS, f"p{w.api.version}", {"nodeName": name, "tolerations": tolerations})
        for _ in range(choice + 1 if action == "wait" else 0):
            await self._pass(w)

    async def _pass(self, w: World) -> None:
        await w.clock.advance(5)
        self._beat(w)

    def kubelets(self, w: World) -> None:
        w.finish_deleted()
        self._beat(w)

    def end(self, w: World) -> None:
        """Everybody comes back, nobody is tainted by hand: nothing has a reason to leave any more."""
        self.silent, self.unready = set(), set()
        for name in self.names:
            w.api.update(NODES, "", name, lambda o: o["spec"].update(taints=_others(o)))

    def check(self, w: World) -> None:
        for node in w.api.all(NODES):
            assert not node["spec"].get("taints"), node
        for pod in w.pods():
            assert not is_deleting(pod)
        self._only_with_reason(w)

    def _only_with_reason(self, w: World) -> None:
        """A pod was marked for the taint manager only while its node had a NoExecute taint, or just before."""
        tainted: dict[str, int] = {}
        for version, _, ident, obj in w.api.history:
            if ident[1] == "nodes" and any(t["effect"] == "NoExecute" for t in obj["spec"].get("taints") or ()):
                tainted[ident[3]] = version
            reasons = [c.get("reason") for c in (obj.get("status") or {}).get("conditions") or ()]
            if ident[1] == "pods" and "DeletionByTaintManager" in reasons:
                assert obj["spec"]["nodeName"] in tainted


def _update(w: World, resource: Resource, name: str, fields: Object, namespace: str = "") -> None:
    w.api.update(resource, namespace, name, lambda obj: obj.update(fields))


def _others(node: Object) -> list[Object]:
    return [t for t in node["spec"].get("taints") or () if t["key"] != "mine"]


class MirrorStory(Story):
    """Endpoints written by hand, in two address families, with more than a subset may have."""

    controllers = (ENDPOINT_SLICE_MIRRORING,)
    options = {"mirroring_max_endpoints_per_subset": 3}  # constant
    actions = ("write", "write", "write", "skip", "selector", "delete", "spoil")
    writes_a_step = 6

    def begin(self, w: World) -> None:
        w.create(SERVICES, "db", {"ports": [{"port": 1}]})

    async def act(self, w: World, action: str, choice: int) -> None:
        there = w.api.all(ENDPOINTS)
        if action == "write":
            subsets = [self._subset(choice + i, i) for i in range(choice % 3)]
            if there:
                w.api.update(ENDPOINTS, "ns", "db", lambda o: o.update(subsets=subsets))
            else:
                w.api.create(ENDPOINTS, {"metadata": {"name": "db", "namespace": "ns"}, "subsets": subsets})
        elif action == "skip" and there:
            labels = {"endpointslice.kubernetes.io/skip-mirror": "true"} if choice % 2 else {"a": str(choice)}
            w.api.update(ENDPOINTS, "ns", "db", lambda o: o["metadata"].update(labels=labels))
        elif action == "selector":
            w.api.update(
                SERVICES, "ns", "db", lambda o: o["spec"].update(selector={"a": "b"} if choice % 3 == 0 else None)
            )
        elif action == "delete" and there:
            w.api.delete(ENDPOINTS, "ns", "db")
        elif action == "spoil" and (slice_ := pick(w.api.all(ENDPOINT_SLICES), choice)) is not None:
            w.api.update(ENDPOINT_SLICES, "ns", name_of(slice_), lambda o: o.update(endpoints=[]))

    def _subset(self, choice: int, index: int) -> Object:
        family = "fd00::" if choice % 2 else "192.0.2."
        addresses = [{"ip": f"{family}{index + 1}{i}"} for i in range(1, choice % 6)]
        ready, others = addresses[: choice % 4], addresses[choice % 4 :]
        return {
            "addresses": ready,
            "notReadyAddresses": others,
            "ports": [{"name": "p", "port": 80 + index, "protocol": "TCP"}],
        }

    def kubelets(self, w: World) -> None:
        return

    def check(self, w: World) -> None:
        service, slices = w.get(SERVICES, "db"), w.api.all(ENDPOINT_SLICES)
        wanted: set[tuple[str, int, bool]] = set()
        for endpoints in w.api.all(ENDPOINTS):
            skipped = labels_of(endpoints).get("endpointslice.kubernetes.io/skip-mirror") == "true"
            if service["spec"].get("selector") or skipped:
                continue
            for subset in endpoints.get("subsets") or ():
                every = [(a["ip"], True) for a in subset["addresses"]] + [
                    (a["ip"], False) for a in subset["notReadyAddresses"]
                ]
                wanted |= {(ip, subset["ports"][0]["port"], ready) for ip, ready in every[:3]}
        found = [
            (e["addresses"][0], s["ports"][0]["port"], e["conditions"]["ready"]) for s in slices for e in s["endpoints"]
        ]
        assert len(found) == len(set(found)) and set(found) == wanted
        assert all(s["endpoints"] and len(s["endpoints"]) <= 3 for s in slices)


class ClaimStory(Story):
    """Pods with device claims from a template; ``allocate`` is what the scheduler does, finalizer first."""

    controllers = (RESOURCE_CLAIM,)
    actions = ("pod", "pod", "protect", "allocate", "allocate", "end", "delete", "remove claim")
    writes_a_step = 10
    longest_wait = 40.0

    def begin(self, w: World) -> None:
        w.create(RESOURCE_CLAIM_TEMPLATES, "t", {"spec": {"devices": {}}})

    async def act(self, w: World, action: str, choice: int) -> None:
        claim, pod = pick(w.api.all(RESOURCE_CLAIMS), choice), pick(w.pods(), choice)
        if action == "pod":
            entries = [{"name": "gpu", "resourceClaimTemplateName": "t"}]
            w.create(PODS, f"p{w.api.version}", {"resourceClaims": entries})
        elif action in ("protect", "allocate") and claim is not None and not is_deleting(claim):
            self._allocate(w, claim, only_protect=action == "protect")
        elif action == "end" and pod is not None and not is_deleting(pod):
            w.set_status(pod, phase="Succeeded")
        elif action == "delete" and pod is not None:
            w.api.delete(PODS, "ns", name_of(pod))
        elif action == "remove claim" and claim is not None:
            w.api.delete(RESOURCE_CLAIMS, "ns", name_of(claim))

    def _allocate(self, w: World, claim: Object, *, only_protect: bool) -> None:
        w.api.update(RESOURCE_CLAIMS, "ns", name_of(claim), lambda c: c["metadata"].update(finalizers=[FINALIZER]))
        owner = claim["metadata"]["ownerReferences"][0]
        pods = [p for p in living(w) if uid_of(p) == owner["uid"]]
        if only_protect or not pods:
            return
        reserved = [{"resource": "pods", "name": owner["name"], "uid": owner["uid"]}]
        status = {"allocation": {"devices": {}}, "reservedFor": reserved}
        w.api.update(RESOURCE_CLAIMS, "ns", name_of(claim), lambda c: c.update(status=status))
        w.api.update(PODS, "ns", name_of(pods[0]), lambda p: p["spec"].update(nodeName="n"))

    def kubelets(self, w: World) -> None:
        w.finish_deleted()

    def check(self, w: World) -> None:
        pods, claims = {uid_of(p): p for p in living(w)}, w.api.all(RESOURCE_CLAIMS)
        owners = [c["metadata"]["ownerReferences"][0]["uid"] for c in claims]
        assert len(set(owners)) == len(owners)
        for claim in claims:
            assert not is_deleting(claim) or uid_of_users(claim) & pods.keys()
            assert uid_of_users(claim) <= pods.keys()
            assert bool((claim.get("status") or {}).get("allocation")) == bool(uid_of_users(claim))
        noted = {
            s["resourceClaimName"]
            for p in pods.values()
            for s in p.get("status", {}).get("resourceClaimStatuses") or ()
        }
        assert {name_of(c) for c in claims if c["metadata"]["ownerReferences"][0]["uid"] in pods} <= noted


def uid_of_users(claim: Object) -> set[str]:
    return {r["uid"] for r in (claim.get("status") or {}).get("reservedFor") or ()}


@RULES
@given(steps(VolumeStory()))
def test_volumes_and_claims(drawn: list[Step]) -> None:
    play(VolumeStory(), drawn)


@RULES
@given(steps(NodeStory()))
def test_nodes_and_taints(drawn: list[Step]) -> None:
    play(NodeStory(), drawn)


@RULES
@given(steps(MirrorStory()))
def test_mirrored_endpoints(drawn: list[Step]) -> None:
    play(MirrorStory(), drawn)


@RULES
@given(steps(ClaimStory()))
def test_device_claims(drawn: list[Step]) -> None:
    play(ClaimStory(), drawn)
