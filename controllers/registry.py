"""Every controller there is, in the order in which they are listed and started."""

from __future__ import annotations

from controllers import (
    accounttokens,
    bootstraptokens,
    clusterroles,
    cronjob,
    disruption,
    legacytokens,
    nodettl,
    podgc,
    replicaset,
    rootca,
    serviceaccount,
    servicecidr,
    storagemigration,
    ttlafterfinished,
    unserved,
)
from controllers.admissionpolicies import CONTROLLER as ADMISSION_POLICY_STATUS
from controllers.certificates import APPROVING, CLEANING, SIGNING
from controllers.context import ControllerSpec
from controllers.daemonset import CONTROLLER as DAEMON_SET
from controllers.deployment import CONTROLLER as DEPLOYMENT
from controllers.devicetaints import CONTROLLER as DEVICE_TAINTS
from controllers.endpoints import ENDPOINT_SLICE, ENDPOINT_SLICE_MIRRORING, ENDPOINTS
from controllers.garbagecollector import CONTROLLER as GARBAGE_COLLECTOR
from controllers.horizontal import CONTROLLER as HORIZONTAL
from controllers.job import CONTROLLER as JOB
from controllers.namespace import CONTROLLER as NAMESPACE
from controllers.nodeipam import CONTROLLER as NODE_IPAM
from controllers.nodelifecycle import CONTROLLER as NODE_LIFECYCLE
from controllers.nodelifecycle import TAINT_EVICTION
from controllers.quota import CONTROLLER as RESOURCE_QUOTA
from controllers.resourceclaim import CONTROLLER as RESOURCE_CLAIMS
from controllers.statefulset import CONTROLLER as STATEFUL_SET
from controllers.volumes import BINDER, EPHEMERAL, EXPANSION, PROVISIONER, PV_PROTECTION, PVC_PROTECTION, VAC_PROTECTION

CONTROLLERS: tuple[ControllerSpec, ...] = (
    DEPLOYMENT,
    replicaset.CONTROLLER,
    replicaset.REPLICATION,
    STATEFUL_SET,
    DAEMON_SET,
    JOB,
    cronjob.CONTROLLER,
    ttlafterfinished.CONTROLLER,
    HORIZONTAL,
    disruption.CONTROLLER,
    podgc.CONTROLLER,
    NODE_IPAM,
    nodettl.CONTROLLER,
    NODE_LIFECYCLE,
    TAINT_EVICTION,
    ENDPOINTS,
    ENDPOINT_SLICE,
    ENDPOINT_SLICE_MIRRORING,
    servicecidr.CONTROLLER,
    NAMESPACE,
    serviceaccount.CONTROLLER,
    accounttokens.CONTROLLER,
    legacytokens.CONTROLLER,
    rootca.CONTROLLER,
    BINDER,
    PROVISIONER,
    EXPANSION,
    EPHEMERAL,
    PVC_PROTECTION,
    PV_PROTECTION,
    VAC_PROTECTION,
    RESOURCE_QUOTA,
    clusterroles.CONTROLLER,
    APPROVING,
    SIGNING,
    CLEANING,
    bootstraptokens.CLEANER,
    bootstraptokens.SIGNER,
    RESOURCE_CLAIMS,
    DEVICE_TAINTS,
    storagemigration.CONTROLLER,
    ADMISSION_POLICY_STATUS,
    GARBAGE_COLLECTOR,
    *unserved.CONTROLLERS,
)


def choose(wanted: list[str], specs: tuple[ControllerSpec, ...] = CONTROLLERS) -> list[ControllerSpec]:
    """The controllers that ``--controllers`` selects. Raises ValueError with the names it does not know.

    ``*`` means all that are on by default; ``foo`` and ``-foo`` win over it, the first mention counts.
    """
    known = {name for spec in specs for name in (spec.name, spec.alias) if name}
    unknown = [name for item in wanted if item != "*" and (name := item.removeprefix("-")) not in known]
    if unknown:
        told = [f'"{name}" is not in the list of known controllers' for name in unknown]
        raise ValueError(told[0] if len(told) == 1 else f"[{', '.join(told)}]")
    return [spec for spec in specs if _is_on(spec, wanted)]


def _is_on(spec: ControllerSpec, wanted: list[str]) -> bool:
    for item in wanted:
        if item in (spec.name, spec.alias):
            return True
        if item in (f"-{spec.name}", f"-{spec.alias}"):
            return False
    return "*" in wanted and spec.on_by_default


def listed(specs: tuple[ControllerSpec, ...] = CONTROLLERS) -> str:
    """What ``--help`` says of the names, as upstream words it."""
    off = sorted(spec.name for spec in specs if not spec.on_by_default)
    names = ", ".join(sorted(spec.name for spec in specs))
    return f"All controllers: {names} Disabled-by-default controllers: {', '.join(off)}"
