"""The operations of a served resource, before they take the form of OpenAPI v2 or v3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from apiserver.registry.served import Served
from kubeling.api.resource import Resource, Subresource

LIST_PARAMETERS = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "timeoutSeconds",
    "watch",
)
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_PATCH = ("dryRun", "fieldManager@apply", "fieldValidation", "force")
_DELETE = (
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
)
_LIST_OF_DELETION = tuple(p for p in LIST_PARAMETERS if p not in ("allowWatchBookmarks", "watch"))
_CONNECT = {
    "attach": ("container", "stderr", "stdin", "stdout", "tty"),
    "exec": ("command", "container", "stderr", "stdin", "stdout", "tty"),
    "portforward": ("ports",),
    "proxy": ("proxyPath",),
}
_LOG = (
    "container",
    "follow",
    "insecureSkipTLSVerifyBackend",
    "limitBytes",
    "previous",
    "sinceSeconds",
    "stream",
    "tailLines",
    "timestamps",
)
_CONNECT_METHODS = ("delete", "get", "head", "options", "patch", "post", "put")
_VERBS = {"get": "read", "put": "replace", "patch": "patch", "post": "create", "delete": "delete"}
_DEPRECATED = "deprecated: use the 'watch' parameter with a list operation instead"

# Kinds whose deletion answers with the object instead of a Status.
_ANSWERS_OBJECT = frozenset(
    {"Pod", "PersistentVolume", "PersistentVolumeClaim", "PodTemplate", "ResourceQuota", "Service", "ServiceAccount"}
    | {"CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"}
    | {"ResourceClaim", "ResourceClaimTemplate", "ResourceSlice", "DeviceClass"}
)

GroupVersionKind = tuple[str, str, str]
DELETE_OPTIONS: GroupVersionKind = ("", "v1", "DeleteOptions")
STATUS: GroupVersionKind = ("", "v1", "Status")
WATCH_EVENT: GroupVersionKind = ("", "v1", "WatchEvent")
PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. ``answer`` and ``body`` are kinds, or None for plain text and no body; ``list_of`` makes it the
    kind's list."""

    method: str
    id: str
    description: str
    action: str
    kind: GroupVersionKind
    parameters: Sequence[str] = ()
    body: GroupVersionKind | str | None = None
    answer: GroupVersionKind | None = None
    codes: tuple[int, ...] = (200,)
    of_list: bool = False
    watchable: bool = False


@dataclass(frozen=True, slots=True)
class PathItem:
    """One path with the parameters in it."""

    path: str
    parameters: tuple[str, ...]
    operations: list[Operation] = field(default_factory=list)
    name_of: str = ""


def group_version_id(group: str, version: str) -> str:
    """``AppsV1``, ``RbacAuthorizationV1``, ``CoreV1``: as operation ids carry it."""
    return "".join(part[:1].upper() + part[1:] for part in _group_words(group)) + version[:1].upper() + version[1:]


def tag(group: str, version: str) -> str:
    """``apps_v1``, ``rbacAuthorization_v1``, ``core_v1``."""
    words = _group_words(group)
    return words[0] + "".join(w[:1].upper() + w[1:] for w in words[1:]) + "_" + version


def _group_words(group: str) -> list[str]:
    if not group:
        return ["core"]
    return group.removesuffix(".k8s.io").split(".")


def article(kind: str) -> str:
    """The kind with its article: ``a Pod``, ``an Ingress``, ``Endpoints``."""
    if kind.endswith("s") and not kind.endswith("ss"):
        return kind
    return f"an {kind}" if kind[:1] in "AEIOUaeiou" else f"a {kind}"


class ResourceOperations:
    """All paths of one served resource."""

    def __init__(self, served: Served) -> None:
        self._resource: Resource = served.resource
        r = served.resource
        self._kind: GroupVersionKind = (r.group, r.version, r.kind)
        self._gv = group_version_id(r.group, r.version)
        self._scope = "Namespaced" if r.namespaced else ""
        namespace = "namespaces/{namespace}/" if r.namespaced else ""
        self._collection = f"{r.base_path}/{namespace}{r.plural}"
        self._above = ("namespace",) if r.namespaced else ()

    def paths(self) -> Iterator[PathItem]:
        """Every path, subresources and the deprecated watches included."""
        r = self._resource
        if r.verbs:
            yield from self._collections()
        item = [op for op in self._item() if op is not None]
        if item:
            yield PathItem(f"{self._collection}/{{name}}", ("name", *self._above), item, r.kind)
        for sub in r.subresources:
            yield from self._subresource(sub)
        if "watch" in r.verbs:
            yield from self._watches()

    def _collections(self) -> Iterator[PathItem]:
        r = self._resource
        operations = []
        if "list" in r.verbs:
            operations.append(self._list(f"list{self._gv}{self._scope}{r.kind}"))
        if "create" in r.verbs:
            operations.append(self._create())
        if "deletecollection" in r.verbs:
            operations.append(self._delete_collection())
        if operations:
            yield PathItem(self._collection, self._above, operations)
        if r.namespaced and "list" in r.verbs:
            everywhere = self._list(f"list{self._gv}{r.kind}ForAllNamespaces")
            yield PathItem(f"{r.base_path}/{r.plural}", (), [everywhere])

    def _list(self, operation_id: str) -> Operation:
        watchable = "watch" in self._resource.verbs
        what = "list or watch objects" if watchable else "list objects"
        description = f"{what} of kind {self._resource.kind}"
        return Operation(
            "get", operation_id, description, "list", self._kind, LIST_PARAMETERS, answer=self._kind, of_list=True,
            watchable=watchable,
        )  # fmt: skip

    def _create(self) -> Operation:
        kind = self._resource.kind
        name = f"create{self._gv}{self._scope}{kind}"
        return Operation(
            "post", name, f"create {article(kind)}", "post", self._kind, _WRITE, self._kind, self._kind, (200, 201, 202)
        )

    def _delete_collection(self) -> Operation:
        kind = self._resource.kind
        name = f"delete{self._gv}Collection{self._scope}{kind}"
        parameters = sorted((*_LIST_OF_DELETION, *_DELETE))
        description = f"delete collection of {kind}"
        return Operation(
            "delete", name, description, "deletecollection", self._kind, parameters, DELETE_OPTIONS, STATUS
        )

    def _item(self) -> Iterator[Operation | None]:
        r, kind = self._resource, self._kind
        end = f"{self._gv}{self._scope}{r.kind}"
        if "get" in r.verbs:
            yield Operation("get", f"read{end}", f"read the specified {r.kind}", "get", kind, answer=kind)
        if "update" in r.verbs:
            replaced = f"replace the specified {r.kind}"
            yield Operation("put", f"replace{end}", replaced, "put", kind, _WRITE, kind, kind, (200, 201))
        if "patch" in r.verbs:
            patched = f"partially update the specified {r.kind}"
            yield Operation("patch", f"patch{end}", patched, "patch", kind, _PATCH, PATCH, kind, (200, 201))
        if "delete" in r.verbs:
            answer = kind if r.kind in _ANSWERS_OBJECT else STATUS
            deleted = f"delete {article(r.kind)}"
            yield Operation(
                "delete", f"delete{end}", deleted, "delete", kind, _DELETE, DELETE_OPTIONS, answer, (200, 202)
            )

    def _subresource(self, sub: Subresource) -> Iterator[PathItem]:
        r = self._resource
        path = f"{self._collection}/{{name}}/{sub.name}"
        end = f"{self._scope}{r.kind}{sub.name[:1].upper()}{sub.name[1:]}"
        parameters = ("name", *self._above)
        if sub.name in _CONNECT:
            yield PathItem(path, parameters, list(self._connects(sub, end, "")), sub.kind or r.kind)
            if sub.name == "proxy":
                with_path = list(self._connects(sub, end, "WithPath"))
                yield PathItem(path + "/{path}", (*parameters, "path"), with_path, sub.kind or r.kind)
            return
        group = sub.group if sub.kind else r.group
        kind = (group, sub.version or r.version, sub.kind or r.kind)
        operations = [self._sub_operation(method, sub, end, kind) for method in _methods(sub)]
        yield PathItem(path, parameters, operations, kind[2])

    def _sub_operation(self, method: str, sub: Subresource, end: str, kind: GroupVersionKind) -> Operation:
        r, name = self._resource, f"{_VERBS[method]}{self._gv}{end}"
        if method == "post":
            created = f"create {sub.name} of {article(r.kind)}"
            return Operation(method, name, created, "post", kind, _WRITE, kind, kind, (200, 201, 202))
        if sub.name == "log":
            return Operation(method, name, f"read log of the specified {r.kind}", "get", self._kind, _LOG)
        of = f"{sub.name} of the specified {r.kind}"
        if method == "get":
            return Operation(method, name, f"read {of}", "get", kind, answer=kind)
        if method == "put":
            return Operation(method, name, f"replace {of}", "put", kind, _WRITE, kind, kind, (200, 201))
        return Operation(method, name, f"partially update {of}", "patch", kind, _PATCH, PATCH, kind, (200, 201))

    def _connects(self, sub: Subresource, end: str, suffix: str) -> Iterator[Operation]:
        methods = _CONNECT_METHODS if sub.name == "proxy" else ("get", "post")
        kind = ("", "v1", sub.kind or self._resource.kind)
        for method in methods:
            name = f"connect{self._gv}{method.capitalize()}{end}{suffix}"
            description = f"connect {method.upper()} requests to {sub.name} of {self._resource.kind}"
            yield Operation(method, name, description, "connect", kind, _CONNECT[sub.name])

    def _watches(self) -> Iterator[PathItem]:
        r = self._resource
        below = self._collection.removeprefix(r.base_path)
        many = f"watch individual changes to a list of {r.kind}. {_DEPRECATED}."
        one = (
            f"watch changes to an object of kind {r.kind}. {_DEPRECATED}, filtered to a single item with the "
            "'fieldSelector' parameter."
        )

        def watch(name: str, description: str, action: str) -> Operation:
            parameters = LIST_PARAMETERS
            return Operation(
                "get", name, description, action, self._kind, parameters, answer=WATCH_EVENT, watchable=True
            )

        base = f"{r.base_path}/watch{below}"
        yield PathItem(base, self._above, [watch(f"watch{self._gv}{self._scope}{r.kind}List", many, "watchlist")])
        if "get" in r.verbs:
            single = watch(f"watch{self._gv}{self._scope}{r.kind}", one, "watch")
            yield PathItem(f"{base}/{{name}}", ("name", *self._above), [single], r.kind)
        if r.namespaced:
            everywhere = watch(f"watch{self._gv}{r.kind}ListForAllNamespaces", many, "watchlist")
            yield PathItem(f"{r.base_path}/watch/{r.plural}", (), [everywhere])


def _methods(sub: Subresource) -> list[str]:
    verbs = {"get": "get", "update": "put", "patch": "patch", "create": "post"}
    return [method for verb, method in verbs.items() if verb in sub.verbs]
