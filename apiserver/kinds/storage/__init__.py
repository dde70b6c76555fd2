"""Kinds of the group storage.k8s.io."""

from __future__ import annotations

from apiserver.kinds.storage.classes import STORAGE_CLASS, VOLUME_ATTRIBUTES_CLASS
from apiserver.kinds.storage.csi import CSI_DRIVER, CSI_NODE, CSI_STORAGE_CAPACITY
from apiserver.kinds.storage.volumeattachment import VOLUME_ATTACHMENT
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (
    CSI_DRIVER,
    CSI_NODE,
    CSI_STORAGE_CAPACITY,
    STORAGE_CLASS,
    VOLUME_ATTACHMENT,
    VOLUME_ATTRIBUTES_CLASS,
)
