"""Starts one container: image, configuration, creation, start, postStart hook, with the events of each step."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path

from kubelet.containers.build import (
    NodeFacts,
    VolumePath,
    container_devices,
    container_spec,
    read_only_label,
    with_groups,
)
from kubelet.containers.downward import Addresses
from kubelet.containers.env import Lookups, environment, references
from kubelet.containers.failure import ConfigError
from kubelet.containers.hooks import HookFailed, HookRunner
from kubelet.containers.security import needs_passwd
from kubelet.dra.cdi import CdiError, Edits, edits_for
from kubelet.dra.claims import Claims, NoClaims
from kubelet.pods import spec as podspec
from kubelet.pods.actions import Start
from kubelet.pods.failure import ContainerFailure
from kubelet.pods.logs import NoPodLogs, PodLogs
from kubelet.pods.metrics import IMAGE_VOLUMES, IMAGE_VOLUMES_FAILED, IMAGE_VOLUMES_MOUNTED
from kubelet.pods.mounts import PodMounts
from kubelet.pods.pulls import PodImages, image_labels
from kubelet.pods.recorder import Recorder, container_events
from kubelet.pods.rounds import round_label
from kubelet.pods.runtimeclass import require_engine_abilities, runtime_handler
from kubelet.pods.services import Services
from kubelet.runtime.protocol import Runtime, RuntimeFailure, RuntimeUnavailable
from kubelet.runtime.records import ImageRecord, PodRecord, SandboxRecord
from kubelet.runtime.specs import PodRef
from kubelet.volumes.base import Objects, ObjectUnavailable
from kubeling.api.meta import Object
from kubeling.api.resources import CONFIG_MAPS, SECRETS

log = logging.getLogger(__name__)


class ContainerStarter:
    """Everything that a start needs; one for all pods."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        images: PodImages,
        objects: Objects,
        services: Services,
        recorder: Recorder,
        hooks: HookRunner,
        node: NodeFacts,
        mounts: PodMounts,
        claims: Claims | NoClaims | None = None,
        logs: PodLogs | None = None,
    ) -> None:
        self._runtime, self._images, self._objects, self._services = runtime, images, objects, services
        self._recorder, self._hooks, self._node, self._mounts = recorder, hooks, node, mounts
        self._claims, self._logs = claims or NoClaims(), logs or NoPodLogs()
        self._passwds: dict[str, str] = {}  # by image id
        self.allocatable: Mapping[str, str] = {}

    async def start(self, pod: Object, step: Start, observed: PodRecord, volumes: Mapping[str, VolumePath]) -> str:
        """The new container's id. A container that was made but did not start stays for its status.

        Raises ContainerFailure, and RuntimeUnavailable when the engine has gone: that is not the container's fault.
        """
        tell = container_events(self._recorder, pod, step.container)
        volume_images = await self._images.of_volumes(pod, step.container)
        image = await self._images.of_container(pod, step.container)
        sandbox = observed.sandbox
        if sandbox is None:
            raise ContainerFailure("RunContainerError", "the pod's sandbox has ended")
        try:
            shown = await self._show(volume_images, volumes)
            labels = image_labels(volume_images)
            container_id = await self._create(pod, step, observed, sandbox, shown, image, labels)
        except ConfigError as err:
            tell("Warning", "Failed", f"Error: {err}")
            raise ContainerFailure("CreateContainerConfigError", str(err)) from err
        except RuntimeUnavailable:
            raise
        except (RuntimeFailure, OSError) as err:
            tell("Warning", "Failed", f"Error: {err}")
            raise ContainerFailure("CreateContainerError", str(err)) from err
        tell("Normal", "Created", "Container created")
        try:
            await self._runtime.start_container(container_id)
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as err:
            why = str(err).replace(container_id, step.container["name"])  # an id would make every event one of its own
            tell("Warning", "Failed", f"Error: {why}")
            raise ContainerFailure("RunContainerError", str(err)) from err
        tell("Normal", "Started", "Container started")
        # beside the hook, which may take its time: what it and the container say can be collected meanwhile
        await asyncio.gather(
            self._post_start(pod, step.container, container_id, sandbox), self._show_logs(observed.pod)
        )
        return container_id

    async def _show_logs(self, pod: PodRef) -> None:
        try:
            await self._logs.settle(await self._runtime.pod(pod))
        except RuntimeFailure as err:  # the pod's next sync sees to it
            log.debug("Links to the logs of pod %s/%s: %s", pod.namespace, pod.name, err)

    async def _show(
        self, images: Mapping[str, ImageRecord], volumes: Mapping[str, VolumePath]
    ) -> Mapping[str, VolumePath]:
        IMAGE_VOLUMES.inc(len(images))
        try:
            shown = await self._images.show(images, volumes)
        except (RuntimeFailure, OSError):
            IMAGE_VOLUMES_FAILED.inc(len(images))
            raise
        IMAGE_VOLUMES_MOUNTED.inc(len(images))
        return shown

    async def tell_dns(self, pod: Object) -> None:
        """What its resolver configuration does not get is told once for every sandbox."""
        for reason, message in await asyncio.to_thread(self._mounts.dns_warnings, pod):
            self._recorder.event(pod, "Warning", reason, message)

    async def runtime_handler(self, pod: Object) -> str:
        """The runtime that the pod asks for, empty for the engine's default.

        Raises RuntimeFailure when it, or something else that the pod asks of it, is not here.
        """
        require_engine_abilities(pod)
        return await runtime_handler(pod, self._objects, self._runtime)

    def tell(self, pod: Object, container: Object, type_: str, reason: str, message: str) -> None:
        """An event about a container."""
        container_events(self._recorder, pod, container)(type_, reason, message)

    async def _post_start(self, pod: Object, container: Object, container_id: str, sandbox: SandboxRecord) -> None:
        hook = (container.get("lifecycle") or {}).get("postStart")
        if not hook:
            return
        try:
            await self._hooks.run(hook, pod, container, container_id, self._ip(pod, sandbox))
        except HookFailed as err:
            tell = container_events(self._recorder, pod, container)
            tell("Warning", "FailedPostStartHook", "PostStartHook failed")
            raise ContainerFailure("PostStartHookError", str(err)) from err

    def _ip(self, pod: Object, sandbox: SandboxRecord) -> str:
        return self._node.ip if podspec.is_host_network(pod) else sandbox.ip

    async def _create(
        self,
        pod: Object,
        step: Start,
        observed: PodRecord,
        sandbox: SandboxRecord,
        volumes: Mapping[str, VolumePath],
        image: ImageRecord,
        labels: Mapping[str, str],
    ) -> str:
        lookups = await self._lookups(pod, step.container, volumes)
        addresses = Addresses(self._ip(pod, sandbox), self._node.ip)
        variables = await asyncio.to_thread(environment, pod, step.container, lookups, addresses)
        edits = await self._edits(pod, step.container)
        mounts = await asyncio.to_thread(self._mounts.of, pod, step, volumes, variables, self._ip(pod, sandbox))
        spec = container_spec(
            pod,
            step.container,
            step.attempt,
            node=self._node,
            image=image,
            variables={**variables, **dict(edits.env)},
            mounts=(*mounts, *edits.mounts),
            devices=(*container_devices(step.container, volumes), *edits.devices),
            observed=observed,
            passwd=await self._passwd(pod, step.container, image),
            handler=await self._handler(pod),
        )
        labels = {**labels, **read_only_label(step.container, mounts), **round_label(step.round)}
        spec = dataclasses.replace(spec, labels={**spec.labels, **labels})
        return await self._runtime.create_container(with_groups(spec, volumes.values()), sandbox, image)

    async def _edits(self, pod: Object, container: Object) -> Edits:
        """What the devices of the pod's claims bring along. Raises RuntimeFailure."""
        names = await self._claims.cdi_devices(pod, container)
        try:
            return await asyncio.to_thread(edits_for, names)
        except CdiError as err:
            raise RuntimeFailure(str(err)) from err

    async def _passwd(self, pod: Object, container: Object, image: ImageRecord) -> str:
        """The image's /etc/passwd, where the container's user has to be looked up in it."""
        if not needs_passwd(pod, container):
            return ""
        if image.id not in self._passwds:
            content = await self._runtime.image_file(image.id, "/etc/passwd")
            self._passwds[image.id] = content.decode(errors="replace")
        return self._passwds[image.id]

    async def _handler(self, pod: Object) -> str:
        try:
            return await runtime_handler(pod, self._objects, self._runtime)
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as err:
            raise ConfigError(str(err)) from err

    async def _lookups(self, pod: Object, container: Object, volumes: Mapping[str, VolumePath]) -> Lookups:
        config_maps, secrets = references(container)
        namespace, uid = podspec.ref_of(pod).namespace, podspec.ref_of(pod).uid

        async def all_of(resource: object, names: set[str]) -> dict[str, Object | None]:
            found = await asyncio.gather(*(self._objects.get(resource, namespace, n, uid) for n in sorted(names)))  # type: ignore[arg-type]
            return dict(zip(sorted(names), found, strict=True))

        try:
            maps, secret_objects = await all_of(CONFIG_MAPS, config_maps), await all_of(SECRETS, secrets)
        except ObjectUnavailable as err:
            raise ConfigError(str(err)) from err
        return Lookups(
            maps,
            secret_objects,
            await self._services.list(),
            self.allocatable,
            {name: Path(volume.path) for name, volume in volumes.items()},
        )
