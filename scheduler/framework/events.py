"""Changes of the cluster that may make an unschedulable pod schedulable."""

from __future__ import annotations

from enum import Enum, auto


class ClusterEvent(Enum):
    """What happened, as fine as plugins need to tell it apart."""

    NODE_ADDED = auto()
    NODE_ALLOCATABLE = auto()
    NODE_LABELS = auto()
    NODE_TAINTS = auto()
    NODE_OTHER = auto()
    POD_ADDED = auto()  # a pod was bound to a node
    POD_DELETED = auto()  # a bound pod went
    POD_LABELS = auto()
    POD_SCALED_DOWN = auto()
    OWN_UPDATE = auto()  # the waiting pod itself
    NAMESPACE = auto()
    CLAIM = auto()
    VOLUME = auto()
    STORAGE_CLASS = auto()
    CSI = auto()
    RESOURCE_CLAIM = auto()
    DEVICES = auto()
    DEVICE_CLASS = auto()
    ANYTHING = auto()


WHERE_PODS_ARE = frozenset(
    {
        ClusterEvent.POD_ADDED,
        ClusterEvent.POD_DELETED,
        ClusterEvent.POD_LABELS,
        ClusterEvent.NODE_ADDED,
        ClusterEvent.NODE_LABELS,
    }
)
"""What plugins want to hear of that look at the pods of a topology's domains."""
