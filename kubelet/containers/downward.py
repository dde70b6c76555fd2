"""The downward API: fields of the pod and resources of its containers as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING
from typing import Any

from kubelet.pods import spec as podspec
from kubeling.api import quantity
from kubeling.api.meta import Object, annotations_of, labels_of, name_of, namespace_of, uid_of

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")
_RESOURCE = re.compile(r"(limits|requests)\.(.+)")


class DownwardError(Exception):
    """A field or resource that cannot be told; the message is upstream's."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What is known only once the sandbox runs."""

    pod_ip: str = ""
    host_ip: str = ""


def _quoted(values: Mapping[str, str]) -> str:
    """A line ``key="value"`` each, sorted, escaped as Go quotes strings."""

    def escape(text: str) -> str:
        for raw, shown in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
            text = text.replace(raw, shown)
        return text

    return "\n".join(f'{k}="{escape(v)}"' for k, v in sorted(values.items()))


def field_value(pod: Object, path: str, addresses: Addresses) -> str:
    """The value of a ``fieldRef``. Raises DownwardError."""
    if match := _SUBSCRIPT.fullmatch(path):
        values = labels_of(pod) if match.group(1) == "labels" else annotations_of(pod)
        return values.get(match.group(2), "")
    if path == "metadata.labels":
        return _quoted(labels_of(pod))
    if path == "metadata.annotations":
        return _quoted(annotations_of(pod))
    spec = podspec.spec_of(pod)
    values = {
        "metadata.name": name_of(pod),
        "metadata.namespace": namespace_of(pod),
        "metadata.uid": uid_of(pod),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": addresses.host_ip,
        "status.hostIPs": addresses.host_ip,
        "status.podIP": addresses.pod_ip,
        "status.podIPs": addresses.pod_ip,
    }
    if path not in values:
        raise DownwardError(f"unsupported fieldPath: {path}")
    return str(values[path])


def resource_value(
    pod: Object, container: Mapping[str, Any], reference: Mapping[str, Any], allocatable: Mapping[str, str]
) -> str:
    """The value of a ``resourceFieldRef``; for a missing limit stands the pod's, then the node's. Raises DownwardError."""
    name = reference.get("containerName")
    if name:
        found = podspec.container_named(pod, name)
        if found is None:
            raise DownwardError(f"container {name} not found")
        container = found
    match = _RESOURCE.fullmatch(reference.get("resource", ""))
    if match is None:
        raise DownwardError(f"unsupported container resource : {reference.get('resource', '')}")
    kind, resource = match.groups()
    own = (container.get("resources") or {}).get(kind) or {}
    value = quantity.parse(own.get(resource) or "0").value
    if not value and kind == "limits" and resource in ("cpu", "memory", "ephemeral-storage"):
        of_pod = (podspec.spec_of(pod).get("resources") or {}).get("limits") or {}
        value = quantity.parse(of_pod.get(resource) or allocatable.get(resource) or "0").value
    divisor = quantity.parse(reference.get("divisor") or "0").value or quantity.parse("1").value
    return str(int((value / divisor).to_integral_value(ROUND_CEILING)))
