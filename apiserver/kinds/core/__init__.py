"""Kinds of the core group: one module a kind, in the order of discovery."""

from __future__ import annotations

from apiserver.kinds.core.componentstatus import COMPONENT_STATUS
from apiserver.kinds.core.configmap import CONFIG_MAP
from apiserver.kinds.core.endpoints import ENDPOINTS
from apiserver.kinds.core.event import EVENT
from apiserver.kinds.core.limitrange import LIMIT_RANGE
from apiserver.kinds.core.namespace import NAMESPACE
from apiserver.kinds.core.node import NODE
from apiserver.kinds.core.persistentvolume import PERSISTENT_VOLUME
from apiserver.kinds.core.persistentvolumeclaim import PERSISTENT_VOLUME_CLAIM
from apiserver.kinds.core.pod import POD
from apiserver.kinds.core.pod.binding import BINDING
from apiserver.kinds.core.podtemplate import POD_TEMPLATE
from apiserver.kinds.core.replicationcontroller import REPLICATION_CONTROLLER
from apiserver.kinds.core.resourcequota import RESOURCE_QUOTA
from apiserver.kinds.core.secret import SECRET
from apiserver.kinds.core.service import SERVICE
from apiserver.kinds.core.serviceaccount import SERVICE_ACCOUNT
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (
    BINDING,
    COMPONENT_STATUS,
    CONFIG_MAP,
    ENDPOINTS,
    EVENT,
    LIMIT_RANGE,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    PERSISTENT_VOLUME,
    POD,
    POD_TEMPLATE,
    REPLICATION_CONTROLLER,
    RESOURCE_QUOTA,
    SECRET,
    SERVICE_ACCOUNT,
    SERVICE,
)
