"""Whether a pod that was bound to this node may run here (pkg/kubelet/lifecycle/predicate.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubelet.node.status import Pressure
from kubelet.pods import spec as podspec
from kubelet.pods.phase import is_terminal
from kubelet.pods.qos import BEST_EFFORT, qos_class
from kubelet.pods.requests import pod_requests
from kubeling.api import quantity
from kubeling.api.meta import Object, labels_of
from kubeling.api.placement import selects_node, tolerates, untolerated

Refusal = tuple[str, str]
# judged before resources of other names
_FIRST = ("pods", "cpu", "memory", "ephemeral-storage")
_OS_LABEL = "kubernetes.io/os"


def admit_under_pressure(pod: Object, pressure: Pressure) -> Refusal | None:
    """Short of memory, it takes pods with requests and those that put up with that; short of disk or PIDs, critical ones only."""
    if podspec.is_critical(pod) or pressure == Pressure():
        return None
    if pressure == Pressure(memory=True) and (qos_class(pod) != BEST_EFFORT or _tolerates_memory_pressure(pod)):
        return None
    named = (("MemoryPressure", pressure.memory), ("DiskPressure", pressure.disk), ("PIDPressure", pressure.pid))
    conditions = " ".join(name for name, holds in named if holds)
    return "Evicted", f"The node had condition: [{conditions}]. "


def _tolerates_memory_pressure(pod: Object) -> bool:
    taint = {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}
    return any(tolerates(toleration, taint) for toleration in podspec.spec_of(pod).get("tolerations") or ())


def admit(pod: Object, others: Iterable[Object], node: Object, allocatable: Mapping[str, str]) -> Refusal | None:
    """A reason and a message with upstream's words, or None. For critical pods others make room: see ``kubelet.node.preemption``.

    Of several reasons the first is told: resources, affinity, ports, taints.
    """
    spec = podspec.spec_of(pod)
    if labels_of(pod).get(_OS_LABEL, "linux") != "linux":
        return (
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        )
    system = (spec.get("os") or {}).get("name")
    if system and system != "linux":
        return "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
    running = not_ended(others)
    if not podspec.is_critical(pod) and (short := shortages(pod, running, allocatable)):
        return short[0].refusal
    if labels_of(node) and not podspec.is_static(pod) and not selects_node(spec, node):
        return _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    if _port_taken(pod, running):
        return _predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    if not podspec.is_static(pod) and _repelled(pod, node):
        return _predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")
    return None


def not_ended(pods: Iterable[Object]) -> list[Object]:
    return [p for p in pods if not is_terminal(p.get("status") or {})]


def _predicate(name: str, why: str) -> Refusal:
    return name, f"Predicate {name} failed: {why}"


def _repelled(pod: Object, node: Object) -> bool:
    """Only a taint of effect NoExecute keeps a pod off that was bound already."""
    tolerations = podspec.spec_of(pod).get("tolerations") or ()
    taints = (node.get("spec") or {}).get("taints") or ()
    return bool(untolerated(taints, tolerations, ("NoExecute",)))


def _host_ports(pod: Object) -> set[tuple[str, str, int]]:
    return {
        (p.get("hostIP") or "0.0.0.0", p.get("protocol") or "TCP", p["hostPort"])
        for c in [*podspec.containers(pod), *filter(podspec.is_sidecar, podspec.init_containers(pod))]
        for p in c.get("ports") or ()
        if p.get("hostPort")
    }


def _port_taken(pod: Object, running: Iterable[Object]) -> bool:
    taken = [port for other in running for port in _host_ports(other)]
    return any(
        protocol == other_protocol and port == other_port and (ip == other_ip or "0.0.0.0" in (ip, other_ip))
        for ip, protocol, port in _host_ports(pod)
        for other_ip, other_protocol, other_port in taken
    )


def _is_extended(name: str) -> bool:
    """Of a domain that is not Kubernetes' own (k8s.io/kubernetes/pkg/apis/core/v1/helper), or of a device class."""
    domain, _, rest = name.partition("/")
    if domain == "deviceclass.resource.kubernetes.io":
        return bool(rest)
    return bool(rest) and domain != "kubernetes.io" and not domain.endswith(".kubernetes.io")


def _shown(name: str, amount: quantity.Quantity) -> int:
    return amount.milli() if name == "cpu" else amount.integer()


@dataclass(frozen=True, slots=True)
class Shortage:
    """A resource of which the node has too little left. Processors in thousandths, the rest in whole units."""

    name: str
    requested: int
    used: int
    capacity: int

    @property
    def missing(self) -> int:
        return self.requested - (self.capacity - self.used)

    @property
    def refusal(self) -> Refusal:
        amounts = f"requested: {self.requested}, used: {self.used}, capacity: {self.capacity}"
        return f"OutOf{self.name}", f"Node didn't have enough resource: {self.name}, {amounts}"


def amount_of(requests: Mapping[str, quantity.Quantity], name: str) -> int:
    """What a pod with these requests takes of a resource, as shortages count."""
    return 1 if name == "pods" else _shown(name, requests.get(name, quantity.ZERO))


def shortages(pod: Object, others: Iterable[Object], allocatable: Mapping[str, str]) -> list[Shortage]:
    """What the node lacks to run the pod beside the others, in the order in which upstream looks."""
    capacity = {k: quantity.parse(v) for k, v in allocatable.items()}
    wanted, taken = pod_requests(pod), [pod_requests(other) for other in others]
    found = []
    for name in dict.fromkeys((*_FIRST, *wanted)):
        if name not in capacity and _is_extended(name):
            continue  # of the cluster, not of this node
        requested, used = amount_of(wanted, name), sum(amount_of(requests, name) for requests in taken)
        total = _shown(name, capacity.get(name, quantity.ZERO))
        if requested and requested + used > total:
            found.append(Shortage(name, requested, used, total))
    return found


def resize_refusal(pod: Object, others: Iterable[Object], allocatable: Mapping[str, str]) -> Refusal | None:
    """Whether a pod that asks for other resources may have them: Infeasible on this node, Deferred until there is room."""
    if podspec.is_static(pod):
        return "Infeasible", "In-place resize of static-pods is not supported"
    wanted = pod_requests(pod)
    for name in ("cpu", "memory"):
        amount, total = wanted.get(name, quantity.ZERO), quantity.parse(allocatable.get(name, "0"))
        if amount.value > total.value:
            shown = f"{name}, requested: {_shown(name, amount)}, capacity: {_shown(name, total)}"
            return "Infeasible", f"Node didn't have enough capacity: {shown}"
    short = shortages(pod, not_ended(others), allocatable)
    return ("Deferred", short[0].refusal[1]) if short else None
