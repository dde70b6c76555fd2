"""Starts one container: image, configuration, creation, start, postStart hook, with the events of each step."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubelet.containers.build import NodeFacts, VolumePath, container_devices, container_mounts, container_spec
from kubelet.containers.downward import Addresses
from kubelet.containers.env import Lookups, environment, references
from kubelet.containers.failure import ConfigError
from kubelet.containers.files import Resolver, hosts_file, pod_resolver
from kubelet.containers.hooks import HookFailed, HookRunner
from kubelet.images.manager import ImageManager
from kubelet.pods import spec as podspec
from kubelet.pods.actions import Start
from kubelet.pods.failure import ContainerFailure
from kubelet.pods.recorder import Recorder, container_events
from kubelet.pods.runtimeclass import require_engine_abilities, runtime_handler
from kubelet.pods.services import Services
from kubelet.runtime.protocol import Runtime, RuntimeFailure, RuntimeUnavailable
from kubelet.runtime.records import ImageRecord, PodRecord, SandboxRecord
from kubelet.runtime.specs import Mount
from kubelet.volumes.base import Objects
from kubelet.volumes.subpath import prepare_sub_path
from kubeling.api.meta import Object
from kubeling.api.resources import CONFIG_MAPS, SECRETS

HOSTS, RESOLV, TERMINATION = "etc-hosts", "etc-resolv.conf", "/dev/termination-log"


@dataclass(frozen=True, slots=True)
class ClusterDns:
    """What pods' resolv.conf is made from."""

    servers: tuple[str, ...]
    domain: str
    host_file: Path


class ContainerStarter:
    """Everything that a start needs; one for all pods."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        images: ImageManager,
        objects: Objects,
        services: Services,
        recorder: Recorder,
        hooks: HookRunner,
        node: NodeFacts,
        dns: ClusterDns,
        pods_folder: Path,
    ) -> None:
        self._runtime, self._images, self._objects, self._services = runtime, images, objects, services
        self._recorder, self._hooks, self._node, self._dns = recorder, hooks, node, dns
        self._folder = pods_folder
        self.allocatable: Mapping[str, str] = {}

    async def start(self, pod: Object, step: Start, observed: PodRecord, volumes: Mapping[str, VolumePath]) -> str:
        """The new container's id. A container that was made but did not start stays for its status.

        Raises ContainerFailure, and RuntimeUnavailable when the engine has gone: that is not the container's fault.
        """
        tell = container_events(self._recorder, pod, step.container)
        try:
            image = await self._images.ensure(pod, step.container, await self._pull_secrets(pod), tell)
        except ContainerFailure as err:
            tell("Warning", "Failed", f"Error: {err.reason}")  # beside what the image manager has told
            raise
        sandbox = observed.sandbox
        if sandbox is None:
            raise ContainerFailure("RunContainerError", "the pod's sandbox has ended")
        try:
            container_id = await self._create(pod, step, observed, sandbox, volumes, image)
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
            tell("Warning", "Failed", f"Error: {err}")
            raise ContainerFailure("RunContainerError", str(err)) from err
        tell("Normal", "Started", "Container started")
        await self._post_start(pod, step.container, container_id, sandbox)
        return container_id

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
    ) -> str:
        lookups = await self._lookups(pod, step.container, volumes)
        addresses = Addresses(self._ip(pod, sandbox), self._node.ip)
        variables = await asyncio.to_thread(environment, pod, step.container, lookups, addresses)
        mounts = await asyncio.to_thread(self._mounts, pod, step, volumes, variables, sandbox)
        spec = container_spec(
            pod,
            step.container,
            step.attempt,
            node=self._node,
            image=image,
            variables=variables,
            mounts=mounts,
            devices=container_devices(step.container, volumes),
            observed=observed,
            handler=await self._handler(pod),
        )
        return await self._runtime.create_container(spec, sandbox, image)

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

        return Lookups(
            await all_of(CONFIG_MAPS, config_maps),
            await all_of(SECRETS, secrets),
            await self._services.list(),
            self.allocatable,
            {name: Path(volume.path) for name, volume in volumes.items()},
        )

    async def _pull_secrets(self, pod: Object) -> list[Object]:
        """The secrets that ``imagePullSecrets`` name; missing ones are skipped, as upstream does."""
        ref = podspec.ref_of(pod)
        found = []
        for entry in podspec.spec_of(pod).get("imagePullSecrets") or ():
            secret = await self._objects.get(SECRETS, ref.namespace, entry.get("name", ""), ref.uid)
            if secret is None:
                self._recorder.event(
                    pod,
                    "Warning",
                    "FailedToRetrieveImagePullSecret",
                    f"Unable to retrieve some image pull secrets ({entry.get('name', '')}); "
                    "attempting to pull the image may not succeed.",
                )
            else:
                found.append(secret)
        return found

    def _mounts(
        self,
        pod: Object,
        step: Start,
        volumes: Mapping[str, VolumePath],
        variables: Mapping[str, str],
        sandbox: SandboxRecord,
    ) -> list[Mount]:
        folder = self._folder / podspec.ref_of(pod).uid
        folder.mkdir(parents=True, exist_ok=True)
        mounts = [
            prepare_sub_path(mount, sub_path) if sub_path else mount
            for mount, sub_path in container_mounts(step.container, volumes, variables)
        ]
        targets = {m.target for m in mounts}
        if "/etc/hosts" not in targets:
            mounts.append(Mount(str(self.write_hosts(pod, self._ip(pod, sandbox))), "/etc/hosts"))
        if "/etc/resolv.conf" not in targets:
            mounts.append(Mount(str(self._write_resolver(pod)), "/etc/resolv.conf"))
        message = step.container.get("terminationMessagePath") or TERMINATION
        if message not in targets:
            path = termination_file(self._folder, podspec.ref_of(pod).uid, step.container["name"], step.attempt)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            path.chmod(0o666)
            mounts.append(Mount(str(path), message))
        return mounts

    def write_hosts(self, pod: Object, ip: str) -> Path:
        path = self._folder / podspec.ref_of(pod).uid / HOSTS
        host_file = Path("/etc/hosts").read_text() if podspec.is_host_network(pod) else ""
        return _write(path, hosts_file(pod, ip, self._dns.domain, self._node.name, host_file))

    def _write_resolver(self, pod: Object) -> Path:
        path = self._folder / podspec.ref_of(pod).uid / RESOLV
        try:
            host = Resolver.parse(self._dns.host_file.read_text())
        except OSError:
            host = Resolver()
        return _write(path, pod_resolver(pod, host, self._dns.servers, self._dns.domain).text())


def _write(path: Path, text: str) -> Path:
    """Writes in place: a bind mount follows the file, not its name."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.chmod(path, 0o644)  # noqa: PTH101  # whatever the umask
    return path


def termination_file(pods_folder: Path, uid: str, container: str, attempt: int) -> Path:
    """Where a run's termination message is kept."""
    return pods_folder / uid / "containers" / container / f"{attempt}.message"
