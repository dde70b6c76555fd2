"""The plugins, and the profile that upstream has by default: names, order and weights."""

from __future__ import annotations

from scheduler.framework.plugin import Plugin
from scheduler.framework.profile import Entry
from scheduler.plugins.binder import DefaultBinder
from scheduler.plugins.dynamicresources import DynamicResources
from scheduler.plugins.interpod import InterPodAffinity
from scheduler.plugins.placement import (
    ImageLocality,
    NodeAffinity,
    NodeName,
    NodePorts,
    NodeUnschedulable,
    PrioritySort,
    SchedulingGates,
    TaintToleration,
)
from scheduler.plugins.preemption import DefaultPreemption
from scheduler.plugins.resources import NodeResourcesBalancedAllocation, NodeResourcesFit
from scheduler.plugins.spread import PodTopologySpread
from scheduler.plugins.volumebinding import VolumeBinding
from scheduler.plugins.volumes import NodeVolumeLimits, VolumeRestrictions, VolumeZone

DEFAULT_PROFILE: tuple[Entry, ...] = (
    Entry(SchedulingGates),
    Entry(PrioritySort),
    Entry(NodeUnschedulable),
    Entry(NodeName),
    Entry(TaintToleration, weight=3),
    Entry(NodeAffinity, weight=2),
    Entry(NodePorts),
    Entry(NodeResourcesFit, weight=1),
    Entry(VolumeRestrictions),
    Entry(NodeVolumeLimits),
    Entry(VolumeBinding),
    Entry(VolumeZone),
    Entry(PodTopologySpread, weight=2),
    Entry(InterPodAffinity, weight=2),
    Entry(DynamicResources),
    Entry(DefaultPreemption),
    Entry(NodeResourcesBalancedAllocation, weight=1),
    Entry(ImageLocality, weight=1),
    Entry(DefaultBinder),
)

PLUGINS: dict[str, type[Plugin]] = {entry.name: entry.plugin for entry in DEFAULT_PROFILE}
"""Every plugin that a configuration may name."""
