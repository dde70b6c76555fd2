"""The configuration file (``--config``): KubeletConfiguration kubelet.config.k8s.io/v1beta1 to options, and back for ``/configz``.

A flag that was given wins over the file, as with upstream's kubelet. ``SETTINGS`` and ``WITHOUT_EFFECT`` together name every
field of the type; any other field is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from kubelet.images.manager import go_duration
from kubelet.options import Options
from kubeling.client.errors import StartError

GROUP_VERSION, KIND = "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"
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


@dataclass(frozen=True, slots=True)
class Setting:
    """A field, dots for nesting, and the option that it sets."""

    path: str
    option: str
    to_option: Convert = _same
    to_config: Convert = _same


_LESS, _EQUAL = _joined("<"), _joined("=")

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
    Setting("evictionHard", "eviction_hard", *_LESS),
    Setting("evictionSoft", "eviction_soft", *_LESS),
    Setting("evictionSoftGracePeriod", "eviction_soft_grace_period", *_EQUAL),
    Setting("evictionPressureTransitionPeriod", "eviction_pressure_transition_period", _same, go_duration),
    Setting("evictionMaxPodGracePeriod", "eviction_max_pod_grace_period"),
    Setting("evictionMinimumReclaim", "eviction_minimum_reclaim", *_EQUAL),
    Setting("volumeStatsAggPeriod", "volume_stats_agg_period", _same, go_duration),
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
_NO_CADVISOR = "usage is asked of Docker when it is needed"
WITHOUT_EFFECT: Mapping[str, str] = {
    **dict.fromkeys(("systemCgroups", "kubeletCgroups"), _NO_CGROUPS),
    **dict.fromkeys(("qosReserved", "memoryThrottlingFactor"), _NO_MEMORY_QOS),
    "singleProcessOOMKill": "as the engine does",
    **dict.fromkeys(("kubeAPIQPS", "kubeAPIBurst", "eventRecordQPS", "eventBurst"), _NO_CLIENT_LIMIT),
    **dict.fromkeys(("registryPullQPS", "registryBurst"), _NO_CLIENT_LIMIT),
    **dict.fromkeys(("cpuManagerPolicy", "cpuManagerPolicyOptions", "cpuManagerReconcilePeriod"), _NO_MANAGER),
    **dict.fromkeys(("memoryManagerPolicy", "reservedMemory", "reservedSystemCPUs"), _NO_MANAGER),
    **dict.fromkeys(("topologyManagerPolicy", "topologyManagerScope", "topologyManagerPolicyOptions"), _NO_MANAGER),
    **dict.fromkeys(("enableSystemLogHandler", "enableSystemLogQuery"), _NO_CADVISOR),
    **dict.fromkeys(
        ("enableDebuggingHandlers", "enableContentionProfiling", "enableDebugFlagsHandler"), "always served"
    ),
    **dict.fromkeys(("enableProfilingHandler", "showHiddenMetricsForVersion"), "there is nothing to profile"),
    **dict.fromkeys(("healthzPort", "healthzBindAddress"), "set --healthz-port and --healthz-bind-address"),
    **dict.fromkeys(("logging", "tracing", "oomScoreAdj", "maxOpenFiles"), "set with the process, not here"),
    **dict.fromkeys(
        ("tlsCipherSuites", "tlsMinVersion", "tlsCurvePreferences"), "Python's own defaults, TLS 1.2 and later"
    ),
    **dict.fromkeys(("memorySwap", "failSwapOn"), "containers have no swap beyond their memory limit"),
    **dict.fromkeys(
        ("containerRuntimeEndpoint", "imageServiceEndpoint", "runtimeRequestTimeout"), "the runtime is Docker"
    ),
    **dict.fromkeys(("podLogsDir", "containerLogMonitorInterval", "containerLogMaxWorkers"), "Docker keeps the logs"),
    "syncFrequency": "a pod is looked at every minute",
    "fileCheckFrequency": "static pods are looked for every second",
    "httpCheckFrequency": "there are no static pods from URLs",
    "staticPodURL": "there are no static pods from URLs",
    "staticPodURLHeader": "there are no static pods from URLs",
    "readOnlyPort": "there is no port without authentication",
    "hairpinMode": "the pods' bridge does hairpin",
    "podsPerCore": "see maxPods",
    "maxPodsPerCore": "see maxPods",
    "makeIPTablesUtilChains": "kubeproxy writes nftables",
    "iptablesMasqueradeBit": "kubeproxy writes nftables",
    "iptablesDropBit": "kubeproxy writes nftables",
    "featureGates": "what is done is done always",
    "protectKernelDefaults": "the kernel is left as it is",
    "mergeDefaultEvictionSettings": "what evictionHard names is all there is",
    "configMapAndSecretChangeDetectionStrategy": "always Watch",
    "volumePluginDir": "there are no FlexVolume drivers",
    "kernelMemcgNotification": "memory is looked at every ten seconds",
    "localStorageCapacityIsolation": "always",
    "enableControllerAttachDetach": "there is nothing to attach",
    "crashLoopBackOff": "ten seconds to five minutes",
    "userNamespaces": "Docker has none for single pods",
}


def read_configuration(path: Path) -> dict[str, Any]:
    """The file's object. Raises StartError."""
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as err:
        raise StartError(f"failed to load kubelet config file, path: {path}, error: {err}") from err
    if not isinstance(found, dict) or found.get("kind") != KIND or found.get("apiVersion") != GROUP_VERSION:
        raise StartError(f"failed to load kubelet config file, path: {path}: want kind {KIND} of {GROUP_VERSION}")
    return {k: v for k, v in found.items() if k not in ("kind", "apiVersion")}


def _leaves(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Fields by dotted path, as deep as the settings know them."""
    known = {s.path for s in SETTINGS} | set(WITHOUT_EFFECT)
    found: dict[str, Any] = {}
    for name, inner in value.items():
        path = prefix + name
        if path not in known and isinstance(inner, dict) and any(k.startswith(path + ".") for k in known):
            found |= _leaves(inner, path + ".")
        else:
            found[path] = inner
    return found


def options_from(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Option values by name. Raises StartError for unknown fields."""
    leaves = {path: value for path, value in _leaves(configuration).items() if value is not None}
    if unknown := sorted(
        path for path in leaves if path not in WITHOUT_EFFECT and path not in {s.path for s in SETTINGS}
    ):
        raise StartError(f'failed to decode kubelet config file: strict decoding error: unknown field "{unknown[0]}"')
    try:
        return {s.option: s.to_option(leaves[s.path]) for s in SETTINGS if s.path in leaves}
    except (AttributeError, KeyError, TypeError) as err:
        raise StartError(f"failed to decode kubelet config file: {err!r}") from err


def with_configuration(options: Options) -> tuple[Options, dict[str, Any]]:
    """The options with the file's values where no flag was given, and what the file holds. Raises StartError."""
    if not options.config:
        return options, {}
    configuration = read_configuration(Path(options.config))
    given = {name: getattr(options, name) for name in options.model_fields_set}
    try:
        return Options.model_validate(options_from(configuration) | given), configuration
    except ValidationError as err:
        first = err.errors()[0]
        path = next((s.path for s in SETTINGS if s.option == first["loc"][0]), str(first["loc"][0]))
        raise StartError(f"failed to validate kubelet configuration: {path}: {first['msg']}") from err


def configuration_of(options: Options, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration in force, as ``/configz`` shows it: what the options say, and what of the file has no effect."""
    shown: dict[str, Any] = {}
    for path, value in _leaves(configuration).items():
        _put(shown, path, value)
    for setting in SETTINGS:
        _put(shown, setting.path, setting.to_config(getattr(options, setting.option)))
    return shown | {"kind": KIND, "apiVersion": GROUP_VERSION}


def _put(target: dict[str, Any], path: str, value: Any) -> None:
    *folders, name = path.split(".")
    for folder in folders:
        target = target.setdefault(folder, {})
    target[name] = value
