"""Which node is connected with which object: through the pods bound to it, their claims and volumes.

Model: the graph of the Node authorizer (documentation "Using Node Authorization").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from apiserver.registry.facade import Registries
from kubeling.api.meta import Object, annotations_of, name_of, namespace_of
from kubeling.api.podreferences import names_in

Reference = tuple[str, str, str]
"""Plural of the resource, namespace (empty for cluster-scoped kinds), name."""

References = Callable[[Object], Iterable[Reference]]
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
_FOLLOWED = (
    ("", "pods", "pod_changed"),
    ("", "persistentvolumes", "volume_changed"),
    ("storage.k8s.io", "volumeattachments", "attachment_changed"),
    ("resource.k8s.io", "resourceslices", "slice_changed"),
)


class NodeGraph:
    """Reference to node name, kept level with pods, volumes, attachments and resource slices."""

    def __init__(self) -> None:
        self._nodes: dict[Reference, Counter[str]] = {}
        self._volumes_of_secret: dict[Reference, set[str]] = {}
        self._claim_of_volume: dict[str, Reference] = {}

    def follow(self, registries: Registries) -> None:
        for group, plural, handler in _FOLLOWED:
            registry = registries.find(group, plural)
            if registry is not None:
                registry.subscribe(getattr(self, handler))

    def connects(self, node: str, reference: Reference) -> bool:
        """Whether the node has to do with the object."""
        if self._nodes.get(reference, Counter())[node] > 0:
            return True
        if reference[0] == "persistentvolumes":
            claim = self._claim_of_volume.get(reference[2])
            return claim is not None and self.connects(node, claim)
        if reference[0] == "secrets":
            volumes = self._volumes_of_secret.get(reference, ())
            return any(self.connects(node, ("persistentvolumes", "", volume)) for volume in volumes)
        return False

    def pod_changed(self, old: Object | None, new: Object | None) -> None:
        self._replace(old, new, pod_references)

    def attachment_changed(self, old: Object | None, new: Object | None) -> None:
        self._replace(old, new, lambda obj: (("volumeattachments", "", name_of(obj)),))

    def slice_changed(self, old: Object | None, new: Object | None) -> None:
        self._replace(old, new, lambda obj: (("resourceslices", "", name_of(obj)),))

    def volume_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None:
            self._claim_of_volume.pop(name_of(old), None)
            for secret in _volume_secrets(old):
                self._volumes_of_secret.get(secret, set()).discard(name_of(old))
        if new is not None:
            claim = (new.get("spec") or {}).get("claimRef") or {}
            if claim:
                reference = ("persistentvolumeclaims", claim.get("namespace", ""), claim.get("name", ""))
                self._claim_of_volume[name_of(new)] = reference
            for secret in _volume_secrets(new):
                self._volumes_of_secret.setdefault(secret, set()).add(name_of(new))

    def _replace(self, old: Object | None, new: Object | None, references_of: References) -> None:
        for obj, step in ((old, -1), (new, 1)):
            node = (obj.get("spec") or {}).get("nodeName") if obj is not None else ""
            if obj is None or not node:
                continue
            for reference in set(references_of(obj)):
                counter = self._nodes.setdefault(reference, Counter())
                counter[node] += step
                if counter[node] <= 0:
                    del counter[node]
                if not counter:
                    del self._nodes[reference]


def pod_references(pod: Object) -> Iterator[Reference]:
    """The pod itself and every object that its node must read to run it. A mirror pod gives its node no rights."""
    namespace, spec = namespace_of(pod), pod.get("spec") or {}
    yield "pods", namespace, name_of(pod)
    if MIRROR_ANNOTATION in annotations_of(pod):
        return
    if spec.get("serviceAccountName"):
        yield "serviceaccounts", namespace, spec["serviceAccountName"]
    for plural, name in (*names_in(pod), *_claim_names(pod)):
        if name:
            yield plural, namespace, name


def _claim_names(pod: Object) -> Iterator[tuple[str, str]]:
    generated = {
        s.get("name"): s.get("resourceClaimName", "")
        for s in (pod.get("status") or {}).get("resourceClaimStatuses") or ()
    }
    for claim in (pod.get("spec") or {}).get("resourceClaims") or ():
        yield "resourceclaims", claim.get("resourceClaimName") or generated.get(claim.get("name"), "")
    special = (pod.get("status") or {}).get("extendedResourceClaimStatus") or {}
    yield "resourceclaims", special.get("resourceClaimName") or ""


def _volume_secrets(volume: Object) -> Iterator[Reference]:
    spec = volume.get("spec") or {}
    for source in spec.values():
        if not isinstance(source, dict):
            continue
        for field, secret in source.items():
            if field.endswith("ecretRef") and isinstance(secret, dict) and secret.get("name"):
                yield "secrets", secret.get("namespace", ""), secret["name"]
