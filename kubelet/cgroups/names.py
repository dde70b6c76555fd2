"""Names of control groups: a path of parts, and how each driver writes it (pkg/kubelet/cm/cgroup_manager_linux.go)."""

from __future__ import annotations

from kubelet.pods.qos import BEST_EFFORT, BURSTABLE

Name = tuple[str, ...]
CGROUPFS, SYSTEMD = "cgroupfs", "systemd"
KUBEPODS = "kubepods"
_QOS = {BURSTABLE: ("burstable",), BEST_EFFORT: ("besteffort",)}
_POD = "pod"


def parse_root(text: str) -> Name:
    """``--cgroup-root``: ``/`` or ``/one/two``."""
    return tuple(part for part in text.split("/") if part)


def qos_name(kubepods: Name, qos: str) -> Name:
    """Guaranteed pods have no group of their own: they are directly below."""
    return kubepods + _QOS.get(qos, ())


def pod_name(kubepods: Name, qos: str, uid: str) -> Name:
    return (*qos_name(kubepods, qos), _POD + uid)


def parents_of_pods(kubepods: Name) -> list[Name]:
    return [kubepods, *(kubepods + part for part in _QOS.values())]


def escaped(part: str) -> str:
    """systemd takes dashes for steps down."""
    return part.replace("-", "_")


def slice_of(name: Name) -> str:
    """The systemd unit: ``kubepods-burstable-pod1234_5678.slice``."""
    return "-".join(escaped(part) for part in name) + ".slice" if name else "-.slice"


def path_of(name: Name, driver: str) -> str:
    """Where it is below the root of a hierarchy, without a leading slash."""
    if driver != SYSTEMD:
        return "/".join(name)
    return "/".join(slice_of(name[:end]) for end in range(1, len(name) + 1))


def parent_for_engine(name: Name, driver: str) -> str:
    """What a container's cgroup parent is called when the engine is asked for it."""
    return slice_of(name) if driver == SYSTEMD else "/" + "/".join(name)


def container_name(container_id: str, driver: str) -> str:
    """The folder of a container's group, below its pod's, as the engine names it."""
    return f"docker-{container_id}.scope" if driver == SYSTEMD else container_id


def uid_in(folder: str, parent: Name, driver: str) -> str:
    """The UID in the name of a pod's folder below ``parent``; empty for any other folder."""
    if driver == SYSTEMD:
        front = slice_of((*parent, _POD)).removesuffix(".slice")
        uid = folder.removesuffix(".slice").replace("_", "-")
        return uid[len(front) :] if folder.startswith(front) and folder.endswith(".slice") else ""
    return folder.removeprefix(_POD) if folder.startswith(_POD) else ""
