"""The ``proxy`` subresources of nodes, pods and services.

Source: ResourceLocation of k8s.io/kubernetes/pkg/registry/core/{node,pod,service}.
"""

from __future__ import annotations

import ipaddress
import random
import ssl
from dataclasses import dataclass
from urllib.parse import urlencode

from apiserver.registry.actions import ActionRequest, ActionResult, KubeletConnector
from apiserver.streaming.tunnel import Backend, forward
from kubeling.api import errors
from kubeling.api.meta import Object
from kubeling.api.resources import ENDPOINTS, NODES, PODS, SERVICES


@dataclass(frozen=True, slots=True)
class Target:
    """``[https:]name[:port]`` taken apart."""

    scheme: str
    name: str
    port: str


def parse_target(text: str, what: str) -> Target:
    """Raises 400."""
    parts = text.split(":")
    if len(parts) == 1:
        return Target("http", parts[0], "")
    if len(parts) == 2:
        return Target("http", parts[0], parts[1])
    if len(parts) == 3 and parts[0] in ("", "http", "https"):
        return Target(parts[0] or "http", parts[1], parts[2])
    raise errors.bad_request(f'invalid {what} request "{text}"')


def rest_of(request: ActionRequest) -> tuple[str, str]:
    """Path and query behind ``proxy``."""
    path = "/" + "/".join(request.info.parts[2:])
    if request.info.path.endswith("/") and not path.endswith("/"):
        path += "/"
    return path, urlencode([(name, value) for name, values in request.query.items() for value in values])


def _tls(scheme: str) -> ssl.SSLContext | None:
    """Nobody vouches for the certificates of pods."""
    if scheme != "https":
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def check_address(address: str) -> None:
    """Neither this machine nor anything link-local may be reached through the server. Raises 400."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        raise errors.bad_request("address not allowed") from None
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        raise errors.bad_request("address not allowed")


async def proxy_pod(request: ActionRequest) -> ActionResult:
    target = parse_target(request.info.name, "pod")
    pod = await request.registries.of(PODS).get(target.name, request.info.namespace)
    port = target.port or _first_port(pod)
    address = str((pod.get("status") or {}).get("podIP") or "")
    check_address(address)
    return ActionResult(response=forward(Backend(address, int(port or 80), _tls(target.scheme)), *rest_of(request)))


def _first_port(pod: Object) -> str:
    ports = [p["containerPort"] for c in pod["spec"].get("containers") or () for p in c.get("ports") or ()]
    return str(ports[0]) if ports else ""


async def proxy_service(request: ActionRequest) -> ActionResult:
    target = parse_target(request.info.name, "service")
    service = await request.registries.of(SERVICES).get(target.name, request.info.namespace)
    wanted = _service_port(service, target.port)
    endpoints = request.registries.of(ENDPOINTS).cached(target.name, request.info.namespace) or {}
    found = [
        (address["ip"], port["port"])
        for subset in endpoints.get("subsets") or ()
        for port in subset.get("ports") or ()
        if (port.get("name") or "") == wanted
        for address in subset.get("addresses") or ()
    ]
    if not found:
        raise errors.service_unavailable(f'no endpoints available for service "{request.info.name}"')
    address, port = random.choice(found)
    check_address(address)
    return ActionResult(response=forward(Backend(address, port, _tls(target.scheme)), *rest_of(request)))


def _service_port(service: Object, wanted: str) -> str:
    """The name of the port that is meant; a number stands for the port that has it."""
    ports = (service.get("spec") or {}).get("ports") or []
    if not wanted and len(ports) == 1:
        return str(ports[0].get("name") or "")
    for port in ports:
        if wanted and wanted in (port.get("name"), str(port.get("port"))):
            return str(port.get("name") or "")
    if wanted:
        raise errors.service_unavailable(
            f'no service port "{wanted}" found for service "{service["metadata"]["name"]}"'
        )
    return ""


async def proxy_node(request: ActionRequest) -> ActionResult:
    target = parse_target(request.info.name, "node")
    node = await request.registries.of(NODES).get(target.name)
    kubelets: KubeletConnector | None = request.services.kubelets
    if kubelets is None:
        raise errors.service_unavailable("this server is not configured to reach kubelets")
    path, query = rest_of(request)
    return ActionResult(response=kubelets.stream(node, path, query))
