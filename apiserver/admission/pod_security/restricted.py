"""The checks of the restricted level."""

from __future__ import annotations

from apiserver.admission.pod_security.baseline import SECCOMP, seccomp_baseline, seccomp_type
from apiserver.admission.pod_security.check import (
    Violation,
    added,
    containers,
    context,
    named,
    plural,
    pod_context,
    quoted,
    setters,
)
from kubeling.api.meta import Object

_RESTRICTED_VOLUMES = frozenset(
    (
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "image",
    )
)


def privilege_escalation(pod: Object, minor: int) -> Violation | None:
    bad = [c["name"] for c in containers(pod) if context(c).get("allowPrivilegeEscalation") is not False]
    if not bad:
        return None
    return Violation(
        "allowPrivilegeEscalation != false", f"{named(bad)} must set securityContext.allowPrivilegeEscalation=false"
    )


def capabilities_restricted(pod: Object, minor: int) -> Violation | None:
    missing = [
        c["name"] for c in containers(pod) if "ALL" not in ((context(c).get("capabilities") or {}).get("drop") or ())
    ]
    bad, forbidden = added(pod, frozenset({"NET_BIND_SERVICE"}))
    details = []
    if missing:
        details.append(f'{named(missing)} must set securityContext.capabilities.drop=["ALL"]')
    if bad:
        details.append(f"{named(bad)} must not include {quoted(forbidden)} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def volumes(pod: Object, minor: int) -> Violation | None:
    bad, types = [], set()
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        kinds = [k for k in volume if k != "name"]
        forbidden = [k for k in kinds if k not in _RESTRICTED_VOLUMES]
        if forbidden:
            bad.append(volume.get("name", ""))
            types |= set(forbidden)
    if not bad:
        return None
    uses = f"{plural('uses', len(bad), 'use')} restricted volume {plural('type', len(types))}"
    return Violation(
        "restricted volume types", f"{plural('volume', len(bad))} {quoted(bad)} {uses} {quoted(sorted(types))}"
    )


def run_as_non_root(pod: Object, minor: int) -> Violation | None:
    pod_value = pod_context(pod).get("runAsNonRoot")
    values = [(c["name"], context(c).get("runAsNonRoot")) for c in containers(pod)]
    explicit = [name for name, value in values if value is False]
    implicit = [name for name, value in values if value is None and not pod_value]
    if explicit or (pod_value is False and implicit):
        who = setters(pod_value is False and bool(implicit), explicit)
        return Violation("runAsNonRoot != true", f"{who} must not set securityContext.runAsNonRoot=false")
    if implicit:
        return Violation("runAsNonRoot != true", f"pod or {named(implicit)} must set securityContext.runAsNonRoot=true")
    return None


def run_as_user(pod: Object, minor: int) -> Violation | None:
    root = pod_context(pod).get("runAsUser") == 0
    bad = [c["name"] for c in containers(pod) if context(c).get("runAsUser") == 0]
    if not root and not bad:
        return None
    return Violation("runAsUser=0", f"{setters(root, bad)} must not set runAsUser=0")


def seccomp_restricted(pod: Object, minor: int) -> Violation | None:
    explicit = seccomp_baseline(pod, minor)
    if explicit is not None:
        return explicit
    pod_set = seccomp_type(pod.get("spec") or {}) is not None
    bad = [c["name"] for c in containers(pod) if seccomp_type(c) is None and not pod_set]
    if not bad:
        return None
    return Violation("seccompProfile", f'pod or {named(bad)} must set {SECCOMP} to "RuntimeDefault" or "Localhost"')
