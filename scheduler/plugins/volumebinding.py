"""Claims that wait for their first consumer: the node is chosen so that a volume can be there, then the claim is bound.

Source of the rules: https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode, upstream's VolumeBinding.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kubeling.api.meta import Object, annotations_of, is_deleting, key_of, labels_of, name_of, uid_of
from kubeling.api.placement import node_terms
from kubeling.api.quantity import parse
from kubeling.api.selectors import from_label_selector
from scheduler.framework.events import ClusterEvent
from scheduler.framework.plugin import Filtering, Plugin
from scheduler.framework.status import Rejection, reject
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import Snapshot
from scheduler.plugins.provisioning import has_space, provisions, requested
from scheduler.plugins.volumes import claim_names

SELECTED_NODE = "volume.kubernetes.io/selected-node"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
_NODE_CONFLICT = reject("node(s) had volume node affinity conflict", final=True)
_NO_VOLUMES = reject("node(s) didn't find available persistent volumes to bind", final=True)
_NO_SPACE = reject("node(s) did not have enough free storage", final=True)
_NOT_EXISTENT = reject("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)", final=True)
_IMMEDIATE = reject("pod has unbound immediate PersistentVolumeClaims", final=True)


class VolumeWriter(Protocol):
    """Writes what a binding decision changes. Raises StatusError, ClientError."""

    async def select_node(self, claim: Object, node: str) -> None: ...

    async def claim_volume(self, volume: Object, claim: Object) -> None: ...

    async def claims_changed(self) -> None:
        """Returns when some claim has changed."""


@dataclass(frozen=True, slots=True)
class Bindings:
    """What a pod needs on a node: volumes to claim, and claims to provision."""

    static: tuple[tuple[Object, Object], ...] = ()
    dynamic: tuple[Object, ...] = ()


def volume_fits(volume: Object, node: NodeInfo) -> bool:
    """Whether the volume's node affinity allows the node."""
    required = ((volume.get("spec") or {}).get("nodeAffinity") or {}).get("required")
    terms = node_terms(required)
    return terms is None or any(t.matches(node.name, node.labels) for t in terms)


def matches_claim(volume: Object, claim: Object) -> bool:
    """Whether a volume could serve the claim, the node aside: an available one, or the one that is reserved for it."""
    has, wants = volume.get("spec") or {}, claim.get("spec") or {}
    if (
        is_deleting(volume)
        or (has.get("volumeMode") or "Filesystem") != (wants.get("volumeMode") or "Filesystem")
        or _capacity(volume) < requested(claim)
        or (has.get("volumeAttributesClassName") or "") != (wants.get("volumeAttributesClassName") or "")
        or _class(volume) != _class(claim)
    ):
        return False
    if has.get("claimRef"):
        return _is_reserved(volume, claim)
    selector = wants.get("selector")
    return (
        (volume.get("status") or {}).get("phase") == "Available"
        and set(wants.get("accessModes") or ()) <= set(has.get("accessModes") or ())
        and (selector is None or from_label_selector(selector).matches(labels_of(volume)))
    )


def _is_reserved(volume: Object, claim: Object) -> bool:
    reference = (volume.get("spec") or {}).get("claimRef") or {}
    same = (reference.get("namespace"), reference.get("name")) == tuple(key_of(claim))
    return same and reference.get("uid") in (None, "", uid_of(claim))


def _class(obj: Object) -> str:
    """The storage class of a claim or volume; the old annotation wins."""
    old = annotations_of(obj).get(OLD_CLASS)
    return old if old is not None else (obj.get("spec") or {}).get("storageClassName") or ""


def _capacity(volume: Object) -> Any:
    return parse(((volume.get("spec") or {}).get("capacity") or {}).get("storage", "0")).value


class VolumeBinding(Plugin):
    """Bound claims must be reachable from the node; waiting ones must be possible there, and are bound before the pod is."""

    name = "VolumeBinding"
    helped_by = frozenset(
        {
            ClusterEvent.CLAIM,
            ClusterEvent.VOLUME,
            ClusterEvent.STORAGE_CLASS,
            ClusterEvent.NODE_ADDED,
            ClusterEvent.NODE_LABELS,
            ClusterEvent.CSI,
        }
    )

    def __init__(self, args: Mapping[str, Any]) -> None:
        super().__init__(args)
        self._seconds = float(args.get("bindTimeoutSeconds") or 600)
        self._reserved: dict[str, Bindings] = {}  # uid of a pod
        self._snapshot: Snapshot | None = None
        self.writer: VolumeWriter | None = None

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        names = list(claim_names(pod))
        if not names:
            return None
        bound: list[Object] = []
        waiting: list[Object] = []
        for name in names:
            problem = self._sort(pod, name, snapshot, bound, waiting)
            if problem is not None:
                return problem
        volumes = [snapshot.listers.get("PersistentVolume", c["spec"]["volumeName"]) for c in bound]

        def check(node: NodeInfo) -> Rejection | None:
            if any(v is None for v in volumes):
                return _NOT_EXISTENT
            if not all(volume_fits(v, node) for v in volumes if v is not None):
                return _NODE_CONFLICT
            found = self._bindings(waiting, node, snapshot)
            return found if isinstance(found, Rejection) else None

        return check

    def _sort(
        self, pod: PodInfo, name: str, snapshot: Snapshot, bound: list[Object], waiting: list[Object]
    ) -> Rejection | None:
        """Puts a claim where it belongs, or says why the pod cannot run anywhere."""
        claim = snapshot.listers.get("PersistentVolumeClaim", name, pod.namespace)
        if claim is None:
            if name not in _direct_claims(pod):
                return reject(
                    f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"', final=True
                )
            return reject(f'persistentvolumeclaim "{name}" not found', final=True)
        spec = claim.get("spec") or {}
        if (claim.get("status") or {}).get("phase") == "Lost":
            return reject(
                f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{spec.get("volumeName", "")}"',
                final=True,
            )
        if is_deleting(claim):
            return reject(f'persistentvolumeclaim "{name}" is being deleted', final=True)
        if spec.get("volumeName") and BIND_COMPLETED in annotations_of(claim):
            bound.append(claim)
            return None
        if spec.get("volumeName") or not _waits(claim, snapshot):
            return _IMMEDIATE
        waiting.append(claim)
        return None

    def _bindings(self, claims: list[Object], node: NodeInfo, snapshot: Snapshot) -> Bindings | Rejection:
        """How the waiting claims can be served on a node, or why they cannot."""
        taken = {name_of(v) for b in self._reserved.values() for v, _ in b.static}
        volumes = sorted(snapshot.listers.list("PersistentVolume"), key=_capacity) if claims else []
        static, dynamic = [], []
        for claim in sorted(claims, key=requested):
            chosen = annotations_of(claim).get(SELECTED_NODE)
            if chosen:
                if chosen != node.name:
                    return _NO_VOLUMES
                dynamic.append(claim)
                continue
            fitting = [v for v in volumes if name_of(v) not in taken and matches_claim(v, claim)]
            reserved = next((v for v in fitting if _is_reserved(v, claim)), None)
            if reserved is not None and not volume_fits(reserved, node):
                return _NO_VOLUMES
            volume = reserved or next((v for v in fitting if volume_fits(v, node)), None)
            if volume is not None:
                static.append((volume, claim))
                taken.add(name_of(volume))
                continue
            storage_class = _storage_class(claim, snapshot)
            if storage_class is None or not provisions(storage_class, node.labels):
                return _NO_VOLUMES
            driver = snapshot.listers.get("CSIDriver", storage_class["provisioner"])
            if not has_space(claim, storage_class, driver, snapshot.listers.list("CSIStorageCapacity"), node.labels):
                return _NO_SPACE
            dynamic.append(claim)
        return Bindings(tuple(static), tuple(dynamic))

    def reserve(self, pod: PodInfo, node: NodeInfo, snapshot: Snapshot) -> Rejection | None:
        waiting = [c for c in _claims(pod, snapshot) if not (c.get("spec") or {}).get("volumeName")]
        if not waiting:
            return None
        bindings = self._bindings(waiting, node, snapshot)
        if isinstance(bindings, Rejection):
            return bindings
        self._reserved[pod.uid] = bindings
        self._snapshot = snapshot
        return None

    def unreserve(self, pod: PodInfo, node: str) -> None:
        self._reserved.pop(pod.uid, None)

    async def pre_bind(self, pod: PodInfo, node: str) -> Rejection | None:
        bindings, snapshot = self._reserved.get(pod.uid), self._snapshot
        if bindings is None or snapshot is None or self.writer is None:
            return None
        for volume, claim in bindings.static:
            await self.writer.claim_volume(volume, claim)
        for claim in bindings.dynamic:
            if annotations_of(claim).get(SELECTED_NODE) != node:
                await self.writer.select_node(claim, node)
        selections = _Selections(bindings, node)
        try:
            async with asyncio.timeout(self._seconds):
                while not all(_is_bound(c) for c in _claims(pod, snapshot)):
                    if problem := selections.given_up(_claims(pod, snapshot)):
                        return reject(f"binding volumes: {problem}")
                    await self.writer.claims_changed()
        except TimeoutError:
            return reject("binding volumes: context deadline exceeded")
        finally:
            self._reserved.pop(pod.uid, None)
        return None


def _direct_claims(pod: PodInfo) -> set[str]:
    volumes = pod.spec.get("volumes") or ()
    return {v["persistentVolumeClaim"]["claimName"] for v in volumes if v.get("persistentVolumeClaim")}


def _claims(pod: PodInfo, snapshot: Snapshot) -> Iterable[Object]:
    found = (snapshot.listers.get("PersistentVolumeClaim", name, pod.namespace) for name in claim_names(pod))
    return (c for c in found if c is not None)


def _is_bound(claim: Object) -> bool:
    return bool((claim.get("spec") or {}).get("volumeName")) and BIND_COMPLETED in annotations_of(claim)


class _Selections:
    """Which claims have shown the node that was chosen for them: a provisioner that cannot serve it takes its name off again."""

    def __init__(self, bindings: Bindings, node: str) -> None:
        self._provisioned = {uid_of(claim) for claim in bindings.dynamic}
        self._shown: set[str] = set()
        self._node = node

    def given_up(self, claims: Iterable[Object]) -> str:
        """Why there is nothing to wait for any more; empty while there is."""
        for claim in claims:
            uid = uid_of(claim)
            if uid not in self._provisioned or _is_bound(claim):
                continue
            if annotations_of(claim).get(SELECTED_NODE) == self._node:
                self._shown.add(uid)
            elif uid in self._shown:
                return f'provisioning failed for PVC "{name_of(claim)}"'
        return ""


def _storage_class(claim: Object, snapshot: Snapshot) -> Object | None:
    name = _class(claim)
    return snapshot.listers.get("StorageClass", name) if name else None


def _waits(claim: Object, snapshot: Snapshot) -> bool:
    """Whether the claim's class binds it only when a pod needs it."""
    found = _storage_class(claim, snapshot)
    return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"


def claim_reference(claim: Object) -> Object:
    """The claimRef of a volume that is bound to the claim."""
    key = key_of(claim)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": key.namespace,
        "name": key.name,
        "uid": uid_of(claim),
        "resourceVersion": (claim.get("metadata") or {}).get("resourceVersion", ""),
    }
