"""Builds the kubelet from its options and runs it: the one place where all parts meet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from kubelet.configuration import configuration_of
from kubelet.containers.hooks import HookRunner
from kubelet.containers.httpget import http_client
from kubelet.dra.claims import Claims
from kubelet.dra.plugins import Plugins
from kubelet.node.entrance import Entrance
from kubelet.node.features import NodeFeatures, apparmor_enabled
from kubelet.node.identity import client_manager
from kubelet.node.lease import NodeLease
from kubelet.node.machine import Machine, own_address, read_machine
from kubelet.node.registrar import NodeRegistrar
from kubelet.node.settings import node_settings
from kubelet.node.status import allocatable, new_node
from kubelet.options import Options
from kubelet.parts import (
    check_cgroup_version,
    make_api,
    make_cgroups,
    make_images,
    make_logs,
    make_node_facts,
    make_runtime,
    make_starter,
)
from kubelet.pods.backoff import Backoff
from kubelet.pods.killer import Exits, Killer
from kubelet.pods.kit import Kit
from kubelet.pods.manager import PodManager
from kubelet.pods.mirror import MirrorPods
from kubelet.pods.objects import ApiObjects, NoObjects
from kubelet.pods.recorder import LogRecorder, Recorder
from kubelet.pods.reporter import NoReporter, StatusReporter
from kubelet.pods.services import InformedServices, NoServices
from kubelet.pods.sources import ApiPods
from kubelet.pods.starts import PodStarts
from kubelet.pods.static import StaticPods
from kubelet.probes.manager import ProbeManager
from kubelet.probes.prober import Prober
from kubelet.runtime.protocol import Runtime, RuntimeFailure
from kubelet.server.http import HttpServer
from kubelet.serving import Serving
from kubelet.upkeep import Upkeep
from kubelet.volumes.manager import VolumeManager
from kubelet.volumes.tokens import NoTokens, TokenManager
from kubeling.api.meta import Object, name_of, namespace_of, uid_of
from kubeling.api.resources import SERVICES
from kubeling.client.clock import Clock, SystemClock
from kubeling.client.errors import StartError
from kubeling.client.events import EventRecorder
from kubeling.client.informers import SharedInformers
from kubeling.client.rest import Client


class Kubelet:
    """All parts of one kubelet. ``client`` is None for one that runs static pods only."""

    def __init__(
        self,
        options: Options,
        client: Client | None,
        runtime: Runtime,
        machine: Machine,
        clock: Clock | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        self.configuration = configuration or {}
        self.options, self.client, self.runtime, self.machine = options, client, runtime, machine
        self.clock = clock or SystemClock()
        self.settings = node_settings(options, machine, own_address())
        self.pods_folder = Path(options.root_dir) / "pods"
        self.recorder: Recorder = LogRecorder()
        self._events: EventRecorder | None = None
        self.informers = SharedInformers(client) if client else None
        if client is not None:
            self.recorder = self._events = EventRecorder(client, "kubelet", host=self.settings.name)
        self.tokens = TokenManager(client, self.clock) if client else NoTokens()
        self.objects: ApiObjects | NoObjects = NoObjects()
        if client is not None and self.informers is not None:
            self.objects = ApiObjects(client, self.informers, self._object_changed)
        self.allocatable = allocatable(machine, self.settings)
        self.entrance = Entrance(
            self.allocatable,
            NodeFeatures(apparmor_enabled(), tuple(options.allowed_unsafe_sysctls)),
            node=self._node,
            others=lambda pod: [w.allocated for w in self.pods.active() if w.ref.uid != uid_of(pod)],
            shutdown=lambda: self.upkeep.shutdown.admit(),
            changed=self._report_node,
        )
        self.volumes = VolumeManager(
            self.pods_folder,
            objects=self.objects,
            tokens=self.tokens,
            recorder=self.recorder,
            clock=self.clock,
            memory=options.runtime == "docker",  # a simulated container reads nothing: no mounts for it
        )
        self.volumes.allocatable, self.volumes.host_ip = self.allocatable, self.settings.ip
        self.volumes.node = self._node
        self.images = make_images(options, runtime, self.clock)
        self.http = http_client()
        self.serving = Serving(options, self.settings, client, self.clock)
        self.client_certificate = client_manager(options, client, self.clock, self.settings.name) if client else None
        self._build_pods(options)
        self.upkeep = Upkeep(
            options,
            self.pods,
            runtime,
            self.recorder,
            self.clock,
            node_name=self.settings.name,
            images=self.images,
            cgroups=self.cgroups,
            pressure_changed=self.entrance.feel,
            report_node=self._report_node,
        )

    def _build_pods(self, options: Options) -> None:
        clock, runtime = self.clock, self.runtime
        node = make_node_facts(options, self.settings, self.machine)
        services = InformedServices(self.informers.informer(SERVICES)) if self.informers else NoServices()
        hooks = HookRunner(runtime, clock, self.http, self.recorder)
        root = Path(options.root_dir)
        self.plugins = Plugins(root / "plugins_registry", clock)
        claims, self.logs = Claims(root, self.objects, self.plugins), make_logs(options)
        parts = self.images, self.objects, services, self.recorder, hooks, node, self.allocatable, claims, self.logs
        starter = make_starter(options, runtime, *parts)
        exits = Exits(clock)
        self.cgroups = make_cgroups(options, self.settings, self.machine, self.recorder)
        self.api_pods = ApiPods(self.client, self.settings.name, clock) if self.client else None
        self.reporter = StatusReporter(self.client, self._latest, clock) if self.client else NoReporter()
        self.starts = PodStarts(self.reporter.publish, clock, self.images.pulling)
        kit = Kit(
            runtime=runtime,
            starter=starter,
            killer=Killer(runtime, hooks, self.recorder, clock, exits, self.settings.ip),
            exits=exits,
            volumes=self.volumes,
            probes=ProbeManager(Prober(runtime, self.http), self.recorder, clock),
            recorder=self.recorder,
            clock=clock,
            node=node,
            pods_folder=self.pods_folder,
            publish=self.starts.publish,
            finish=self.reporter.finish,
            release=self._release,
            cgroups=self.cgroups,
            claims=claims,
            logs=self.logs,
            fits=self.entrance.fits,
            backoff=Backoff(maximum=timedelta(seconds=options.max_container_restart_period)),
        )
        self.static: StaticPods | None = None
        admit, victims = self.entrance.admit, self.entrance.victims
        self.pods = PodManager(kit, admit, self._sources_ready, self._know_node, victims)
        if options.pod_manifest_path:
            folder = Path(options.pod_manifest_path)
            self.static = StaticPods(folder, self.settings.name, clock, self.pods.put, self.pods.drop)
        self.mirrors: MirrorPods | None = None
        if self.client and self.static:
            self.mirrors = MirrorPods(self.client, self.static, self.pods.leaving)
            self.pods.follow_ends(self.mirrors.wake)
        self.registrar = self._make_registrar(options, self.client) if self.client else None

    def _make_registrar(self, options: Options, client: Client) -> NodeRegistrar:
        return NodeRegistrar(
            client,
            self.runtime,
            self.settings,
            self.machine,
            self.clock,
            self.recorder,
            pressure=lambda: self.entrance.pressure,
            problem=lambda: self.upkeep.shutdown.problem or self.pods.problem,
            period=options.node_status_update_frequency,
            full=options.node_status_report_frequency,
        )

    def _report_node(self) -> None:
        if self.registrar is not None:
            self.registrar.hurry()

    # --- glue ----------------------------------------------------------------------------------------------------

    def _object_changed(self, uid: str) -> None:
        self.volumes.hurry(uid)
        self.pods.refresh(uid)

    def _mirror_changed(self, mirror: Object) -> None:
        """The static pod behind it tells its status to the new mirror."""
        pod = self.static.find(namespace_of(mirror), name_of(mirror)) if self.static else None
        if pod is not None and (worker := self.pods.worker(uid_of(pod))) is not None:
            worker.wake()

    def _release(self, uid: str) -> None:
        if isinstance(self.objects, ApiObjects):
            self.objects.release(uid)
        self.tokens.release(uid)
        self.starts.forget(uid)
        self.images.release(uid)

    def _latest(self, pod: Object) -> Object | None:
        """The API's newest version of a pod: its own, or a static pod's mirror."""
        return self.api_pods.latest(pod) if self.api_pods else None

    def _node(self) -> Object:
        """The newest version of the node."""
        return self.registrar.node if self.registrar else new_node(self.settings, self.machine)

    async def _know_node(self) -> None:
        if self.registrar is not None:
            await self.registrar.know_node()

    def _sources_ready(self) -> bool:
        api = self.api_pods is None or self.api_pods.synced
        return api and (self.static is None or self.static.scanned)

    # --- life ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled; containers go on running. Raises StartError when it cannot start."""
        try:
            await self.runtime.start()
        except RuntimeFailure as err:
            raise StartError(
                f"cannot use the container engine: {err}; install and start Docker, or set DOCKER_HOST"
            ) from err
        server: HttpServer | None = None
        try:
            await asyncio.to_thread(self.pods_folder.mkdir, parents=True, exist_ok=True)
            await self.images.load()
            await self.logs.start()
            engine = await self.runtime.version()
            check_cgroup_version(self.options, engine)
            await self.cgroups.start(engine)
            await self.runtime.pods()
            server = await self._serve()
            async with asyncio.TaskGroup() as group:
                self._start_tasks(group)
        finally:
            if server is not None:
                await server.stop()
            await self.pods.close()
            await self.reporter.close()
            await self.http.aclose()
            await self.runtime.close()

    async def _serve(self) -> HttpServer | None:
        if not self.options.port or not self.options.enable_server:
            return None
        options, name, gate = self.options, self.settings.name, self.serving.gate()
        shown = configuration_of(options, self.configuration)
        parts = self.volumes, self.cgroups
        api = make_api(options, self.pods, self.runtime, gate, self.clock, name, shown, *parts)
        return await self.serving.start(api.handle)

    def _start_tasks(self, group: asyncio.TaskGroup) -> None:
        group.create_task(self.pods.follow_runtime(), name="runtime events")
        if self.static is not None:
            group.create_task(self.static.run(), name="static pods")
        if self.client is not None:
            group.create_task(self._run_with_api(group), name="api")
        group.create_task(self.pods.relist(), name="relist")
        group.create_task(self.plugins.run(), name="plugins")
        self.upkeep.start(group)

    async def _run_with_api(self, group: asyncio.TaskGroup) -> None:
        assert (
            self.client and self.registrar and self.informers and self.api_pods and self._events
        )  # all made with the client
        group.create_task(self._events.run(), name="events")
        group.create_task(self.informers.run(), name="informers")
        await self.registrar.register()
        lease = NodeLease(self.client, self.clock, self.settings.name, self.options.node_lease_duration_seconds)
        group.create_task(lease.keep(), name="lease")
        group.create_task(self.registrar.keep_status(), name="node status")
        self.api_pods.follow(self.pods.put, self.pods.drop)
        self.api_pods.follow_mirrors(self._mirror_changed)
        group.create_task(self.api_pods.run(), name="pods")
        if self.mirrors is not None:
            group.create_task(self.mirrors.run(self.api_pods), name="mirror pods")
        group.create_task(self.tokens.run(self.pods.refresh), name="tokens")
        for manager in (self.serving.manager(), self.client_certificate):
            if manager is not None:
                group.create_task(manager.run(), name="certificate")


async def make_kubelet(
    options: Options, client: Client | None, configuration: Mapping[str, Any] | None = None
) -> Kubelet:
    """A kubelet for this machine; ``configuration`` is the file's. Raises StartError."""
    root = Path(options.root_dir)
    try:
        await asyncio.to_thread(root.mkdir, parents=True, exist_ok=True)
    except OSError as err:
        raise StartError(f"cannot use --root-dir={root}: {err.strerror}") from err
    machine = await asyncio.to_thread(read_machine, root)
    clock = SystemClock()
    settings = node_settings(options, machine, own_address())
    return Kubelet(options, client, make_runtime(options, settings.name, clock), machine, clock, configuration)
