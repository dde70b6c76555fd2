"""The ``proxy`` subresources of nodes, pods and services.

Source: ResourceLocation of k8s.io/kubernetes/pkg/registry/core/{node,pod,service}.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
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


def port_number(text: str) -> int:
    """Raises 503 for what is no port, as reaching it would."""
    if text.isascii() and text.isdecimal() and int(text) < 1 << 16:
        return int(text)
    why = f"unknown port tcp/{text}" if not text.isdecimal() else f"address {text}: invalid port"
    raise errors.service_unavailable(f"error trying to reach service: dial tcp: {why}")


async def proxy_pod(request: ActionRequest) -> ActionResult:
    target = parse_target(request.info.name, "pod")
    pod = await request.registries.of(PODS).get(target.name, request.info.namespace)
    port = target.port or _first_port(pod)
    address = str((pod.get("status") or {}).get("podIP") or "")
    check_address(address)
    backend = Backend(address, port_number(port or "80"), _tls(target.scheme))
    return ActionResult(response=forward(backend, *rest_of(request)))


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
    """The kubelet unless another port of the node is named."""
    target = parse_target(request.info.name, "node")
    node = await request.registries.of(NODES).get(target.name)
    kubelets: KubeletConnector | None = request.services.kubelets
    if kubelets is None:
        raise errors.service_unavailable("this server is not configured to reach kubelets")
    host, port = kubelets.address(node)
    await check_host(host)
    path, query = rest_of(request)
    if target.port in ("", str(port)):
        return ActionResult(response=kubelets.stream(node, path, query))
    return ActionResult(response=forward(Backend(host, port_number(target.port), _tls(target.scheme)), path, query))


async def check_host(host: str) -> None:
    """Every address that the host has must be one that may be reached (IsProxyableHostname). Raises 400."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        raise errors.bad_request(f"lookup {host}{_name_server()}: no such host") from None
    for *_, address in found:
        check_address(str(address[0]).partition("%")[0])


def _name_server() -> str:
    """`` on ADDRESS:53``, the server that Go's resolver names in its errors; empty where none is configured."""
    with contextlib.suppress(OSError):
        for line in Path("/etc/resolv.conf").read_text().splitlines():
            words = line.split()
            if len(words) > 1 and words[0] == "nameserver":
                return f" on {words[1]}:53"
    return ""
