"""How many pods the controllers of pods want: from copies of the workload kinds, else from a scale subresource."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controllers.lib.collection import Collection
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, controller_of, name_of, namespace_of, uid_of
from kubeling.client.discovery import discover


class ScaleUnknown(Exception):
    """The number of pods that should be there cannot be told; the message goes into the status."""


class Scales:
    """The wanted sizes of pods' controllers: from our copies of the workload kinds, else from a scale subresource."""

    def __init__(self, collections: Mapping[tuple[str, str], Collection], any_collection: Collection) -> None:
        self._collections = collections
        self._client = any_collection.client

    async def of(self, pods: Iterable[Object]) -> list[int]:
        """One number for each controller, a Deployment's ReplicaSets counting as one; pods without a controller count for
        nothing. Raises ScaleUnknown for a controller that is gone or has no scale."""
        seen: set[str] = set()
        found: dict[str, int] = {}
        for pod in pods:
            reference = controller_of(pod)
            if reference is None or reference["uid"] in seen:
                continue
            seen.add(reference["uid"])
            uid, size = await self._one(pod, dict(reference))
            found[uid] = size
        return list(found.values())

    async def _one(self, pod: Object, reference: Object) -> tuple[str, int]:
        """The uid of what says the size, and the size."""
        namespace = namespace_of(pod)
        collection = self._collections.get((reference["apiVersion"].rpartition("/")[0], reference["kind"]))
        owner = collection.get(Key(namespace, reference["name"])) if collection is not None else None
        if owner is None or uid_of(owner) != reference["uid"]:  # our copy may not have it yet
            owner = await self._subresource(namespace, reference, known=collection is not None)
        if owner is None or uid_of(owner) != reference["uid"]:
            raise ScaleUnknown(f'found no controllers for pod "{name_of(pod)}"')
        above = controller_of(owner)
        if reference["kind"] == "ReplicaSet" and above is not None and above.get("kind") == "Deployment":
            owner = self._deployment(namespace, dict(above)) or owner
        return uid_of(owner), replicas_of(owner)

    def _deployment(self, namespace: str, above: Object) -> Object | None:
        deployment = self._collections[("apps", "Deployment")].get(Key(namespace, above["name"]))
        return deployment if deployment is not None and uid_of(deployment) == above["uid"] else None

    async def _subresource(self, namespace: str, reference: Object, *, known: bool) -> Object | None:
        """The scale of a controller of any kind; None when the controller is gone. ``known``: the kind has scales."""
        resource = (await discover(self._client)).of_kind(reference["apiVersion"], reference["kind"])
        if resource is None:
            raise ScaleUnknown(
                f"{reference['kind']}.{reference['apiVersion']} does not implement the scale subresource"
            )
        try:
            return await self._client.get(resource, reference["name"], namespace, subresource="scale")
        except StatusError as err:
            if not is_not_found(err):
                raise
            if not known and all(sub.name != "scale" for sub in resource.subresources):
                raise ScaleUnknown(f"{resource.qualified} does not implement the scale subresource") from err
            return None


def replicas_of(obj: Object) -> int:
    """``spec.replicas``; 1 where it is missing."""
    replicas = (obj.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)
