"""The admission chain a server runs: the plugins in upstream's recommended order, those that are on.

``ADMISSION`` is the list to add a plugin to; the order in it is the order they run in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from apiserver.admission.certificates import CertificateApproval, CertificateSigning, CertificateSubjectRestriction
from apiserver.admission.claim_resize import PersistentVolumeClaimResize
from apiserver.admission.default_classes import DefaultIngressClass, DefaultStorageClass
from apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from apiserver.admission.limit_ranger import LimitRanger
from apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from apiserver.admission.node_restriction import NodeRestriction
from apiserver.admission.optional import (
    AlwaysPullImages,
    DenyServiceExternalIPs,
    ExtendedResourceToleration,
    NamespaceAutoProvision,
    NamespaceExists,
    OwnerReferencesPermissionEnforcement,
)
from apiserver.admission.pod_resize import PodResizeValidator
from apiserver.admission.pod_security.plugin import PodSecurity
from apiserver.admission.policy.validating import ValidatingAdmissionPolicy
from apiserver.admission.priority import Priority
from apiserver.admission.quota.plugin import ResourceQuota
from apiserver.admission.rbac_escalation import RbacEscalation
from apiserver.admission.runtime_class import RuntimeClass
from apiserver.admission.service_account import ServiceAccount
from apiserver.admission.storage_protection import StorageObjectInUseProtection
from apiserver.admission.taint_nodes import TaintNodesByCondition
from apiserver.admission.topology_labels import PodTopologyLabels
from apiserver.authz.build import Authorization
from apiserver.registry.admission import AdmissionChain, AdmissionPlugin


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What plugins are built from."""

    authorization: Authorization


@dataclass(frozen=True, slots=True)
class Plugin:
    """``default``: whether it runs without being asked for (``--enable-admission-plugins``)."""

    name: str
    make: Callable[[Dependencies], AdmissionPlugin]
    default: bool = True


ADMISSION: tuple[Plugin, ...] = (
    Plugin("NamespaceAutoProvision", lambda _: NamespaceAutoProvision(), default=False),
    Plugin("NamespaceLifecycle", lambda _: NamespaceLifecycle()),
    Plugin("NamespaceExists", lambda _: NamespaceExists(), default=False),
    Plugin("LimitRanger", lambda _: LimitRanger()),
    Plugin("ServiceAccount", lambda _: ServiceAccount()),
    Plugin("NodeRestriction", lambda _: NodeRestriction(), default=False),
    Plugin("TaintNodesByCondition", lambda _: TaintNodesByCondition()),
    Plugin("AlwaysPullImages", lambda _: AlwaysPullImages(), default=False),
    Plugin("PodSecurity", lambda _: PodSecurity()),
    Plugin("Priority", lambda _: Priority()),
    Plugin("DefaultTolerationSeconds", lambda _: DefaultTolerationSeconds()),
    Plugin("ExtendedResourceToleration", lambda _: ExtendedResourceToleration(), default=False),
    Plugin("DefaultStorageClass", lambda _: DefaultStorageClass()),
    Plugin("StorageObjectInUseProtection", lambda _: StorageObjectInUseProtection()),
    Plugin(
        "OwnerReferencesPermissionEnforcement",
        lambda d: OwnerReferencesPermissionEnforcement(d.authorization.authorizer),
        default=False,
    ),
    Plugin("PersistentVolumeClaimResize", lambda _: PersistentVolumeClaimResize()),
    Plugin("RuntimeClass", lambda _: RuntimeClass()),
    Plugin("CertificateApproval", lambda d: CertificateApproval(d.authorization.authorizer)),
    Plugin("CertificateSigning", lambda d: CertificateSigning(d.authorization.authorizer)),
    Plugin("CertificateSubjectRestriction", lambda _: CertificateSubjectRestriction()),
    Plugin("DefaultIngressClass", lambda _: DefaultIngressClass()),
    Plugin("DenyServiceExternalIPs", lambda _: DenyServiceExternalIPs(), default=False),
    Plugin("PodTopologyLabels", lambda _: PodTopologyLabels()),
    Plugin("PodResizeValidator", lambda _: PodResizeValidator()),
    # MutatingAdmissionPolicy, MutatingAdmissionWebhook and ValidatingAdmissionWebhook belong here, too:
    # they see what all others made of an object, and only the quota comes after them
    Plugin("ValidatingAdmissionPolicy", lambda d: ValidatingAdmissionPolicy(d.authorization.authorizer)),
    Plugin("ResourceQuota", lambda _: ResourceQuota()),
)


UPSTREAM_ONLY = frozenset(
    (
        "AlwaysAdmit",
        "ClusterTrustBundleAttest",
        "EventRateLimit",
        "ImagePolicyWebhook",
        "JobValidation",
        "LimitPodHardAntiAffinityTopology",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionWebhook",
        "NodeDeclaredFeatureValidator",
        "PodGroupWorkloadExists",
        "PodNodeSelector",
        "PodTolerationRestriction",
        "ValidatingAdmissionWebhook",
    )
)
"""Upstream's plugins that are not here (yet): they may be switched off, which changes nothing, but not on."""


class UnknownPlugin(ValueError):
    """A plugin was asked for that does not exist."""


def build_admission(
    dependencies: Dependencies, *, enable: Collection[str] = (), disable: Collection[str] = ()
) -> AdmissionChain:
    """The chain; ``disable`` wins over the defaults, ``enable`` over everything. Raises UnknownPlugin."""
    known = {p.name for p in ADMISSION}
    unknown = (set(enable) - known) | (set(disable) - known - UPSTREAM_ONLY)
    if unknown:
        raise UnknownPlugin(f"admission plugins that this server does not have: {', '.join(sorted(unknown))}")
    chosen = [
        plugin.make(dependencies)
        for plugin in ADMISSION
        if plugin.name in enable or (plugin.default and plugin.name not in disable)
    ]
    authorization = dependencies.authorization
    if authorization.rbac is not None:
        chosen.append(RbacEscalation(authorization.authorizer, authorization.rbac))
    return AdmissionChain(chosen)
