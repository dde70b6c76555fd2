"""The cluster as the scheduler believes it to be: what the API shows, and its own decisions that the API does not show yet."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from kubeling.api.meta import Object, labels_of, name_of
from scheduler.model.counts import Counts, Question
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import Listers, NoListers


class Cache:
    """A ``Snapshot`` that is kept up to date.

    A pod is *assumed* on a node from the decision until the API shows it bound, or binding failed and it is forgotten.
    """

    def __init__(self, listers: Listers | None = None, rng: random.Random | None = None) -> None:
        self.listers: Listers = listers or NoListers()
        self._random = rng or random.Random()
        self._infos: dict[str, NodeInfo] = {}
        self._order: list[NodeInfo] = []
        self._places: dict[str, str] = {}  # uid of a pod -> its node
        self._assumed: dict[str, PodInfo] = {}
        self._nominated: dict[str, dict[str, PodInfo]] = {}
        self._images: Counter[str] = Counter()
        self._affine: dict[str, NodeInfo] = {}  # the nodes with pods that have affinity of their own
        self._counts = Counts(self.namespace_labels)

    # what plugins see

    @property
    def nodes(self) -> Sequence[NodeInfo]:
        return self._order

    def node(self, name: str) -> NodeInfo | None:
        info = self._infos.get(name)
        return info if info is not None and info.node is not None else None

    def count(self, question: Question) -> Mapping[str, int]:
        return self._counts.of(question, self._order)

    def with_affinity(self) -> Iterable[tuple[NodeInfo, PodInfo]]:
        return (
            (info, pod)
            for info in self._affine.values()
            if info.node is not None
            for pod in info.with_affinity.values()
        )

    def nominated(self, node: str) -> Iterable[PodInfo]:
        return self._nominated.get(node, {}).values()

    def image_nodes(self, image: str) -> int:
        return self._images[image]

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        found = self.listers.get("Namespace", namespace)
        return labels_of(found) if found else {}

    # nodes

    def set_node(self, node: Object) -> None:
        """A node as it is now."""
        info = self._infos.setdefault(name_of(node), NodeInfo(name_of(node)))
        if info.node is None:
            # in a place of chance: nodes made one after the other (a zone's) do not stand together in the search order
            self._order.insert(self._random.randint(0, len(self._order)), info)
            for pod in info.pods.values():
                self._counts.changed(pod, info.name, 1)
        self._images.subtract(info.images.keys())
        info.set_node(node)
        self._images.update(info.images.keys())

    def remove_node(self, name: str) -> None:
        """The node has gone; pods may still be on it for a while."""
        info = self._infos.get(name)
        if info is None or info.node is None:
            return
        self._images.subtract(info.images.keys())
        info.set_node(None)
        self._order.remove(info)
        for pod in info.pods.values():
            self._counts.changed(pod, name, -1)
        if not info.pods:
            del self._infos[name]

    # pods

    def set_pod(self, pod: PodInfo) -> None:
        """A bound pod as the API shows it; ends its being assumed."""
        self._assumed.pop(pod.uid, None)
        self._place(pod)

    def remove_pod(self, uid: str) -> None:
        """A pod has gone or has finished."""
        self._assumed.pop(uid, None)
        self._displace(uid)

    def assume(self, pod: PodInfo, node: str) -> PodInfo:
        """The decision counts from now on; answers the pod as it will be."""
        placed = pod.assigned_to(node)
        self._assumed[pod.uid] = placed
        self._place(placed)
        self.nominate(pod, "")
        return placed

    def forget(self, uid: str) -> None:
        """Binding failed: the place is free again."""
        if self._assumed.pop(uid, None) is not None:
            self._displace(uid)

    def is_assumed(self, uid: str) -> bool:
        return uid in self._assumed

    def nominate(self, pod: PodInfo, node: str) -> None:
        """Notes for which node the pod waits; none when empty."""
        for name, pods in list(self._nominated.items()):
            if pods.pop(pod.uid, None) is not None and not pods:
                del self._nominated[name]
        if node:
            self._nominated.setdefault(node, {})[pod.uid] = pod

    def forget_namespaces(self) -> None:
        """Labels of namespaces have changed."""
        self._counts.forget()

    def _place(self, pod: PodInfo) -> None:
        self._displace(pod.uid)
        info = self._infos.setdefault(pod.node_name, NodeInfo(pod.node_name))
        info.add(pod)
        if info.with_affinity:
            self._affine[info.name] = info
        self._places[pod.uid] = info.name
        if info.node is not None:
            self._counts.changed(pod, info.name, 1)

    def _displace(self, uid: str) -> None:
        name = self._places.pop(uid, None)
        if name is None:
            return
        info = self._infos[name]
        old = info.remove(uid)
        if not info.with_affinity:
            self._affine.pop(name, None)
        if info.node is None:
            if not info.pods:
                del self._infos[name]
        elif old is not None:
            self._counts.changed(old, name, -1)
