"""Static pods: manifests in a folder (pkg/kubelet/config/file.go)."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import logging
from collections.abc import Callable, Collection
from pathlib import Path

import yaml

from kubelet.pods import spec as podspec
from kubelet.pods.folder import FolderEvents
from kubelet.pods.static_defaults import default_pod
from kubelet.pods.within import within
from kubeling.api.meta import Object, name_of, namespace_of, rfc3339, uid_of
from kubeling.client.clock import Clock

log = logging.getLogger(__name__)
_SCAN_SECONDS = 1.0
_REFERENCES = (  # to API objects, which a pod that no API server has admitted may not make (pkg/api/v1/pod HasAPIObjectReference)
    ("configMap", "configmaps"),
    ("secret", "secrets"),
    ("persistentVolumeClaim", "persistentvolumeclaims"),
    ("ephemeral", "persistentvolumeclaims"),
)


class ManifestError(Exception):
    """A file that holds no pod."""


def static_pod(text: str, node_name: str, source: str) -> Object:
    """The pod of a manifest: bound to this node, named after it, its UID made from its content. Raises ManifestError."""
    try:
        pod = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as err:
        raise ManifestError(f"couldn't parse: {err}") from err
    if not isinstance(pod, dict) or pod.get("kind") != "Pod" or not (pod.get("spec") or {}).get("containers"):
        raise ManifestError("not a Pod")
    if resource := api_reference(pod):
        raise ManifestError(f"static pods may not reference {resource}")
    pod = copy.deepcopy(pod)
    metadata = pod.setdefault("metadata", {})
    if not metadata.get("name"):
        raise ManifestError("the pod has no name")
    content = json.dumps(pod, sort_keys=True, default=str)
    uid = hashlib.md5(f"{content}host:{node_name}file:{source}".encode(), usedforsecurity=False).hexdigest()
    metadata["uid"] = metadata.get("uid") or uid
    metadata["name"] = f"{metadata['name']}-{node_name}"
    metadata.setdefault("namespace", "default")
    metadata.setdefault("annotations", {})
    metadata["annotations"] |= {podspec.SOURCE_ANNOTATION: "file", podspec.HASH_ANNOTATION: uid}
    pod.setdefault("apiVersion", "v1")
    pod["spec"]["nodeName"] = node_name
    pod.pop("status", None)
    default_pod(pod)
    pod["spec"].setdefault("tolerations", []).append({"operator": "Exists", "effect": "NoExecute"})
    return pod


def api_reference(pod: Object) -> str:
    """The resource of some API object that the pod refers to; empty when there is none."""
    spec = pod["spec"]
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        return "serviceaccounts"
    if spec.get("resourceClaims"):
        return "resourceclaims"
    if spec.get("imagePullSecrets"):
        return "secrets"
    volumes = spec.get("volumes") or ()
    sources = [*volumes, *(s for v in volumes for s in (v.get("projected") or {}).get("sources") or ())]
    for source in sources:
        for field, resource in _REFERENCES:
            if field in source:
                return resource
        if "serviceAccountToken" in source:
            return "serviceaccounts"
    for container in [*(spec.get("initContainers") or ()), *spec["containers"]]:
        for source in [
            *(container.get("envFrom") or ()),
            *(v.get("valueFrom") or {} for v in container.get("env") or ()),
        ]:
            if "configMapRef" in source or "configMapKeyRef" in source:
                return "configmaps"
            if "secretRef" in source or "secretKeyRef" in source:
                return "secrets"
    return ""


class StaticPods:
    """Looks at the folder every second, and when something happens in it, and tells the manager what changed."""

    def __init__(
        self, folder: Path, node_name: str, clock: Clock, put: Callable[[Object], None], drop: Callable[[Object], None]
    ) -> None:
        self._folder, self._node, self._clock = folder, node_name, clock
        self._put, self._drop = put, drop
        self._stamps: dict[Path, tuple[float, int]] = {}
        self.pods: dict[Path, Object] = {}
        self.scanned = False

    async def run(self) -> None:
        events = FolderEvents(self._folder)
        events.start()
        try:
            while True:
                removed = events.take()
                self.update(await asyncio.to_thread(self._scan), removed)
                await within(self._clock, _SCAN_SECONDS, events.happened.wait())
        finally:
            events.close()

    def _scan(self) -> dict[Path, tuple[float, int]]:
        if self._folder.is_file():
            paths = [self._folder]
        elif self._folder.is_dir():
            paths = [p for p in self._folder.iterdir() if not p.name.startswith(".") and p.is_file()]
        else:
            paths = []
        found = {}
        for path in paths:
            try:
                stat = path.stat()
            except OSError:  # removed between the two looks
                continue
            found[path] = (stat.st_mtime, stat.st_size)
        return found

    def update(self, stamps: dict[Path, tuple[float, int]], removed: Collection[Path] = ()) -> None:
        """Takes in what the folder holds now; what was ``removed`` before may be back, and begins anew."""
        for path in [p for p in self.pods if p not in stamps or p in removed]:
            self._drop(self.pods.pop(path))
            self._stamps.pop(path, None)
        for path, stamp in stamps.items():
            if self._stamps.get(path) != stamp:
                self._read(path)
        self._stamps = stamps
        self.scanned = True

    def _read(self, path: Path) -> None:
        old = self.pods.get(path)
        try:
            pod = static_pod(path.read_text(), self._node, str(path))
        except (ManifestError, OSError) as err:
            log.error("Could not process manifest file %s: %s", path, err)
            return
        pod["metadata"]["annotations"]["kubernetes.io/config.seen"] = rfc3339(self._clock.now())
        if old is not None and uid_of(old) != uid_of(pod):
            self._drop(old)
        self.pods[path] = pod
        self._put(pod)

    def find(self, namespace: str, name: str) -> Object | None:
        return next((p for p in self.pods.values() if namespace_of(p) == namespace and name_of(p) == name), None)
