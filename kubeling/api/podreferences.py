"""The objects of its namespace that a pod's spec names: what must be there, and be read, to run it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kubeling.api.meta import Object, name_of


def names_in(pod: Object) -> Iterator[tuple[str, str]]:
    """(plural, name) of each Secret, ConfigMap and PersistentVolumeClaim; a name may be empty where a field is."""
    spec = pod.get("spec") or {}
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", secret.get("name", "")
    yield from _container_names(spec)
    yield from _volume_names(pod)


def _container_names(spec: Object) -> Iterator[tuple[str, str]]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            for source in container.get("envFrom") or ():
                yield "configmaps", (source.get("configMapRef") or {}).get("name", "")
                yield "secrets", (source.get("secretRef") or {}).get("name", "")
            for variable in container.get("env") or ():
                value = variable.get("valueFrom") or {}
                yield "configmaps", (value.get("configMapKeyRef") or {}).get("name", "")
                yield "secrets", (value.get("secretKeyRef") or {}).get("name", "")


def _volume_names(pod: Object) -> Iterator[tuple[str, str]]:
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        yield "secrets", (volume.get("secret") or {}).get("secretName", "")
        yield "configmaps", (volume.get("configMap") or {}).get("name", "")
        yield "persistentvolumeclaims", (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        if volume.get("ephemeral"):
            yield "persistentvolumeclaims", f"{name_of(pod)}-{volume.get('name', '')}"
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield "secrets", (source.get("secret") or {}).get("name", "")
            yield "configmaps", (source.get("configMap") or {}).get("name", "")
        yield "secrets", ((volume.get("csi") or {}).get("nodePublishSecretRef") or {}).get("name", "")
        for field in ("cephfs", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"):
            yield "secrets", ((volume.get(field) or {}).get("secretRef") or {}).get("name", "")
        yield "secrets", (volume.get("azureFile") or {}).get("secretName", "")
