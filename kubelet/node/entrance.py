"""Who may run on this node: everything that is asked of a pod when it comes, and when it wants other resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubelet.node.admission import Refusal, admit, admit_under_pressure, resize_refusal
from kubelet.node.features import NodeFeatures, admit_features
from kubelet.node.preemption import victims
from kubelet.node.status import Pressure
from kubelet.pods.room import Preemption
from kubeling.api.meta import Object


class Entrance:
    """``node`` is its newest version, ``others`` answers the pods that run beside the given one, with what they may have;
    ``shutdown`` refuses everybody once the node goes down; ``changed`` is called when the ``pressure`` has changed."""

    def __init__(
        self,
        allocatable: Mapping[str, str],
        features: NodeFeatures,
        *,
        node: Callable[[], Object],
        others: Callable[[Object], list[Object]],
        shutdown: Callable[[], Refusal | None],
        changed: Callable[[], None],
    ) -> None:
        self._allocatable, self._features = allocatable, features
        self._node, self._others, self._shutdown, self._changed = node, others, shutdown, changed
        self.pressure = Pressure()

    def feel(self, pressure: Pressure) -> None:
        """The node's pressure as it is now."""
        if pressure != self.pressure:
            self.pressure = pressure
            self._changed()

    def admit(self, pod: Object, others: list[Object]) -> Refusal | None:
        """Why the pod may not run beside the others, or None. The shutdown and the pressure come first."""
        return (
            self._shutdown()
            or admit_under_pressure(pod, self.pressure)
            or admit(pod, others, self._node(), self._allocatable)
            or admit_features(pod, self._features)
        )

    def victims(self, pod: Object, others: list[Object]) -> Preemption:
        """Who makes room for it. Raises NoVictims."""
        return victims(pod, others, self._allocatable)

    def fits(self, pod: Object) -> Refusal | None:
        """Why a pod that runs may not have the other resources that it asks for."""
        return resize_refusal(pod, self._others(pod), self._allocatable)
