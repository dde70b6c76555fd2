"""How many pods the controllers of pods want: from copies of the workload kinds, else from a scale subresource."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controllers.lib.collection import Collection
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, controller_of, namespace_of
from kubeling.client.discovery import discover


class ScaleUnknown(Exception):
    """The number of pods that should be there cannot be told; the message goes into the status."""


class Scales:
    """The wanted sizes of pods' controllers: from our copies of the workload kinds, else from a scale subresource."""

    def __init__(self, collections: Mapping[tuple[str, str], Collection], any_collection: Collection) -> None:
        self._collections = collections
        self._client = any_collection.client

    async def of(self, pods: Iterable[Object]) -> list[int]:
        """One number for each controller; pods without one count for nothing. Raises ScaleUnknown for one without a scale."""
        found: dict[str, int] = {}
        for pod in pods:
            reference = controller_of(pod)
            if reference is None:
                continue
            if reference["uid"] not in found:
                found[reference["uid"]] = await self._one(namespace_of(pod), dict(reference))
        return list(found.values())

    async def _one(self, namespace: str, reference: Object) -> int:
        group = reference["apiVersion"].rpartition("/")[0]
        collection = self._collections.get((group, reference["kind"]))
        if collection is None:
            return await self._subresource(namespace, reference)
        owner = collection.get(Key(namespace, reference["name"]))
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            return 0
        above = controller_of(owner)
        if reference["kind"] == "ReplicaSet" and above is not None:
            return await self._deployment(namespace, dict(above), owner)
        return replicas_of(owner)

    async def _deployment(self, namespace: str, above: Object, rs: Object) -> int:
        deployment = self._collections[("apps", "Deployment")].get(Key(namespace, above["name"]))
        same = deployment is not None and deployment["metadata"]["uid"] == above["uid"]
        return replicas_of(deployment) if deployment is not None and same else replicas_of(rs)

    async def _subresource(self, namespace: str, reference: Object) -> int:
        resource = (await discover(self._client)).of_kind(reference["apiVersion"], reference["kind"])
        if resource is None:
            raise ScaleUnknown(
                f"{reference['kind']}.{reference['apiVersion']} does not implement the scale subresource"
            )
        try:
            scale = await self._client.get(resource, reference["name"], namespace, subresource="scale")
        except StatusError as err:
            if is_not_found(err):
                plural = resource.qualified
                raise ScaleUnknown(f"{plural} does not implement the scale subresource") from err
            raise
        return replicas_of(scale)


def replicas_of(obj: Object) -> int:
    """``spec.replicas``; 1 where it is missing."""
    replicas = (obj.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)
