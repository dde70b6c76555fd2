"""Every kind the server is born with: the tuples of the group folders, joined.

The order is that of the groups in discovery; see ``apiserver.discovery.groups`` for priorities.
"""

from __future__ import annotations

from apiserver.kinds import (
    admissionregistration,
    apiextensions,
    apiregistration,
    apps,
    authentication,
    authorization,
    autoscaling,
    batch,
    certificates,
    coordination,
    core,
    discovery,
    events,
    flowcontrol,
    networking,
    node,
    policy,
    rbac,
    resource,
    scheduling,
    storage,
)
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (
    *core.KINDS,
    *apps.KINDS,
    *batch.KINDS,
    *autoscaling.KINDS,
    *policy.KINDS,
    *networking.KINDS,
    *discovery.KINDS,
    *rbac.KINDS,
    *authentication.KINDS,
    *authorization.KINDS,
    *certificates.KINDS,
    *storage.KINDS,
    *scheduling.KINDS,
    *coordination.KINDS,
    *events.KINDS,
    *node.KINDS,
    *admissionregistration.KINDS,
    *apiextensions.KINDS,
    *apiregistration.KINDS,
    *flowcontrol.KINDS,
    *resource.KINDS,
)
