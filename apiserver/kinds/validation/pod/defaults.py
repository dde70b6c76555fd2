"""Defaults of the pod spec and of pod templates (pkg/apis/core/v1/defaults.go and the types' ``+default`` markers).

Objects are changed in place. What a Go round trip always writes (a container's ``resources``) is written here too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Any

from apiserver.kinds.validation.pod.pod_resources import default_pod_level_resources
from kubeling.api import quantity
from kubeling.api.images import parse_image
from kubeling.api.meta import Object

DEFAULT_SCHEDULER = "default-scheduler"
_MODE = {"defaultMode": 0o644}
_VOLUME_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "hostPath": {"type": ""},
    "secret": _MODE,
    "configMap": _MODE,
    "downwardAPI": _MODE,
    "projected": _MODE,
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
_SPEC_DEFAULTS = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "schedulerName": DEFAULT_SCHEDULER,
}
_CONTAINER_DEFAULTS = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_DEFAULTS = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_HTTP_DEFAULTS = {"path": "/", "scheme": "HTTP"}
_TOKEN_SECONDS = 3600


def fill(target: Object, defaults: Mapping[str, Any]) -> None:
    """Sets what is missing, null, empty or zero. Scalars only."""
    for field, value in defaults.items():
        if target.get(field) in (None, "", 0) and target.get(field) is not False:
            target[field] = value


def containers_of(spec: Object) -> Iterator[Object]:
    """Init, regular and ephemeral containers."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def default_pod(pod: Object) -> None:
    """Everything that a Pod gets: the spec's defaults and those that a template does not have."""
    spec = pod.setdefault("spec", {})
    for field in ("containers", "initContainers"):
        for container in spec.get(field) or ():
            _requests_from_limits(container.get("resources") or {})
    default_pod_level_resources(spec)
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    if spec.get("hostNetwork"):
        default_host_ports(spec)
    default_pod_spec(spec)
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    pod.setdefault("status", {})


def default_template(template: Object) -> None:
    """A ``PodTemplateSpec``."""
    template.setdefault("metadata", {})
    default_pod_spec(template.setdefault("spec", {}))


def default_pod_spec(spec: Object) -> None:
    """The defaults that pods and templates share."""
    for field, value in _SPEC_DEFAULTS.items():
        if spec.get(field) in (None, ""):
            spec[field] = value
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    spec.setdefault("containers", None)
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    for volume in spec.get("volumes") or ():
        default_volume(volume)
    for container in containers_of(spec):
        _default_container(container)
    round_resources(spec, "overhead")
    default_requirements(spec.get("resources"))


def default_host_ports(spec: Object) -> None:
    """With host networking a container's ports are the host's."""
    for field in ("containers", "initContainers"):
        for container in spec.get(field) or ():
            for port in container.get("ports") or ():
                if not port.get("hostPort") and port.get("containerPort"):
                    port["hostPort"] = port["containerPort"]


def default_pull_policy(image: str) -> str:
    parsed = parse_image(image)
    return "Always" if parsed is not None and parsed.tag == "latest" else "IfNotPresent"


def default_volume(volume: Object) -> None:
    sources = [field for field in volume if field != "name" and volume[field] is not None]
    if not sources:
        volume["emptyDir"] = {}
    for field in sources:
        if field in _VOLUME_DEFAULTS:
            fill(volume[field], _VOLUME_DEFAULTS[field])
    image = volume.get("image")
    if image is not None and not image.get("pullPolicy"):
        image["pullPolicy"] = default_pull_policy(image.get("reference", ""))
    _default_downward(volume.get("downwardAPI"))
    for source in (volume.get("projected") or {}).get("sources") or ():
        _default_downward(source.get("downwardAPI"))
        token = source.get("serviceAccountToken")
        if token is not None and token.get("expirationSeconds") is None:
            token["expirationSeconds"] = _TOKEN_SECONDS
    claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if claim is not None:
        default_claim_spec(claim.setdefault("spec", {}))
        claim.setdefault("metadata", {})


def default_claim_spec(spec: Object) -> None:
    """A ``PersistentVolumeClaimSpec``, in a claim or a claim template."""
    fill(spec, {"volumeMode": "Filesystem"})
    spec.setdefault("resources", {})
    default_requirements(spec["resources"])


def default_requirements(resources: Object | None) -> None:
    """Quantities of requests and limits are rounded up to thousandths."""
    for field in ("limits", "requests"):
        round_resources(resources or {}, field)


def round_resources(owner: Object, field: str) -> None:
    amounts: Object = owner.get(field) or {}
    for name, text in amounts.items():
        amounts[name] = _rounded(text)


@lru_cache(maxsize=4096)
def _rounded(text: str) -> str:
    amount = quantity.parse(text)
    rounded = amount.value.quantize(Decimal("0.001"), ROUND_CEILING)
    return text if rounded == amount.value else str(quantity.Quantity(rounded, amount.format))


def _requests_from_limits(resources: Object) -> None:
    if resources.get("limits"):
        requests = resources.setdefault("requests", {})
        for name, amount in resources["limits"].items():
            requests.setdefault(name, amount)


def _default_container(container: Object) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = default_pull_policy(container.get("image", ""))
    fill(container, _CONTAINER_DEFAULTS)
    container.setdefault("resources", {})
    default_requirements(container["resources"])
    for port in container.get("ports") or ():
        fill(port, {"protocol": "TCP"})
    for variable in container.get("env") or ():
        _default_variable(variable.get("valueFrom") or {})
    for field in _PROBES:
        if container.get(field) is not None:
            _default_probe(container[field])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict) and hook.get("httpGet") is not None:
            fill(hook["httpGet"], _HTTP_DEFAULTS)


def _default_variable(source: Object) -> None:
    if source.get("fieldRef") is not None:
        fill(source["fieldRef"], {"apiVersion": "v1"})
    if source.get("resourceFieldRef") is not None:
        source["resourceFieldRef"].setdefault("divisor", "0")
    if source.get("fileKeyRef") is not None and source["fileKeyRef"].get("optional") is None:
        source["fileKeyRef"]["optional"] = False


def _default_probe(probe: Object) -> None:
    fill(probe, _PROBE_DEFAULTS)
    if probe.get("httpGet") is not None:
        fill(probe["httpGet"], _HTTP_DEFAULTS)
    if probe.get("grpc") is not None and probe["grpc"].get("service") is None:
        probe["grpc"]["service"] = ""


def _default_downward(source: Object | None) -> None:
    for item in (source or {}).get("items") or ():
        _default_variable(item)
