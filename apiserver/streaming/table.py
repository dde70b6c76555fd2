"""Which connecting subresources which kinds have; joined to their declarations when the server registers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from apiserver.registry.actions import Handler
from apiserver.registry.kind import Kind
from apiserver.streaming import pods, proxy

CONNECTIONS: Mapping[str, Mapping[str, Handler]] = {
    "pods": {
        "log": pods.log,
        "exec": pods.exec_,
        "attach": pods.attach,
        "portforward": pods.port_forward,
        "proxy": proxy.proxy_pod,
    },
    "services": {"proxy": proxy.proxy_service},
    "nodes": {"proxy": proxy.proxy_node},
}


def with_connections(kind: Kind) -> Kind:
    """The kind with its connecting subresources; those that it declares itself win."""
    found = CONNECTIONS.get(kind.resource.qualified)
    return replace(kind, actions={**found, **kind.actions}) if found else kind
