"""Deleting everything in a namespace, whatever discovery shows: pods first, the rest once they are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from controllers.namespace.conditions import Remains
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, name_of
from kubeling.api.resource import Resource
from kubeling.client.discovery import discover
from kubeling.client.rest import Client

FINALIZER_SECONDS = 15  # how long upstream gives finalizers before it looks again


async def delete_content(client: Client, namespace: str, seconds: float) -> Remains:
    """One round of deletion, so many seconds after the namespace's own; answers what is left."""
    found = await discover(client)
    remains = Remains(discovery=found.failures)
    resources = [r for r in found.resources if r.namespaced and "delete" in r.verbs and "list" in r.verbs]
    pods = [r for r in resources if (r.group, r.plural) == ("", "pods")]
    await _delete_all(client, namespace, pods, remains, seconds)
    if not remains.instances and not remains.failures:
        await _delete_all(client, namespace, [r for r in resources if r not in pods], remains, seconds)
    return remains


async def _delete_all(
    client: Client, namespace: str, resources: Iterable[Resource], remains: Remains, seconds: float
) -> None:
    await asyncio.gather(*(_delete(client, namespace, resource, remains, seconds) for resource in resources))


async def _delete(client: Client, namespace: str, resource: Resource, remains: Remains, seconds: float) -> None:
    try:
        items = await client.list_items(resource, namespace)
        if not items:
            return
        await _delete_items(client, namespace, resource, items)
        left = await client.list_items(resource, namespace)
    except StatusError as err:
        if err.code not in (404, 405):  # no longer served, or served without these verbs
            remains.failures.append(str(err))
        return
    if not left:
        return
    remains.instances[f"{resource.plural}.{resource.group}"] += len(left)
    finalizers = [name for item in left for name in item["metadata"].get("finalizers") or ()]
    remains.finalizers.update(finalizers)
    estimate = _grace(items) if (resource.group, resource.plural) == ("", "pods") else 0
    if seconds >= estimate:
        estimate = FINALIZER_SECONDS if finalizers else 0
    if not estimate:
        gvr = f"{resource.group}/{resource.version}, Resource={resource.plural}"
        remains.failures.append(f"unexpected items still remain in namespace: {namespace} for gvr: {gvr}")
    remains.wait_seconds = max(remains.wait_seconds, estimate)


async def _delete_items(client: Client, namespace: str, resource: Resource, items: list[Object]) -> None:
    if "deletecollection" in resource.verbs:
        await client.delete_collection(resource, namespace, propagation_policy="Background")
        return
    for item in items:
        try:
            await client.delete(resource, name_of(item), namespace, propagation_policy="Background")
        except StatusError as err:
            if err.code != 404:
                raise


def _grace(pods: Iterable[Object]) -> int:
    """Seconds within which all of these pods have ended, as their specs say."""
    running = (p for p in pods if (p.get("status") or {}).get("phase") not in ("Succeeded", "Failed"))
    return max((int(p["spec"].get("terminationGracePeriodSeconds") or 0) for p in running), default=0)
