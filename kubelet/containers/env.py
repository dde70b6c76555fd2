"""A container's environment: services, ``envFrom``, ``env``, in the order in which later ones win."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubelet.containers.downward import Addresses, DownwardError, field_value, resource_value
from kubelet.containers.expand import expand
from kubelet.containers.failure import ConfigError
from kubelet.containers.keyfile import file_key
from kubelet.pods import spec as podspec
from kubeling.api.meta import Object, name_of, namespace_of


@dataclass(frozen=True, slots=True)
class Lookups:
    """Objects that the environment refers to, by name in the pod's namespace; None where there is no such object.

    ``files``: folders of the pod's volumes, by their names.
    """

    config_maps: Mapping[str, Object | None] = field(default_factory=dict)
    secrets: Mapping[str, Object | None] = field(default_factory=dict)
    services: Iterable[Object] = ()
    allocatable: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


def references(container: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and of the Secrets that a container's environment needs."""
    config_maps, secrets = set(), set()
    for source in container.get("envFrom") or ():
        if ref := source.get("configMapRef"):
            config_maps.add(ref.get("name", ""))
        if ref := source.get("secretRef"):
            secrets.add(ref.get("name", ""))
    for variable in container.get("env") or ():
        value = variable.get("valueFrom") or {}
        if ref := value.get("configMapKeyRef"):
            config_maps.add(ref.get("name", ""))
        if ref := value.get("secretKeyRef"):
            secrets.add(ref.get("name", ""))
    return config_maps, secrets


def text_of(encoded: str) -> str:
    """The text of a Secret's or ConfigMap's base64 value."""
    return base64.b64decode(encoded).decode("utf-8", "surrogateescape")


def service_environment(pod: Object, services: Iterable[Object]) -> dict[str, str]:
    """Variables of the services with a cluster IP: the pod's namespace's, and always ``kubernetes`` in ``default``."""
    links = podspec.spec_of(pod).get("enableServiceLinks", True)
    chosen: dict[str, Object] = {}
    for service in sorted(services, key=lambda s: str((s.get("metadata") or {}).get("creationTimestamp") or "")):
        name, namespace = name_of(service), namespace_of(service)
        ip = (service.get("spec") or {}).get("clusterIP")
        if not ip or ip == "None" or not service["spec"].get("ports"):
            continue
        if namespace == "default" and name == "kubernetes":
            chosen.setdefault(name, service)
        elif namespace == namespace_of(pod) and links:
            chosen[name] = service
    result: dict[str, str] = {}
    for name, service in chosen.items():
        result |= _service_variables(name, service["spec"])
    return result


def _service_variables(name: str, spec: Mapping[str, Any]) -> dict[str, str]:
    prefix, ip, ports = name.upper().replace("-", "_"), spec["clusterIP"], spec["ports"]
    host = f"[{ip}]" if ":" in ip else ip
    result = {f"{prefix}_SERVICE_HOST": ip, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            result[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    for i, port in enumerate(ports):
        protocol = port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{host}:{port['port']}"
        base = f"{prefix}_PORT_{port['port']}_{protocol}"
        if i == 0:
            result[f"{prefix}_PORT"] = url
        result |= {base: url, f"{base}_PROTO": protocol.lower(), f"{base}_PORT": str(port["port"]), f"{base}_ADDR": ip}
    return result


def _from_objects(pod: Object, container: Mapping[str, Any], lookups: Lookups) -> dict[str, str]:
    result: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        for kind, reference, objects in (
            ("configmap", source.get("configMapRef"), lookups.config_maps),
            ("secret", source.get("secretRef"), lookups.secrets),
        ):
            if reference is None:
                continue
            found = objects.get(reference.get("name", ""))
            if found is None:
                if reference.get("optional"):
                    continue
                raise ConfigError(f'{kind} "{reference.get("name", "")}" not found')
            values = found.get("data") or {}
            for key, value in values.items():
                name = (source.get("prefix") or "") + key
                if "=" not in name:
                    result[name] = text_of(value) if kind == "secret" else value
    return result


def _keyed(pod: Object, kind: str, reference: Mapping[str, Any], objects: Mapping[str, Object | None]) -> str | None:
    """The value of a key reference; None when it is optional and not there."""
    name, key, optional = reference.get("name", ""), reference["key"], reference.get("optional")
    found = objects.get(name)
    if found is None:
        if optional:
            return None
        raise ConfigError(f'{kind.lower()} "{name}" not found')
    data = found.get("data") or {}
    if key not in data:
        if optional:
            return None
        raise ConfigError(f"couldn't find key {key} in {kind} {namespace_of(pod)}/{name}")
    return text_of(data[key]) if kind == "Secret" else str(data[key])


def environment(pod: Object, container: Mapping[str, Any], lookups: Lookups, addresses: Addresses) -> dict[str, str]:
    """All variables. Raises ConfigError."""
    services = service_environment(pod, lookups.services)
    result = _from_objects(pod, container, lookups)
    for variable in container.get("env") or ():
        value = _variable(pod, container, variable, {**services, **result}, lookups, addresses)
        if value is not None:
            result[variable["name"]] = value
    return {**services, **result}


def _variable(
    pod: Object,
    container: Mapping[str, Any],
    variable: Mapping[str, Any],
    known: Mapping[str, str],
    lookups: Lookups,
    addresses: Addresses,
) -> str | None:
    source = variable.get("valueFrom") or {}
    try:
        if ref := source.get("fieldRef"):
            return field_value(pod, ref.get("fieldPath", ""), addresses)
        if ref := source.get("resourceFieldRef"):
            return resource_value(pod, container, ref, lookups.allocatable)
    except DownwardError as err:
        raise ConfigError(str(err)) from err
    if ref := source.get("configMapKeyRef"):
        return _keyed(pod, "ConfigMap", ref, lookups.config_maps)
    if ref := source.get("secretKeyRef"):
        return _keyed(pod, "Secret", ref, lookups.secrets)
    if ref := source.get("fileKeyRef"):
        return file_key(ref, lookups.files)
    if source:
        raise ConfigError(f"environment variable {variable['name']}: source {', '.join(source)} is not supported")
    return expand(variable.get("value") or "", known)
