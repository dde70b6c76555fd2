"""The DNS server's own Service, ``kube-system/kube-dns``, and the EndpointSlice that leads to this process."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from kubeling.api.errors import StatusError, is_already_exists, is_not_found
from kubeling.api.meta import Object, labels_of, uid_of
from kubeling.api.resource import Resource
from kubeling.api.resources import ENDPOINT_SLICES, SERVICES
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client

log = logging.getLogger(__name__)

NAMESPACE, NAME, SLICE = "kube-system", "kube-dns", "kube-dns-clusterdns"
MANAGER = "clusterdns.kubeling"
_LABELS = {
    "k8s-app": "kube-dns",
    "kubernetes.io/cluster-service": "true",
    "kubernetes.io/name": "CoreDNS",
}
CHECK_SECONDS = 10.0
RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process answers, and the cluster IP that pods are told. ``metrics_port`` is 0 without metrics."""

    cluster_ip: str
    address: str
    port: int
    metrics_port: int = 0


def wanted_service(place: Place) -> Object:
    """Without a selector: no controller may replace the endpoints."""
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
    ]
    annotations = {"prometheus.io/port": "9153", "prometheus.io/scrape": "true"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": dict(_LABELS), "annotations": annotations},
        "spec": {"type": "ClusterIP", "clusterIP": place.cluster_ip, "ports": ports},
    }


def wanted_slice(place: Place, service: Object) -> Object:
    """The slice of the service that names our address; goes when the service goes."""
    ports = [
        {"name": "dns", "port": place.port, "protocol": "UDP"},
        {"name": "dns-tcp", "port": place.port, "protocol": "TCP"},
    ]
    if place.metrics_port:
        ports.append({"name": "metrics", "port": place.metrics_port, "protocol": "TCP"})
    owner = {"apiVersion": "v1", "kind": "Service", "name": NAME, "uid": uid_of(service)}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": SLICE,
            "namespace": NAMESPACE,
            "labels": {
                "kubernetes.io/service-name": NAME,
                "endpointslice.kubernetes.io/managed-by": MANAGER,
                "k8s-app": "kube-dns",
            },
            "ownerReferences": [owner],
        },
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [place.address], "conditions": {"ready": True, "serving": True, "terminating": False}}
        ],
        "ports": ports,
    }


def differs(found: Object, wanted: Object) -> bool:
    """Whether the slice says anything else than it should."""
    same = all(found.get(part) == wanted[part] for part in ("endpoints", "ports"))
    owners = [o.get("uid") for o in found["metadata"].get("ownerReferences") or ()]
    expected = [o["uid"] for o in wanted["metadata"]["ownerReferences"]]
    return not same or owners != expected or not wanted["metadata"]["labels"].items() <= labels_of(found).items()


class OwnService:
    """Keeps the Service and the slice; leaves both alone when the Service selects pods (another DNS server runs in the cluster)."""

    def __init__(self, client: Client, place: Place) -> None:
        self._client = client
        self._place = place

    async def run(self) -> None:
        """Checks for ever; a failure (the namespace is not there yet, the server is away) is tried again soon."""
        reported = ""
        while True:
            try:
                await self.ensure()
                reported, wait = "", CHECK_SECONDS
            except (StatusError, ClientError) as err:
                level = logging.DEBUG if str(err) == reported or is_not_found(err) else logging.WARNING
                log.log(level, "cannot keep the Service %s/%s: %s; trying again", NAMESPACE, NAME, err)
                reported, wait = str(err), RETRY_SECONDS
            await asyncio.sleep(wait)

    async def ensure(self) -> None:
        """One look. Raises StatusError and ClientError."""
        service = await self._get(SERVICES, NAME)
        if service is None:
            service = await self._created(SERVICES, wanted_service(self._place))
        if service is None or (service.get("spec") or {}).get("selector"):
            return
        wanted = wanted_slice(self._place, service)
        found = await self._get(ENDPOINT_SLICES, SLICE)
        if found is None:
            await self._created(ENDPOINT_SLICES, wanted)
        elif differs(found, wanted):
            metadata = {**found["metadata"], **{k: wanted["metadata"][k] for k in ("labels", "ownerReferences")}}
            await self._client.update(ENDPOINT_SLICES, {**wanted, "metadata": metadata})

    async def _get(self, resource: Resource, name: str) -> Object | None:
        try:
            return await self._client.get(resource, name, NAMESPACE)
        except StatusError as err:
            if is_not_found(err):
                return None
            raise

    async def _created(self, resource: Resource, obj: Object) -> Object | None:
        """The new object; None when somebody else was faster (the next look sees theirs)."""
        try:
            return await self._client.create(resource, obj, NAMESPACE)
        except StatusError as err:
            if is_already_exists(err):
                return None
            raise
