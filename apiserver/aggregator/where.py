"""Where the server behind an APIService is: pure, from the Service and its Endpoints.

Source: kube-aggregator's service resolver (routing to endpoints) and availability controller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kubeling.api.meta import Object

Find = Callable[[str, str], Object | None]
"""An object by name and namespace."""


class Unavailable(Exception):
    """There is nowhere to send requests to. ``reason`` is that of the condition, the text its message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Place:
    """``name`` is what the server's certificate must be for."""

    host: str
    port: int
    name: str


def places_of(api_service: Object, service: Find, endpoints: Find) -> list[Place]:
    """All that may be asked. Raises Unavailable, with upstream's texts."""
    reference = api_service["spec"]["service"]
    name, namespace, port = reference.get("name", ""), reference.get("namespace", ""), reference.get("port", 443)
    found = service(name, namespace)
    where = f'service/{name} in "{namespace}"'
    if found is None:
        raise Unavailable("ServiceNotFound", f"{where} is not present")
    server_name = f"{name}.{namespace}.svc"
    spec = found["spec"]
    if spec.get("type") == "ExternalName":
        return [Place(spec["externalName"], port, server_name)]
    listening = next((p for p in spec.get("ports") or () if p.get("port") == port), None)
    if listening is None:
        raise Unavailable("ServicePortError", f"{where} is not listening on port {port}")
    known = endpoints(name, namespace)
    if known is None:
        raise Unavailable("EndpointsNotFound", f"cannot find endpointslices for {where}")
    port_name = listening.get("name") or ""
    places = [Place(ip, number, server_name) for ip, number in _addresses(known, port_name)]
    if not places:
        text = f'endpointslices for {where} have no addresses with port name "{port_name}"'
        raise Unavailable("MissingEndpoints", text)
    return places


def _addresses(endpoints: Object, port_name: str) -> Iterable[tuple[str, int]]:
    for subset in endpoints.get("subsets") or ():
        for port in subset.get("ports") or ():
            if (port.get("name") or "") == port_name:
                yield from ((address["ip"], port["port"]) for address in subset.get("addresses") or ())


def resources_as_discovered(listed: Object) -> list[Object]:
    """The resources of an APIResourceList in the form of aggregated discovery; subresources may come without their parent."""
    group, _, version = listed.get("groupVersion", "").rpartition("/")
    found: dict[str, Object] = {}
    for entry in listed.get("resources") or ():
        name, _, subresource = entry["name"].partition("/")
        kind = {
            "group": entry.get("group") or group,
            "version": entry.get("version") or version,
            "kind": entry.get("kind", ""),
        }
        parent = found.setdefault(name, {"resource": name, "scope": "Cluster", "singularResource": "", "verbs": []})
        if entry.get("namespaced"):
            parent["scope"] = "Namespaced"
        if subresource:
            made = {"subresource": subresource, "responseKind": kind, "verbs": entry.get("verbs") or []}
            parent.setdefault("subresources", []).append(made)
            continue
        parent |= {
            "responseKind": kind,
            "singularResource": entry.get("singularName", ""),
            "verbs": entry.get("verbs") or [],
        }
        parent |= {field: entry[field] for field in ("shortNames", "categories") if entry.get(field)}
    return list(found.values())
