"""What the server must know to serve a kind: one ``Kind`` declaration, one ``Strategy``.

The generic registry calls these and contains no special case for any kind. Model: the REST
strategies of k8s.io/apiserver/pkg/registry/rest, drawn together into one class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object
from kubeling.api.names import is_dns1123_subdomain
from kubeling.api.resource import Resource

if TYPE_CHECKING:
    from apiserver.registry.actions import Handler


@dataclass(frozen=True, slots=True)
class Context:
    """What a strategy may know of the request. Pure data: strategies do no I/O."""

    now: datetime
    user: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)
    subresource: str = ""
    dry_run: bool = False
    api_version: str = ""
    """The version that the request speaks (``events.k8s.io/v1``), where validation depends on it."""
    verb: str = "update"
    """The request's: ``patch`` where an update is one."""


class Strategy:
    """How objects of a kind are defaulted, prepared and validated. Every method has the neutral behaviour.

    ``obj`` may be changed in place by ``default`` and the ``prepare_*`` methods (it is the request's own copy);
    ``old`` never.
    Metadata that all kinds share (name syntax apart) is handled by the registry: uid, timestamps, generateName,
    generation
    where ``has_generation``, namespace, finalizers, owner references, labels and annotations validation, immutability.
    """

    allow_create_on_update = False
    """PUT to a name that does not exist creates it (upstream: AllowCreateOnUpdate)."""
    allow_unconditional_update = True
    """An update without resourceVersion is accepted."""
    revalidates_metadata = True
    """An update is also checked as a new object's metadata is (upstream: ``ValidateXUpdate`` calls ``ValidateX``)."""
    standard_finalizers = True
    """A finalizer without a domain must be one that Kubernetes knows (upstream: the core's own metadata validation)."""
    collects_garbage = True
    """Whether propagation policies mean anything (upstream: not GarbageCollectionUnsupported; events have no dependents)."""
    resets_metadata = False
    """A status strategy that leaves all metadata as it is (upstream: ResetObjectMetaForStatus): no write there owns any."""
    has_generation = False
    """metadata.generation starts at 1 and grows when ``generation_changed`` says so."""

    def default(self, obj: Object) -> None:
        """Sets the defaults of the kind's version (after decoding, after mutating admission, after a patch)."""

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        """Drops what a creator may not set (status), normalises."""

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        """Keeps what this endpoint may not change (status here, spec for the status subresource)."""

    def generation_changed(self, obj: Object, old: Object) -> bool:
        """Whether the update is one of the desired state; default: spec differs."""
        return obj.get("spec") != old.get("spec")

    def validate_name(self, name: str) -> list[str]:
        """Messages about metadata.name; default: DNS-1123 subdomain."""
        return is_dns1123_subdomain(name)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        """Everything wrong with a new object, metadata apart, in upstream's order."""
        return []

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        """Everything wrong with an update; default: what ``validate`` says of the new object."""
        return self.validate(ctx, obj)

    def canonicalize(self, obj: Object) -> None:
        """Normalises an object, new or changed, once it has been found valid."""

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return []

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return []

    def warnings_on_delete(self, obj: Object, options: Object) -> list[str]:
        """``options`` are the DeleteOptions of the request."""
        return []

    def grace_period(self, obj: Object, requested: int | None) -> int | None:
        """Seconds of graceful deletion; None: the kind is deleted at once. See rest.RESTGracefulDeleteStrategy."""
        return None

    def prepare_for_delete(self, ctx: Context, obj: Object) -> None:
        """Called when deletion starts and the object stays for now (a namespace becomes Terminating)."""

    def begins_deletion(self, ctx: Context, obj: Object) -> bool:
        """Whether the kind starts its deletion by itself: it has changed ``obj``, which is stored and answered as it is then."""
        return False

    def may_be_removed(self, obj: Object) -> bool:
        """Whether nothing holds a deleted object any more; default: no finalizer (a namespace has more in its spec)."""
        return not obj["metadata"].get("finalizers")

    def default_orphan(self, obj: Object) -> bool:
        """Whether dependents are orphaned when the deletion names no propagation policy (legacy kinds only)."""
        return False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a Table. ``description`` and ``format`` as upstream's printers give them; priority 1 shows with
    ``-o wide``."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


Row = Callable[[Object, datetime], list[Any]]


@dataclass(frozen=True, slots=True)
class Printer:
    """Table columns and the function that makes a row's cells from an object and the time."""

    columns: tuple[Column, ...]
    row: Row
    conditions: Callable[[Object], list[Object]] | None = None
    """``TableRowCondition``s of a row (a pod that has ended); left out when there are none."""
    order: Callable[[Object], Any] | None = None
    """What the rows of a list are sorted by; None: as the list has them."""
    hidden_annotations: tuple[str, ...] = ()
    """Annotations that upstream's internal objects, from which its tables are made, do not carry."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Where the ``scale`` subresource finds its values; paths are dotted field names below the object."""

    spec_replicas: str = "spec.replicas"
    status_replicas: str = "status.replicas"
    selector: str = "spec.selector"


@dataclass(frozen=True, slots=True)
class Conversion:
    """Another served version of a stored kind: functions between it and the storage version. They copy."""

    resource: Resource
    strategy: Strategy
    to_storage: Callable[[Object], Object]
    from_storage: Callable[[Object], Object]
    printer: Printer | None = None
    field_selectors: Mapping[str, Callable[[Object], str]] | None = None
    """Selectable fields under this version's names, as functions of the stored object; None: those of the kind."""
    deprecation: str = ""
    """A Warning header on every answer in this version."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The whole declaration of a stored kind.

    ``status`` is the strategy of the status subresource (None: it has none); ``scale`` where it is scaled;
    ``updates`` further subresources that are updates of the same object with a strategy of their own
    (``ephemeralcontainers``,
    ``resize``, ``approval``, ``finalize``); ``actions`` subresources that do something else (``binding``,
    ``eviction``, ``log``, ``exec``, ``token``):
    name to a handler from ``apiserver.registry.actions``. ``field_selectors`` maps a selectable field to a function
    of the object
    (metadata.name and metadata.namespace are always there). ``key`` is the folder below ``/registry/`` in etcd.
    """

    resource: Resource
    strategy: Strategy = field(default_factory=Strategy)
    printer: Printer | None = None
    status: Strategy | None = None
    scale: Scale | None = None
    updates: Mapping[str, Strategy] = field(default_factory=dict)
    actions: Mapping[str, Handler] = field(default_factory=dict)
    field_selectors: Mapping[str, Callable[[Object], str]] = field(default_factory=dict)
    versions: tuple[Conversion, ...] = ()
    key: str = ""
    returns_deleted: bool = False
    """DELETE of an object that goes at once answers the object instead of a Status (upstream: ReturnDeletedObject)."""
    ttl: int = 0
    """Seconds after which the store forgets an object (events); 0: never."""
    field_error: str = ""
    """Upstream's text for a field that cannot be selected, with ``{field}``; default: the usual one."""
    deprecation: str = ""
    """A Warning header on every answer about the kind, lists and watches included."""
    stored_version: str = ""
    """The version in which upstream's store holds the kind, where that is not the one declared: discovery tells its hash."""
    read: Callable[[Object], Object] | None = None
    """Makes a new object of what the store holds, where its schema may have changed since it was written."""
    served: bool = True
    """Whether the stored version is served, too."""
    custom: bool = False
    """A custom resource: items of a list carry kind and apiVersion, strategic merge patches are refused."""

    @property
    def storage_prefix(self) -> str:
        """``/registry/pods/``, ``/registry/apiregistration.k8s.io/apiservices/``: as upstream lays the keys out."""
        return f"/registry/{self.key or self.resource.plural}/"
