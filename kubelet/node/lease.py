"""The node's Lease in kube-node-lease: the sign of life that others look at (k8s.io/component-helpers/apimachinery/lease)."""

from __future__ import annotations

import logging

from kubeling.api.errors import StatusError, is_conflict, is_not_found
from kubeling.api.meta import Object, rfc3339_micro, uid_of
from kubeling.api.resources import LEASES, NODES
from kubeling.client.clock import Clock
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client

log = logging.getLogger(__name__)
NAMESPACE = "kube-node-lease"
_RETRY_SECONDS = 0.2
_RENEWALS = 4  # in the time for which a lease holds


class NodeLease:
    """``seconds`` is how long it holds; it is renewed four times as often."""

    def __init__(self, client: Client, clock: Clock, name: str, seconds: int = 40) -> None:
        self._client, self._clock, self._name, self._seconds = client, clock, name, seconds
        self._lease: Object | None = None

    async def keep(self) -> None:
        """For ever. After a failure it is read again, and soon; a node that is gone has none."""
        period = self._seconds / _RENEWALS
        while True:
            pause = period
            try:
                await self.renew()
            except (StatusError, ClientError) as err:
                self._lease = None
                pause = period if is_not_found(err) else _RETRY_SECONDS
                if not is_conflict(err):
                    log.warning("Lease of node %s: %s", self._name, err)
            await self._clock.sleep(pause)

    async def renew(self) -> None:
        """Raises StatusError and ClientError."""
        spec = {
            "holderIdentity": self._name,
            "leaseDurationSeconds": self._seconds,
            "renewTime": rfc3339_micro(self._clock.now()),
        }
        if self._lease is None:
            try:
                self._lease = await self._client.get(LEASES, self._name, NAMESPACE)
            except StatusError as err:
                if not is_not_found(err):
                    raise
                self._lease = await self._client.create(LEASES, await self._new(spec))
                return
        self._lease = await self._client.update(LEASES, {**self._lease, "spec": {**self._lease["spec"], **spec}})

    async def _new(self, spec: Object) -> Object:
        """It goes with its node: without one there is none."""
        node = await self._client.get(NODES, self._name)
        owner = {"apiVersion": "v1", "kind": "Node", "name": self._name, "uid": uid_of(node)}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": NAMESPACE, "ownerReferences": [owner]},
            "spec": spec,
        }
