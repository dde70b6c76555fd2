"""What persistent volumes and claims share: abbreviations of access modes, the class annotation of old."""

from __future__ import annotations

from collections.abc import Iterable

from kubeling.api.meta import Object, annotations_of

BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
BETA_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def modes_text(modes: Iterable[str] | None) -> str:
    """``RWO,ROX``: each mode once, in upstream's order."""
    found = set(modes or ())
    return ",".join(short for mode, short in _MODES.items() if mode in found)


def class_of(obj: Object) -> str:
    """The storage class; the annotation that came before the field wins where it is set."""
    annotations = annotations_of(obj)
    if BETA_CLASS in annotations:
        return annotations[BETA_CLASS]
    return str((obj.get("spec") or {}).get("storageClassName") or "")
