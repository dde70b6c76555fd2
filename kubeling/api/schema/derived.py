"""Definitions of old versions of kinds, made from the modern ones that the published schemas hold.

The beta versions of workloads, Ingresses and budgets differ from their successors in a few fields; all the rest is the
same under another package. A derived definition remembers its origin, whose Go facts (pointers, ``omitempty``, field
order) hold for it, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Definition = Mapping[str, Any]

_API = "io.k8s.api."


@dataclass(frozen=True, slots=True)
class Change:
    """How a type's fields differ: names that are gone, new properties, names that need not be given."""

    drop: tuple[str, ...] = ()
    add: Mapping[str, Definition] = field(default_factory=dict)
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Derivation:
    """An old version of kinds of a modern package. ``source`` and ``target`` are packages (``apps.v1``); types named in
    ``shared`` are used as they are."""

    source: str
    target: str
    group: str
    kinds: tuple[str, ...]
    changes: Mapping[str, Change] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()

    def made_from(self, raw: Mapping[str, Definition]) -> Iterator[tuple[str, str, Definition]]:
        """``(name, name of the origin, definition)`` of the kinds, their lists and the types they are made of."""
        prefix, waiting, seen = f"{_API}{self.source}.", [n for k in self.kinds for n in (k, f"{k}List")], set[str]()
        while waiting:
            kind = waiting.pop()
            if kind in seen or prefix + kind not in raw:
                continue
            seen.add(kind)
            changed = self._changed(kind, raw[prefix + kind])
            waiting += [n.removeprefix(prefix) for n in _references(changed) if self._own(n)]
            yield f"{_API}{self.target}.{kind}", prefix + kind, self._moved(changed)

    def _own(self, name: str) -> bool:
        prefix = f"{_API}{self.source}."
        return name.startswith(prefix) and name.removeprefix(prefix) not in self.shared

    def _changed(self, kind: str, definition: Definition) -> Definition:
        change = self.changes.get(kind, Change())
        properties = {k: v for k, v in (definition.get("properties") or {}).items() if k not in change.drop}
        made = {**definition, "properties": {**properties, **change.add}} if properties else {**definition}
        gone = (*change.drop, *change.optional)
        made["required"] = [n for n in definition.get("required") or () if n not in gone]
        if not made["required"]:
            del made["required"]
        if "x-kubernetes-group-version-kind" in made:
            version = self.target.rpartition(".")[2]
            made["x-kubernetes-group-version-kind"] = [{"group": self.group, "version": version, "kind": kind}]
            made["properties"] |= {"apiVersion": _free(properties["apiVersion"])}
        return made

    def _moved(self, value: Any) -> Any:
        """The schema with references into its own package led to the new one."""
        if isinstance(value, list):
            return [self._moved(v) for v in value]
        if not isinstance(value, dict):
            return value
        made = {k: self._moved(v) for k, v in value.items()}
        target = value.get("$ref")
        if isinstance(target, str):
            path, slash, name = target.rpartition("/")
            if self._own(name):
                name = f"{_API}{self.target}.{name.rpartition('.')[2]}"
            made["$ref"] = path + slash + name
        return made


@dataclass(frozen=True, slots=True)
class Stated:
    """Definitions that have no successor to be made from; ``definitions`` by the names of their types in the package."""

    target: str
    group: str
    definitions: Mapping[str, Definition]
    kinds: tuple[str, ...] = ()

    def made_from(self, raw: Mapping[str, Definition]) -> Iterator[tuple[str, str, Definition]]:
        """As ``Derivation.made_from``; each is its own origin."""
        version = self.target.rpartition(".")[2]
        for kind, definition in self.definitions.items():
            name = f"{_API}{self.target}.{kind}"
            made: dict[str, Any] = {"type": ["object", "null"], **definition}
            if kind in self.kinds:
                made["x-kubernetes-group-version-kind"] = [{"group": self.group, "version": version, "kind": kind}]
            yield name, name, made


def _free(schema: Definition) -> Definition:
    """The property without the one value that the published definition allows."""
    return {k: v for k, v in schema.items() if k != "enum"}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for inner in value:
            yield from _references(inner)
    elif isinstance(value, dict):
        target = value.get("$ref")
        if isinstance(target, str):
            yield target.rpartition("/")[2]
        for inner in value.values():
            yield from _references(inner)


_TEXT: Definition = {"type": ["string", "null"]}
_REVISION: Definition = {
    "type": ["integer", "null"],
    "format": "int64",
    "description": "The revision to rollback to. If set to 0, rollback to the last revision.",
}


def _reference(package: str, kind: str, description: str) -> Definition:
    return {"$ref": f"#/$defs/{_API}{package}.{kind}", "description": description}


def _rollback(package: str, group: str) -> Stated:
    """The kinds of ``deployments/rollback``."""
    config = _reference(package, "RollbackConfig", "The config of this deployment rollback.")
    annotations = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
    properties = {
        "apiVersion": _TEXT,
        "kind": _TEXT,
        "name": {
            "type": "string",
            "description": "The deployment name. Required: This must match the name of a deployment.",
        },
        "updatedAnnotations": {**annotations, "description": "The annotations to be updated to a deployment."},
        "rollbackTo": config,
    }
    rollback = {"properties": properties, "required": ["name", "rollbackTo"]}
    return Stated(
        package,
        group,
        {"RollbackConfig": {"properties": {"revision": _REVISION}}, "DeploymentRollback": rollback},
        ("DeploymentRollback",),
    )


def _with_rollback(package: str) -> Mapping[str, Change]:
    """Changes of a package whose Deployments can be rolled back."""
    field_ = _reference(package, "RollbackConfig", "The config this deployment is rolling back to.")
    return {**_UNSELECTED, "DeploymentSpec": Change(optional=("selector", "template"), add={"rollbackTo": field_})}


_TEMPLATE_GENERATION: Definition = {
    "type": ["integer", "null"],
    "format": "int64",
    "description": "A sequence number representing a specific generation of the template. Populated by the system.",
}
_SCALE = {
    "ScaleStatus": Change(
        drop=("selector",),
        add={
            "selector": {
                "type": ["object", "null"],
                "additionalProperties": {"type": "string"},
                "description": "label query over pods that should match the replicas count.",
            },
            "targetSelector": {
                "type": ["string", "null"],
                "description": "label selector for pods that should match the replicas count, serialized.",
            },
        },
    )
}
_SELECTED = ("DaemonSetSpec", "DeploymentSpec", "ReplicaSetSpec", "StatefulSetSpec")
_UNSELECTED = {kind: Change(optional=("selector", "template")) for kind in _SELECTED}
_INGRESS_CHANGES = {
    "IngressSpec": Change(
        drop=("defaultBackend",),
        add={
            "backend": {
                "$ref": f"#/$defs/{_API}networking.v1.IngressBackend",
                "description": "A default backend capable of servicing requests that don't match any rule.",
            }
        },
    ),
    "IngressBackend": Change(
        drop=("service",),
        add={
            "serviceName": {"type": ["string", "null"], "description": "Specifies the name of the referenced service."},
            "servicePort": {
                "$ref": "#/$defs/io.k8s.apimachinery.pkg.util.intstr.IntOrString",
                "description": "Specifies the port of the referenced service.",
            },
        },
    ),
    "HTTPIngressPath": Change(optional=("pathType",)),
}

LEGACY = (
    Derivation(
        "apps.v1",
        "extensions.v1beta1",
        "extensions",
        ("DaemonSet", "Deployment", "ReplicaSet"),
        {
            **_with_rollback("extensions.v1beta1"),
            "DaemonSetSpec": Change(
                optional=("selector", "template"), add={"templateGeneration": _TEMPLATE_GENERATION}
            ),
        },
    ),
    _rollback("extensions.v1beta1", "extensions"),
    _rollback("apps.v1beta1", "apps"),
    Derivation("autoscaling.v1", "extensions.v1beta1", "extensions", ("Scale",), _SCALE),
    Derivation("autoscaling.v1", "apps.v1beta1", "apps", ("Scale",), _SCALE),
    Derivation("autoscaling.v1", "apps.v1beta2", "apps", ("Scale",), _SCALE),
    Derivation("networking.v1", "extensions.v1beta1", "extensions", ("Ingress", "NetworkPolicy"), _INGRESS_CHANGES),
    Derivation(
        "apps.v1",
        "apps.v1beta1",
        "apps",
        ("ControllerRevision", "Deployment", "StatefulSet"),
        _with_rollback("apps.v1beta1"),
    ),
    Derivation(
        "apps.v1",
        "apps.v1beta2",
        "apps",
        ("ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"),
    ),
    Derivation("batch.v1", "batch.v1beta1", "batch", ("CronJob",), shared=frozenset({"JobSpec"})),
    Derivation(
        "networking.v1", "networking.v1beta1", "networking.k8s.io", ("Ingress", "IngressClass"), _INGRESS_CHANGES
    ),
    Derivation("policy.v1", "policy.v1beta1", "policy", ("Eviction", "PodDisruptionBudget")),
)
"""The versions behind the server option ``--legacy-apis``."""
