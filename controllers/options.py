"""Flags of the controller manager: kube-controller-manager's names and defaults."""

from __future__ import annotations

from pydantic import Field

from kubeling.client.flags import CommonOptions, LeaderOptions, Seconds, Strings


class Options(CommonOptions, LeaderOptions):
    """Runs Kubernetes' controllers against an API server."""

    controllers: Strings = Field(
        ["*"], description="controllers to run: '*' all that are on by default, 'foo' also foo, '-foo' without foo"
    )
    feature_gates: Strings = Field(
        [],
        description="NAME=true,...; StorageVersionMigrator runs its controller, DRADeviceTaintRules lets DeviceTaintRules "
        "evict pods, others have no effect",
    )
    leader_elect_resource_name: str = Field("kube-controller-manager", description="name of the Lease")
    root_ca_file: str = Field("", description="CA certificate published to every namespace (kube-root-ca.crt)")
    service_account_private_key_file: str = Field("", description="key that signs service account token secrets")
    service_account_issuer: str = Field("", description="issuer of service account token secrets")
    cluster_signing_cert_file: str = Field("", description="CA certificate that signs certificate requests")
    cluster_signing_key_file: str = Field("", description="key of --cluster-signing-cert-file")
    cluster_signing_kubelet_serving_cert_file: str = Field(
        "", description="CA certificate of kubernetes.io/kubelet-serving"
    )
    cluster_signing_kubelet_serving_key_file: str = Field("", description="its key")
    cluster_signing_kubelet_client_cert_file: str = Field(
        "", description="CA certificate of kubernetes.io/kube-apiserver-client-kubelet"
    )
    cluster_signing_kubelet_client_key_file: str = Field("", description="its key")
    cluster_signing_kube_apiserver_client_cert_file: str = Field(
        "", description="CA certificate of kubernetes.io/kube-apiserver-client"
    )
    cluster_signing_kube_apiserver_client_key_file: str = Field("", description="its key")
    cluster_signing_legacy_unknown_cert_file: str = Field(
        "", description="CA certificate of kubernetes.io/legacy-unknown"
    )
    cluster_signing_legacy_unknown_key_file: str = Field("", description="its key")
    cluster_signing_duration: Seconds = Field(31536000.0, description="longest life of a signed certificate")
    cluster_name: str = Field("kubernetes", description="name of the cluster")
    cluster_cidr: str = Field("", description="range of the pods' addresses")
    service_cluster_ip_range: str = Field("", description="range of the services' addresses")
    allocate_node_cidrs: bool = Field(False, description="give every node a part of --cluster-cidr")
    node_cidr_mask_size: int = Field(
        0, ge=0, le=128, description="size of a node's part of --cluster-cidr (24, IPv6: 64)"
    )
    node_cidr_mask_size_ipv4: int = Field(0, ge=0, le=32, description="the size where there are two families (24)")
    node_cidr_mask_size_ipv6: int = Field(0, ge=0, le=128, description="the size where there are two families (64)")
    cidr_allocator_type: str = Field("RangeAllocator", description="RangeAllocator; others need a cloud provider")
    node_monitor_period: Seconds = Field(5.0, description="how often nodes are looked at")
    node_monitor_grace_period: Seconds = Field(50.0, description="silence after which a node is unknown")
    node_startup_grace_period: Seconds = Field(60.0, description="silence allowed to a node that starts")
    node_eviction_rate: float = Field(0.1, description="nodes a second whose pods are evicted in a healthy zone")
    secondary_node_eviction_rate: float = Field(0.01, description="the rate in an unhealthy zone")
    large_cluster_size_threshold: int = Field(50, description="zones up to this size stop evicting when unhealthy")
    unhealthy_zone_threshold: float = Field(0.55, description="part of not ready nodes that makes a zone unhealthy")
    terminated_pod_gc_threshold: int = Field(12500, description="finished pods kept; 0 keeps all")
    horizontal_pod_autoscaler_sync_period: Seconds = Field(15.0, description="how often autoscalers are looked at")
    horizontal_pod_autoscaler_downscale_stabilization: Seconds = Field(300.0, description="how far back to look")
    horizontal_pod_autoscaler_tolerance: float = Field(0.1, description="ratio near 1 that changes nothing")
    horizontal_pod_autoscaler_cpu_initialization_period: Seconds = Field(300.0, description="start-up allowance")
    horizontal_pod_autoscaler_initial_readiness_delay: Seconds = Field(30.0, description="readiness allowance")
    pvclaimbinder_sync_period: Seconds = Field(15.0, description="how often claims are looked at")
    resource_quota_sync_period: Seconds = Field(300.0, description="how often quotas are counted again")
    max_endpoints_per_slice: int = Field(100, ge=1, le=1000, description="endpoints in one EndpointSlice")
    enable_hostpath_provisioner: bool = Field(True, description="provision local volumes for the default StorageClass")
    hostpath_provisioner_root: str = Field("/var/lib/kubeling/volumes", description="where local volumes live")
    legacy_service_account_token_clean_up_period: Seconds = Field(31536000.0, description="unused tokens' life")

    use_service_account_credentials: bool = Field(False, description="act as one service account a controller")
    kube_api_qps: float = Field(0, ge=0, description="requests a second of each controller's client; 0 is no limit")
    kube_api_burst: int = Field(30, ge=0, description="requests that may exceed --kube-api-qps for a moment")
    concurrent_cron_job_syncs: int = Field(5, ge=1, description="CronJobs in work at a time")
    concurrent_daemonset_syncs: int = Field(2, ge=1, description="DaemonSets in work at a time")
    concurrent_deployment_syncs: int = Field(5, ge=1, description="Deployments in work at a time")
    concurrent_device_taint_eviction_syncs: int = Field(50, ge=1, description="evictions in work at a time")
    concurrent_endpoint_syncs: int = Field(5, ge=1, description="Endpoints in work at a time")
    concurrent_ephemeralvolume_syncs: int = Field(5, ge=1, description="ephemeral volumes in work at a time")
    concurrent_gc_syncs: int = Field(20, ge=1, description="garbage collection in work at a time")
    concurrent_horizontal_pod_autoscaler_syncs: int = Field(5, ge=1, description="autoscalers in work at a time")
    concurrent_job_syncs: int = Field(5, ge=1, description="Jobs in work at a time")
    concurrent_namespace_syncs: int = Field(10, ge=1, description="Namespaces in work at a time")
    concurrent_rc_syncs: int = Field(5, ge=1, description="ReplicationControllers in work at a time")
    concurrent_replicaset_syncs: int = Field(5, ge=1, description="ReplicaSets in work at a time")
    concurrent_resource_claim_syncs: int = Field(50, ge=1, description="resource claims in work at a time")
    concurrent_resource_quota_syncs: int = Field(5, ge=1, description="ResourceQuotas in work at a time")
    concurrent_service_endpoint_syncs: int = Field(5, ge=1, description="EndpointSlices in work at a time")
    concurrent_serviceaccount_token_syncs: int = Field(5, ge=1, description="service account tokens in work at a time")
    concurrent_statefulset_syncs: int = Field(5, ge=1, description="StatefulSets in work at a time")
    concurrent_ttl_after_finished_syncs: int = Field(5, ge=1, description="TTL-after-finished in work at a time")
    concurrent_validating_admission_policy_status_syncs: int = Field(5, ge=1, description="policies in work at a time")
    mirroring_concurrent_service_endpoint_syncs: int = Field(
        5, ge=1, description="mirrored Endpoints in work at a time"
    )
    mirroring_max_endpoints_per_subset: int = Field(1000, ge=1, le=1000, description="endpoints mirrored of one subset")

    @property
    def features(self) -> frozenset[str]:
        """Names of the feature gates that are turned on."""
        pairs = (gate.partition("=") for gate in self.feature_gates)
        return frozenset(name for name, _, value in pairs if value.lower() == "true")


_OTHER = "has no counterpart here"
IGNORED = {
    "allow-untagged-cloud": "there is no cloud provider",
    "authentication-kubeconfig": "health and metrics are served on loopback without authentication",
    "authorization-kubeconfig": "health and metrics are served on loopback without authorization",
    "bind-address": "use --healthz-bind-address",
    "cert-dir": "health and metrics are served without TLS",
    "client-ca-file": "health and metrics are served without TLS",
    "cloud-provider": "there is no cloud provider",
    "configure-cloud-routes": "there is no cloud provider",
    "contention-profiling": _OTHER,
    "flex-volume-plugin-dir": "FlexVolume is not supported",
    "kube-api-content-type": "JSON is spoken always",
    "leader-elect-resource-lock": "leases are used always",
    "min-resync-period": "informers do not resync; a controller looks again when it asks for it",
    "profiling": _OTHER,
    "requestheader-client-ca-file": "health and metrics are served without TLS",
    "attach-detach-reconcile-sync-period": "kubelets mount volumes without attachment",
    "authentication-skip-lookup": "health and metrics are served on loopback without authentication",
    "authentication-token-webhook-cache-ttl": "health and metrics are served on loopback without authentication",
    "authentication-tolerate-lookup-failure": "health and metrics are served on loopback without authentication",
    "authorization-always-allow-paths": "health and metrics are served on loopback without authorization",
    "authorization-webhook-cache-authorized-ttl": "health and metrics are served on loopback without authorization",
    "authorization-webhook-cache-unauthorized-ttl": "health and metrics are served on loopback without authorization",
    "cloud-config": "there is no cloud provider",
    "concurrent-service-syncs": "there is no cloud provider",
    "controller-start-interval": "controllers start together",
    "disable-attach-detach-reconcile-sync": "kubelets mount volumes without attachment",
    "disable-force-detach-on-timeout": "kubelets mount volumes without attachment",
    "enable-dynamic-provisioning": "claims of classes without a provisioner of ours wait for theirs",
    "enable-garbage-collector": "choose with --controllers",
    "enable-leader-migration": "there is no cloud provider",
    "endpoint-updates-batch-period": "changes are written as they come",
    "endpointslice-updates-batch-period": "changes are written as they come",
    "external-cloud-volume-plugin": "there is no cloud provider",
    "horizontal-pod-autoscaler-downscale-delay": "no longer exists upstream",
    "log-flush-frequency": "logs are not buffered",
    "mirroring-endpointslice-updates-batch-period": "changes are written as they come",
    "node-sync-period": "nodes are watched",
    "route-reconciliation-period": "there is no cloud provider",
    "requestheader-allowed-names": "health and metrics are served without TLS",
    "requestheader-extra-headers-prefix": "health and metrics are served without TLS",
    "requestheader-group-headers": "health and metrics are served without TLS",
    "requestheader-username-headers": "health and metrics are served without TLS",
    "tls-cipher-suites": "health and metrics are served without TLS",
    "tls-min-version": "health and metrics are served without TLS",
    "vmodule": "use --v",
    "secure-port": "use --healthz-port",
    "tls-cert-file": "health and metrics are served without TLS",
    "tls-private-key-file": "health and metrics are served without TLS",
}
