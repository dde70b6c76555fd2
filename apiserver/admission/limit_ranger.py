"""LimitRanger: defaults, minima, maxima and ratios that a namespace's LimitRanges set for pods, containers and claims.

Source: documentation "Limit Ranges"; wording of k8s.io/kubernetes/plugin/pkg/admission/limitranger.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from apiserver.admission.common import refused
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api.meta import Object
from kubeling.api.podresources import Resources, of_container, pod_limits, pod_requests, resources
from kubeling.api.quantity import Quantity
from kubeling.api.resources import LIMIT_RANGES

ANNOTATION = "kubernetes.io/limit-ranger"
_NO_QUANTITY = Quantity(Decimal(0))


class LimitRanger(NoAdmission):
    name = "LimitRanger"
    resources = (("", "pods"), ("", "persistentvolumeclaims"))

    def handles(self, attributes: AdmissionAttributes) -> bool:
        resource = attributes.resource
        if resource.group or attributes.subresource or attributes.obj is None:
            return False
        if resource.plural == "pods":
            return attributes.operation == "CREATE"  # an update cannot change what is limited
        return resource.plural == "persistentvolumeclaims" and attributes.operation in ("CREATE", "UPDATE")

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        if attributes.resource.plural != "pods":
            return
        for limit_range in _ranges(attributes):
            set_defaults(attributes.obj or {}, limit_range)

    async def validate(self, attributes: AdmissionAttributes) -> None:
        pod = attributes.resource.plural == "pods"
        for limit_range in _ranges(attributes):
            check = _pod_problems if pod else _claim_problems
            problems = list(dict.fromkeys(check(attributes.obj or {}, limit_range)))
            if problems:
                text = problems[0] if len(problems) == 1 else "[" + ", ".join(problems) + "]"
                raise refused(attributes, text)


def _ranges(attributes: AdmissionAttributes) -> list[Object]:
    return attributes.registries.of(LIMIT_RANGES).cached_list(attributes.namespace)


def _limits(limit_range: Object) -> list[Object]:
    return list((limit_range.get("spec") or {}).get("limits") or ())


def set_defaults(pod: Object, limit_range: Object) -> None:
    """Fills in the limits and requests that containers leave out, and says so in an annotation; changes the pod."""
    defaults: Object = {"limits": {}, "requests": {}}
    for limit in _limits(limit_range):
        if limit.get("type") == "Container":
            defaults["limits"].update(limit.get("default") or {})
            defaults["requests"].update(limit.get("defaultRequest") or {})
    notes: list[str] = []
    spec = pod.get("spec") or {}
    for field, shown in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(field) or ():
            for kind, word in (("requests", "request"), ("limits", "limit")):
                added = _merge(container, kind, defaults[kind])
                if added:
                    notes.append(f"{', '.join(sorted(added))} {word} for {shown} {container.get('name', '')}")
    if notes:
        metadata = pod.setdefault("metadata", {})
        text = "LimitRanger plugin set: " + "; ".join(notes)
        metadata["annotations"] = {**(metadata.get("annotations") or {}), ANNOTATION: text}


def _merge(container: Object, kind: str, defaults: Object) -> list[str]:
    present = (container.get("resources") or {}).get(kind) or {}
    added = {name: value for name, value in defaults.items() if name not in present}
    if added:
        container["resources"] = {**(container.get("resources") or {}), kind: {**present, **added}}
    return list(added)


def _pod_problems(pod: Object, limit_range: Object) -> Iterator[str]:
    spec = pod.get("spec") or {}
    for limit in _limits(limit_range):
        if limit.get("type") == "Pod":
            yield from _problems(limit, pod_requests(pod), pod_limits(pod))
        elif limit.get("type") == "Container":
            for field in ("containers", "initContainers"):
                for container in spec.get(field) or ():
                    yield from _problems(limit, of_container(container, "requests"), of_container(container, "limits"))


def _claim_problems(claim: Object, limit_range: Object) -> Iterator[str]:
    requests = resources(((claim.get("spec") or {}).get("resources") or {}).get("requests"))
    for limit in _limits(limit_range):
        if limit.get("type") != "PersistentVolumeClaim":
            continue
        for name, least in sorted(resources(limit.get("min")).items()):
            yield from _too_little(name, limit["type"], least, requests, {})
        for name, most in sorted(resources(limit.get("max")).items()):
            about = f"maximum {name} usage per {limit['type']} is {most}"
            if name not in requests:
                yield f"{about}.  No request is specified"
            elif requests[name].value > most.value:
                yield f"{about}, but request is {requests[name]}"


def _problems(limit: Object, requests: Resources, limits: Resources) -> Iterator[str]:
    kind = limit["type"]
    for name, least in sorted(resources(limit.get("min")).items()):
        yield from _too_little(name, kind, least, requests, limits)
    for name, most in sorted(resources(limit.get("max")).items()):
        yield from _too_much(name, kind, most, requests, limits)
    for name, ratio in sorted(resources(limit.get("maxLimitRequestRatio")).items()):
        yield from _too_wide(name, kind, ratio, requests, limits)


def _too_little(name: str, kind: str, least: Quantity, requests: Resources, limits: Resources) -> Iterator[str]:
    about = f"minimum {name} usage per {kind} is {least}"
    if name not in requests:
        yield f"{about}.  No request is specified"
    elif requests[name].value < least.value:
        yield f"{about}, but request is {requests[name]}"
    elif name in limits and limits[name].value < least.value:
        yield f"{about}, but limit is {limits[name]}"


def _too_much(name: str, kind: str, most: Quantity, requests: Resources, limits: Resources) -> Iterator[str]:
    about = f"maximum {name} usage per {kind} is {most}"
    if name not in limits:
        yield f"{about}.  No limit is specified"
    elif limits[name].value > most.value:
        yield f"{about}, but limit is {limits[name]}"
    elif name in requests and requests[name].value > most.value:
        yield f"{about}, but request is {requests[name]}"


def _too_wide(name: str, kind: str, ratio: Quantity, requests: Resources, limits: Resources) -> Iterator[str]:
    about = f"{name} max limit to request ratio per {kind} is {ratio}"
    request, limit = requests.get(name, _NO_QUANTITY).value, limits.get(name, _NO_QUANTITY).value
    if not request:
        yield f"{about}, but no request is specified or request is 0"
    elif not limit:
        yield f"{about}, but no limit is specified or limit is 0"
    elif limit / request > ratio.value:
        yield f"{about}, but provided ratio is {float(limit / request):.6f}"
