"""The fields of KubeletConfiguration (kubelet.config.k8s.io/v1beta1): what each sets, or why it has no effect.

``SETTINGS``, ``WITHOUT_EFFECT`` and ``MERGE`` together name every field of the type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeling.api.duration import go_duration

Convert = Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _joined(sign: str) -> tuple[Convert, Convert]:
    """A map as one flag's text, and back."""

    def to_option(value: Mapping[str, Any]) -> str:
        return ",".join(f"{k}{sign}{v}" for k, v in value.items())

    def to_config(text: str) -> dict[str, str]:
        return dict((k, v) for k, _, v in (part.partition(sign) for part in text.split(",") if part))

    return to_option, to_config


def _taints_to_option(taints: list[Mapping[str, str]]) -> list[str]:
    return [f"{t['key']}={t['value']}:{t['effect']}" if t.get("value") else f"{t['key']}:{t['effect']}" for t in taints]


def _taints_to_config(texts: list[str]) -> list[dict[str, str]]:
    found = []
    for text in texts:
        head, _, effect = text.rpartition(":")
        key, _, value = head.partition("=")
        found.append({"key": key} | ({"value": value} if value else {}) | {"effect": effect})
    return found


def _periods_to_option(periods: list[Mapping[str, int]]) -> list[str]:
    return [f"{p['priority']}={p['shutdownGracePeriodSeconds']}" for p in periods]


def _periods_to_config(texts: list[str]) -> list[dict[str, int]]:
    pairs = (text.partition("=") for text in texts)
    return [{"priority": int(p), "shutdownGracePeriodSeconds": int(s)} for p, _, s in pairs]


def _said_to_option(value: bool) -> str:
    """Of a field that may say nothing."""
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is no boolean")
    return str(value).lower()


def _said_to_config(text: str) -> bool | None:
    return None if not text else text == "true"


@dataclass(frozen=True, slots=True)
class Setting:
    """A field, dots for nesting, and the option that it sets."""

    path: str
    option: str
    to_option: Convert = _same
    to_config: Convert = _same


LESS, _EQUAL = _joined("<"), _joined("=")

SETTINGS: tuple[Setting, ...] = (
    Setting("address", "address"),
    Setting("port", "port"),
    Setting("staticPodPath", "pod_manifest_path"),
    Setting("tlsCertFile", "tls_cert_file"),
    Setting("tlsPrivateKeyFile", "tls_private_key_file"),
    Setting("rotateCertificates", "rotate_certificates"),
    Setting("serverTLSBootstrap", "rotate_server_certificates"),
    Setting("authentication.x509.clientCAFile", "client_ca_file"),
    Setting("authentication.webhook.enabled", "authentication_token_webhook"),
    Setting("authentication.anonymous.enabled", "anonymous_auth"),
    Setting("authorization.mode", "authorization_mode"),
    Setting("authentication.webhook.cacheTTL", "authentication_token_webhook_cache_ttl", _same, go_duration),
    Setting(
        "authorization.webhook.cacheAuthorizedTTL", "authorization_webhook_cache_authorized_ttl", _same, go_duration
    ),
    Setting(
        "authorization.webhook.cacheUnauthorizedTTL", "authorization_webhook_cache_unauthorized_ttl", _same, go_duration
    ),
    Setting("registerWithTaints", "register_with_taints", _taints_to_option, _taints_to_config),
    Setting("maxPods", "max_pods"),
    Setting("podPidsLimit", "pod_max_pids"),
    Setting("podCIDR", "pod_cidr"),
    Setting("providerID", "provider_id"),
    Setting("resolvConf", "resolv_conf"),
    Setting("clusterDomain", "cluster_domain"),
    Setting("clusterDNS", "cluster_dns"),
    Setting("evictionHard", "eviction_hard", *LESS),
    Setting("evictionSoft", "eviction_soft", *LESS),
    Setting("evictionSoftGracePeriod", "eviction_soft_grace_period", *_EQUAL),
    Setting("evictionPressureTransitionPeriod", "eviction_pressure_transition_period", _same, go_duration),
    Setting("evictionMaxPodGracePeriod", "eviction_max_pod_grace_period"),
    Setting("evictionMinimumReclaim", "eviction_minimum_reclaim", *_EQUAL),
    Setting("volumeStatsAggPeriod", "volume_stats_agg_period", _same, go_duration),
    Setting("enableServer", "enable_server"),
    Setting("enableDebuggingHandlers", "enable_debugging_handlers"),
    Setting("enableSystemLogHandler", "enable_system_log_handler"),
    Setting("enableDebugFlagsHandler", "enable_debug_flags_handler"),
    Setting("tlsMinVersion", "tls_min_version"),
    Setting("podsPerCore", "pods_per_core"),
    Setting("failCgroupV1", "fail_cgroup_v1"),
    Setting("singleProcessOOMKill", "single_process_oom_kill", _said_to_option, _said_to_config),
    Setting("crashLoopBackOff.maxContainerRestartPeriod", "max_container_restart_period", _same, go_duration),
    Setting("cgroupsPerQOS", "cgroups_per_qos"),
    Setting("cgroupRoot", "cgroup_root"),
    Setting("cgroupDriver", "cgroup_driver"),
    Setting("enforceNodeAllocatable", "enforce_node_allocatable"),
    Setting("systemReservedCgroup", "system_reserved_cgroup"),
    Setting("kubeReservedCgroup", "kube_reserved_cgroup"),
    Setting("cpuCFSQuota", "cpu_cfs_quota"),
    Setting("cpuCFSQuotaPeriod", "cpu_cfs_quota_period", _same, go_duration),
    Setting("systemReserved", "system_reserved"),
    Setting("kubeReserved", "kube_reserved"),
    Setting("imageGCHighThresholdPercent", "image_gc_high_threshold"),
    Setting("imageGCLowThresholdPercent", "image_gc_low_threshold"),
    Setting("imageMinimumGCAge", "minimum_image_ttl_duration", _same, go_duration),
    Setting("imageMaximumGCAge", "image_maximum_gc_age", _same, go_duration),
    Setting("imagePullCredentialsVerificationPolicy", "image_pull_credentials_verification_policy"),
    Setting("preloadedImagesVerificationAllowlist", "preloaded_images_verification_allowlist"),
    Setting("podLogsDir", "pod_logs_dir"),
    Setting("containerLogMaxSize", "container_log_max_size"),
    Setting("containerLogMaxFiles", "container_log_max_files"),
    Setting("serializeImagePulls", "serialize_image_pulls"),
    Setting("maxParallelImagePulls", "max_parallel_image_pulls"),
    Setting("seccompDefault", "seccomp_default"),
    Setting("allowedUnsafeSysctls", "allowed_unsafe_sysctls"),
    Setting("nodeStatusUpdateFrequency", "node_status_update_frequency", _same, go_duration),
    Setting("nodeStatusReportFrequency", "node_status_report_frequency", _same, go_duration),
    Setting("nodeLeaseDurationSeconds", "node_lease_duration_seconds"),
    Setting("nodeStatusMaxImages", "node_status_max_images"),
    Setting("registerNode", "register_node"),
    Setting("shutdownGracePeriod", "shutdown_grace_period", _same, go_duration),
    Setting("shutdownGracePeriodCriticalPods", "shutdown_grace_period_critical_pods", _same, go_duration),
    Setting(
        "shutdownGracePeriodByPodPriority", "shutdown_grace_period_by_pod_priority", _periods_to_option, _periods_to_config
    ),
)  # fmt: skip

_NO_CGROUPS = "the processes of the node are left where they are"
_NO_MEMORY_QOS = "as upstream without the feature gates MemoryQoS and QOSReserved"
_NO_CLIENT_LIMIT = "the client does not limit itself"
_NO_MANAGER = "there are no CPU, memory and topology managers"
# what says how other fields are to be read
MERGE = "mergeDefaultEvictionSettings"
# where nothing, or no time at all, means upstream's default
EMPTY_IS_NONE = frozenset(
    {
        "address",
        "port",
        "maxPods",
        "clusterDomain",
        "cgroupDriver",
        "containerLogMaxSize",
        "podLogsDir",
        "tlsMinVersion",
        "authorization.mode",
        "authentication.webhook.cacheTTL",
        "authorization.webhook.cacheAuthorizedTTL",
        "authorization.webhook.cacheUnauthorizedTTL",
        "evictionPressureTransitionPeriod",
        "imageMinimumGCAge",
        "nodeLeaseDurationSeconds",
        "nodeStatusReportFrequency",
        "nodeStatusUpdateFrequency",
        "volumeStatsAggPeriod",
    }
)
WITHOUT_EFFECT: Mapping[str, str] = {
    **dict.fromkeys(("systemCgroups", "kubeletCgroups"), _NO_CGROUPS),
    **dict.fromkeys(("qosReserved", "memoryThrottlingFactor", "memoryReservationPolicy"), _NO_MEMORY_QOS),
    **dict.fromkeys(("kubeAPIQPS", "kubeAPIBurst", "eventRecordQPS", "eventBurst"), _NO_CLIENT_LIMIT),
    **dict.fromkeys(("registryPullQPS", "registryBurst"), "pulls are limited in number, not in rate"),
    **dict.fromkeys(("cpuManagerPolicy", "cpuManagerPolicyOptions", "cpuManagerReconcilePeriod"), _NO_MANAGER),
    **dict.fromkeys(("memoryManagerPolicy", "reservedMemory", "reservedSystemCPUs"), _NO_MANAGER),
    **dict.fromkeys(("topologyManagerPolicy", "topologyManagerScope", "topologyManagerPolicyOptions"), _NO_MANAGER),
    "enableSystemLogQuery": "as upstream without the feature gate NodeLogQuery",
    **dict.fromkeys(("enableProfilingHandler", "enableContentionProfiling"), "there is nothing to profile"),
    "showHiddenMetricsForVersion": "no metric is hidden",
    "streamingConnectionIdleTimeout": "a stream may be idle for as long as its connection lasts",
    "contentType": "the client speaks JSON",
    "runOnce": "as upstream: it has no effect any more",
    **dict.fromkeys(("healthzPort", "healthzBindAddress"), "set --healthz-port and --healthz-bind-address"),
    **dict.fromkeys(("logging", "tracing", "oomScoreAdj", "maxOpenFiles"), "set with the process, not here"),
    **dict.fromkeys(("tlsCipherSuites", "tlsCurvePreferences"), "Python's own defaults"),
    **dict.fromkeys(("memorySwap", "failSwapOn"), "containers have no swap beyond their memory limit"),
    **dict.fromkeys(
        ("containerRuntimeEndpoint", "imageServiceEndpoint", "runtimeRequestTimeout"), "the runtime is Docker"
    ),
    **dict.fromkeys(("containerLogMonitorInterval", "containerLogMaxWorkers"), "Docker keeps the logs"),
    "syncFrequency": "a pod is looked at every minute",
    "fileCheckFrequency": "static pods are looked for every second",
    "httpCheckFrequency": "there are no static pods from URLs",
    "staticPodURL": "there are no static pods from URLs",
    "staticPodURLHeader": "there are no static pods from URLs",
    "readOnlyPort": "there is no port without authentication",
    "hairpinMode": "the pods' bridge does hairpin",
    "makeIPTablesUtilChains": "kubeproxy writes nftables",
    "iptablesMasqueradeBit": "kubeproxy writes nftables",
    "iptablesDropBit": "kubeproxy writes nftables",
    "featureGates": "what is done is done always",
    "protectKernelDefaults": "the kernel is left as it is",
    "configMapAndSecretChangeDetectionStrategy": "always Watch",
    "volumePluginDir": "there are no FlexVolume drivers",
    "kernelMemcgNotification": "memory is looked at every ten seconds",
    "localStorageCapacityIsolation": "always",
    "enableControllerAttachDetach": "there is nothing to attach",
    "userNamespaces": "Docker has none for single pods",
}
