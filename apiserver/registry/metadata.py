"""What the server itself does to metadata on the way into storage. Pure.

Model: BeforeCreate, BeforeUpdate and FillObjectMetaSystemFields of k8s.io/apiserver/pkg/registry/rest.
"""

from __future__ import annotations

import secrets

from apiserver.kinds.validation.meta import validate_object_meta, validate_object_meta_update
from apiserver.registry.kind import Context, Kind, Strategy
from kubeling.api import errors
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object, name_of, new_uid, rfc3339
from kubeling.api.names import is_path_segment_name

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX = 5
_NAME_LIMIT = 63


def generated_name(prefix: str) -> str:
    """The prefix, shortened so that five random characters fit behind it."""
    return prefix[: _NAME_LIMIT - _SUFFIX] + "".join(secrets.choice(_ALPHABET) for _ in range(_SUFFIX))


def match_namespace(obj: Object, namespace: str) -> None:
    """The object's namespace becomes the request's. Raises 400 when they contradict."""
    metadata = obj["metadata"]
    own = metadata.get("namespace") or ""
    if own and own != namespace:
        if not namespace:
            metadata.pop("namespace")
            return
        why = "the namespace of the provided object does not match the namespace sent on the request"
        raise errors.bad_request(why)
    if namespace:
        metadata["namespace"] = namespace


def fill_system_fields(obj: Object, ctx: Context) -> None:
    """A new object's uid, creation time and generated name; what only the server may set is dropped."""
    metadata = obj["metadata"]
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(field, None)
    metadata["creationTimestamp"] = rfc3339(ctx.now)
    metadata["uid"] = new_uid()
    if metadata.get("generateName") and not metadata.get("name"):
        metadata["name"] = generated_name(metadata["generateName"])


def prepare_create(strategy: Strategy, ctx: Context, obj: Object) -> None:
    """Prepares a new object in place."""
    strategy.prepare_for_create(ctx, obj)
    if strategy.has_generation:
        obj["metadata"]["generation"] = 1


def validate_create(kind: Kind, strategy: Strategy, ctx: Context, obj: Object) -> None:
    """Validates a prepared new object. Raises 422."""
    found = validate_object_meta(
        obj["metadata"],
        namespaced=kind.resource.namespaced,
        validate_name=strategy.validate_name,
        kube_finalizers=strategy.standard_finalizers,
    )
    _raise_if(kind, obj, [*found, *strategy.validate(ctx, obj)])
    strategy.canonicalize(obj)


def prepare_update(kind: Kind, strategy: Strategy, ctx: Context, obj: Object, old: Object) -> None:
    """Prepares an update in place."""
    metadata, before = obj["metadata"], old["metadata"]
    if before.get("generation"):
        metadata["generation"] = before["generation"]
    else:
        metadata.pop("generation", None)
    if "creationTimestamp" in before:  # whatever an update says, an object stays as old as it is
        metadata["creationTimestamp"] = before["creationTimestamp"]
    for field in ("uid", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if field in before and not metadata.get(field):
            metadata[field] = before[field]
    metadata.pop("selfLink", None)
    strategy.prepare_for_update(ctx, obj, old)
    if kind.strategy.has_generation and strategy.generation_changed(obj, old):
        metadata["generation"] = (before.get("generation") or 0) + 1


def validate_update(kind: Kind, strategy: Strategy, ctx: Context, obj: Object, old: Object) -> None:
    """Validates a prepared update. Raises 422."""
    found = _changed_metadata_errors(kind, strategy, obj["metadata"], old["metadata"])
    _raise_if(kind, obj, [*found, *strategy.validate_update(ctx, obj, old)])
    strategy.canonicalize(obj)


def _changed_metadata_errors(kind: Kind, strategy: Strategy, metadata: Object, before: Object) -> ErrorList:
    """Upstream checks the metadata in general and once more in the strategy, each time as new and as changed.

    Each check reports its errors: a bad label is four causes.
    """
    namespaced = kind.resource.namespaced
    found = validate_object_meta(
        metadata, namespaced=namespaced, validate_name=is_path_segment_name, kube_finalizers=False
    )
    found += validate_object_meta_update(metadata, before, kube_finalizers=False)
    standard = strategy.standard_finalizers
    found += validate_object_meta_update(metadata, before, kube_finalizers=standard)
    if strategy.revalidates_metadata:
        found += validate_object_meta(
            metadata, namespaced=namespaced, validate_name=strategy.validate_name, kube_finalizers=standard
        )
    return found


def _raise_if(kind: Kind, obj: Object, found: ErrorList) -> None:
    if found:
        raise errors.invalid(kind.resource.group, kind.resource.kind, name_of(obj), found)


def check_preconditions(preconditions: Object | None, obj: Object) -> str:
    """Why the object is not the one that the preconditions of a deletion mean, empty when it is."""
    metadata = obj["metadata"]
    for field, title, fate in (
        ("uid", "UID", "The object might have been deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "The object might have been modified"),
    ):
        wanted, actual = (preconditions or {}).get(field), metadata.get(field, "")
        if wanted is not None and wanted != actual:
            return f"the {title} in the precondition ({wanted}) does not match the {title} in record ({actual}). {fate}"
    return ""
