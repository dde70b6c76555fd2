"""Where container logs are found on a machine, as files: which folders are whose, and taking those of some pods away.

The folders are shared by all kubelets of the machine, so a pod's UID decides: what has another one is never touched. The names are
those of kubernetes/design-proposals-archive, node/kubelet-cri-logging.md, and of pkg/kubelet/kuberuntime/legacy.go.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path

PODS, CONTAINERS = Path("/var/log/pods"), Path("/var/log/containers")
_FOLDER_PARTS = 3  # namespace, name and UID; neither of the first two can have the sign between them


def folder_name(namespace: str, name: str, uid: str) -> str:
    return f"{namespace}_{name}_{uid}"


def uid_of_folder(name: str) -> str:
    """The UID of the pod whose folder has that name; empty for a folder that is no pod's."""
    parts = name.split("_", _FOLDER_PARTS - 1)
    return parts[-1] if len(parts) == _FOLDER_PARTS else ""


def entries(folder: Path) -> list[Path]:
    """What a folder holds; nothing where there is none, or none that this process may read: it has not written there either."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def target_of(link: Path) -> str:
    """Where a symlink leads; empty when it is none, or has gone meanwhile."""
    try:
        return str(link.readlink())
    except OSError:
        return ""


def remove_pod_logs(uids: Collection[str], pods: Path = PODS, containers: Path = CONTAINERS) -> None:
    """Removes the folders of these pods and the links that lead there, even to folders elsewhere than in ``pods``.

    Raises OSError.
    """
    folders = {folder for folder in entries(pods) if uid_of_folder(folder.name) in uids}
    for link in entries(containers):
        target = Path(target_of(link))
        if target.is_absolute() and uid_of_folder(target.parent.parent.name) in uids:
            folders.add(target.parent.parent)
            link.unlink(missing_ok=True)
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
