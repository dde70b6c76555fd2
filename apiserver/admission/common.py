"""What admission plugins share: refusals as upstream words them, and what a request is about."""

from __future__ import annotations

from collections.abc import Collection

from apiserver.registry.admission import AdmissionAttributes
from kubeling.api import errors
from kubeling.api.errors import StatusError


def object_name(attributes: AdmissionAttributes) -> str:
    """The name to refuse an object by: its generateName as long as no name was generated."""
    if attributes.name:
        return attributes.name
    metadata = (attributes.obj or {}).get("metadata")
    if metadata is None:
        return "Unknown" if attributes.obj is None else "Unknown/errorGettingName"
    return metadata.get("name") or metadata.get("generateName") or "Unknown"


def refused(attributes: AdmissionAttributes, why: str) -> StatusError:
    """``pods "x" is forbidden: <why>``."""
    return errors.forbidden(attributes.resource.group, attributes.resource.plural, object_name(attributes), why)


def about(
    attributes: AdmissionAttributes,
    group: str,
    plural: str,
    operations: Collection[str],
    subresources: Collection[str] = ("",),
) -> bool:
    """Whether a request is one of these operations on a resource (in whatever version)."""
    resource = attributes.resource
    return (
        resource.plural == plural
        and resource.group == group
        and attributes.operation in operations
        and attributes.subresource in subresources
    )
