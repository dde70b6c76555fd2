"""How a pod is to end: asked for once, made harder later."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubelet.pods.killer import Deadline
from kubeling.client.clock import Clock


@dataclass
class PodEnd:
    """``reason`` and ``message`` fail the pod, ``disruption`` is told if others need its place; ``refused``: it never ran;
    ``gone``: its source has dropped it; ``grace`` overrides the pod's, in seconds.
    """

    reason: str = ""
    message: str = ""
    disruption: str = ""
    refused: bool = False
    gone: bool = False
    grace: float | None = None
    _deadline: Deadline | None = field(default=None, repr=False)

    def begin(self, clock: Clock, grace: float) -> Deadline:
        """The deadline of the end; the same one when it is begun again."""
        if self._deadline is None:
            self._deadline = Deadline(clock, grace)
        return self._deadline

    def shorten(self, grace: float) -> None:
        """A later, harder request."""
        if self._deadline is not None:
            self._deadline.shorten(grace)
