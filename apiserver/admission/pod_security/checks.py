"""The Pod Security Standards as a list of checks, each a declaration: level, versions, and a function of the pod.

Source: documentation "Pod Security Standards"; reasons and details worded as k8s.io/pod-security-admission does.
"""

from __future__ import annotations

from apiserver.admission.pod_security import baseline, restricted
from apiserver.admission.pod_security.check import Check, Violation
from apiserver.admission.pod_security.policy import BASELINE, PRIVILEGED, RESTRICTED, LevelVersion
from kubeling.api.meta import Object

CHECKS: tuple[Check, ...] = (
    Check("appArmorProfile", BASELINE, baseline.apparmor),
    Check("capabilities_baseline", BASELINE, baseline.capabilities_baseline),
    Check("hostNamespaces", BASELINE, baseline.host_namespaces),
    Check("hostPathVolumes", BASELINE, baseline.host_paths),
    Check("hostPorts", BASELINE, baseline.host_ports),
    Check("hostProbesAndHostLifecycle", BASELINE, baseline.host_probes, 34),
    Check("privileged", BASELINE, baseline.privileged),
    Check("procMount", BASELINE, baseline.proc_mount),
    Check("seLinuxOptions", BASELINE, baseline.selinux),
    Check("seccompProfile_baseline", BASELINE, baseline.seccomp_baseline, 19),
    Check("sysctls", BASELINE, baseline.sysctls),
    Check("windowsHostProcess", BASELINE, baseline.host_process),
    Check("allowPrivilegeEscalation", RESTRICTED, restricted.privilege_escalation, 8, not_for_windows_since=25),
    Check(
        "capabilities_restricted",
        RESTRICTED,
        restricted.capabilities_restricted,
        22,
        "capabilities_baseline",
        not_for_windows_since=25,
    ),
    Check("restrictedVolumes", RESTRICTED, restricted.volumes, 0, "hostPathVolumes"),
    Check("runAsNonRoot", RESTRICTED, restricted.run_as_non_root),
    Check("runAsUser", RESTRICTED, restricted.run_as_user, 23),
    Check("seccompProfile_restricted", RESTRICTED, restricted.seccomp_restricted, 19, "seccompProfile_baseline", 25),
)


def violations(wanted: LevelVersion, pod: Object) -> list[Violation]:
    """What of the level and version the pod breaks: baseline checks first, then restricted ones."""
    if wanted.level == PRIVILEGED:
        return []
    windows = ((pod.get("spec") or {}).get("os") or {}).get("name") == "windows"
    chosen = [
        check
        for check in CHECKS
        if wanted.minor >= check.since and (check.level == BASELINE or wanted.level == RESTRICTED)
    ]
    replaced = {check.replaces for check in chosen}
    found = []
    for check in chosen:
        since = check.not_for_windows_since
        if check.id in replaced or (windows and since is not None and wanted.minor >= since):
            continue
        violation = check.function(pod, wanted.minor)
        if violation is not None:
            found.append(violation)
    return found
