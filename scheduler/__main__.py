"""``python -m scheduler --kubeconfig=FILE [--config=FILE]``: flags, and the parts put together."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, RESOURCE_CLAIMS
from kubeling.client.errors import StartError
from kubeling.client.events import Recorder
from kubeling.client.flags import CommonOptions, LeaderOptions, Strings
from kubeling.client.informer import Informer
from kubeling.client.informers import SharedInformers
from kubeling.client.leader import LeaderElector, LeaseTimes
from kubeling.client.process import Process, client_for, component_main
from kubeling.client.rest import Client
from kubeling.client.series import SeriesRecorder
from scheduler.cache import Cache
from scheduler.config import Configuration, build_profiles, load
from scheduler.framework.events import ClusterEvent
from scheduler.framework.profile import Profile
from scheduler.model.pod import PodInfo
from scheduler.queue import QueuedPod, QueueRules, SchedulingQueue
from scheduler.scheduler import Scheduler
from scheduler.world import InformerListers, World
from scheduler.writer import Writer

log = logging.getLogger(__name__)
NAME = "kube-scheduler"
COMPONENT = "default-scheduler"
_PATIENCE = 5.0  # seconds to wait for kinds that only some plugins need


class Options(CommonOptions, LeaderOptions):
    """Decides on which node each pod runs."""

    config: str = Field(
        "", description="KubeSchedulerConfiguration file; its leaderElection section goes before the flags"
    )
    feature_gates: Strings = Field(
        [], description="NAME=true,...; DRADeviceTaintRules heeds DeviceTaintRules, others have no effect"
    )

    @property
    def features(self) -> frozenset[str]:
        """Names of the feature gates that are turned on."""
        pairs = (gate.partition("=") for gate in self.feature_gates)
        return frozenset(name for name, _, value in pairs if value.lower() == "true")


_NO_CREDENTIALS = "the health port takes no credentials"
_PLAIN = "the health port is plain HTTP on loopback"
IGNORED = {
    **dict.fromkeys(
        (
            "authentication-kubeconfig",
            "authentication-skip-lookup",
            "authentication-token-webhook-cache-ttl",
            "authentication-tolerate-lookup-failure",
            "authorization-always-allow-paths",
            "authorization-kubeconfig",
            "authorization-webhook-cache-authorized-ttl",
            "authorization-webhook-cache-unauthorized-ttl",
            "client-ca-file",
            "requestheader-allowed-names",
            "requestheader-client-ca-file",
            "requestheader-extra-headers-prefix",
            "requestheader-group-headers",
            "requestheader-username-headers",
        ),
        _NO_CREDENTIALS,
    ),
    **dict.fromkeys(
        (
            "cert-dir",
            "disable-http2-serving",
            "http2-max-streams-per-connection",
            "permit-address-sharing",
            "permit-port-sharing",
            "tls-cert-file",
            "tls-cipher-suites",
            "tls-min-version",
            "tls-private-key-file",
            "tls-sni-cert-key",
        ),
        _PLAIN,
    ),
    "bind-address": "see --healthz-bind-address",
    "secure-port": "see --healthz-port",
    "profiling": "there is none",
    "contention-profiling": "there is none",
    "leader-elect-resource-lock": "always Leases",
    "kube-api-content-type": "always JSON",
    "pod-max-in-unschedulable-pods-duration": "always five minutes",
    "show-hidden-metrics-for-version": "no metrics are hidden",
    "kube-api-burst": "the server's own limits hold",
    "kube-api-qps": "the server's own limits hold",
}


def queue_rules(profiles: Mapping[str, Profile], config: Configuration) -> QueueRules:
    """The order of the profiles' queue sort plugin, and which of their plugins which event helps."""
    sorter = next(iter(profiles.values())).queue_sort

    def order(queued: QueuedPod) -> tuple[float, ...]:
        return sorter.sort_key(queued.pod, queued.queued_at)

    def helped(pod: PodInfo, plugins: frozenset[str], event: ClusterEvent) -> bool:
        profile = profiles.get(pod.spec.get("schedulerName", COMPONENT))
        known = profile.plugins if profile else {}
        return any(event in known[name].helped_by for name in plugins if name in known)

    return QueueRules(order, helped, config.pod_initial_backoff_seconds, config.pod_max_backoff_seconds)


def elector_for(client: Client, recorder: Recorder, options: Options, config: Configuration) -> LeaderElector | None:
    """Leader election as the file or the flags ask for it."""
    section = config.leader_election
    if not (section.leader_elect if section else options.leader_elect):
        return None
    times = (
        LeaseTimes(section.lease_duration, section.renew_deadline, section.retry_period)
        if section
        else LeaseTimes(
            options.leader_elect_lease_duration, options.leader_elect_renew_deadline, options.leader_elect_retry_period
        )
    )
    return LeaderElector(
        client,
        name=section.resource_name if section else options.leader_elect_resource_name or NAME,
        namespace=section.resource_namespace if section else options.leader_elect_resource_namespace,
        identity=f"{socket.gethostname()}_{uuid.uuid4()}",
        times=times,
        recorder=recorder,
    )


async def serve(options: Options, process: Process) -> None:
    """Schedules until cancelled. Raises StartError, KubeconfigError."""
    config = load(Path(options.config)) if options.config else Configuration()
    profiles = build_profiles(config)
    client = client_for(options, NAME)
    recorder = SeriesRecorder(client, COMPONENT, f"{COMPONENT}-{socket.gethostname()}")
    informers = SharedInformers(client)
    listers = InformerListers(informers, options.features)
    cache = Cache(listers)
    queue = SchedulingQueue(queue_rules(profiles, config))
    needed = World(cache, queue, profiles).follow(informers, listers)
    writer = Writer(client, recorder)
    for resource in (PERSISTENT_VOLUME_CLAIMS, RESOURCE_CLAIMS):
        informers.informer(resource).add_handler(writer.claim_handler())
    scheduler = Scheduler(profiles, cache, queue, writer)
    elector = elector_for(client, recorder, options, config)
    process.ready["informers"] = lambda: "" if all(i.synced for i in needed) else "nodes and pods are not known yet"

    async def lead() -> None:
        await _wait_synced(needed, listers)
        await scheduler.run()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(informers.run())
            group.create_task(recorder.run())
            await (elector.run(lead) if elector else lead())
            raise StartError("leader election lost")
    finally:
        await client.aclose()


async def _wait_synced(needed: list[Informer], listers: InformerListers) -> None:
    """Nodes and pods must be known; the others are waited for a while (an old server may not have every kind)."""
    for informer in needed:
        await informer.wait_synced()
    try:
        async with asyncio.timeout(_PATIENCE):
            for informer in listers.informers.values():
                await informer.wait_synced()
    except TimeoutError:
        missing = [kind for kind, informer in listers.informers.items() if not informer.synced]
        log.warning("scheduling without knowing these kinds yet: %s", ", ".join(missing))


if __name__ == "__main__":
    sys.exit(component_main(NAME, Options, serve, ignored=IGNORED))
