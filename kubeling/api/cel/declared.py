"""The environments of Kubernetes' expressions: admission policies, webhooks' conditions, device selectors.

Source: the variables that k8s.io/apiserver/pkg/admission/plugin/cel and k8s.io/dynamic-resource-allocation/cel declare.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .authorizer import AUTHORIZER, RESOURCE_CHECK
from .env import Env, function, of
from .errors import CompileError
from .kubernetes import BASE
from .program import Program, compile_program
from .types import BOOL, DYN, INT, NULL, QUANTITY, STRING, TIMESTAMP, Type, list_of, map_of, object_type, output_name


class Refused(Exception):
    """The expression does not compile, or gives what it may not give; the text is the detail of the API's error."""


_STRINGS = map_of(STRING, STRING)
_KIND = object_type("kubernetes.GroupVersionKind", {"group": STRING, "version": STRING, "kind": STRING})
_RESOURCE = object_type("kubernetes.GroupVersionResource", {"group": STRING, "version": STRING, "resource": STRING})
_USER = object_type(
    "kubernetes.UserInfo",
    {"username": STRING, "uid": STRING, "groups": list_of(STRING), "extra": map_of(STRING, list_of(STRING))},
)
REQUEST = object_type(
    "kubernetes.AdmissionRequest",
    {
        "kind": _KIND, "resource": _RESOURCE, "subResource": STRING, "requestKind": _KIND, "requestResource": _RESOURCE,
        "requestSubResource": STRING, "name": STRING, "namespace": STRING, "operation": STRING, "userInfo": _USER,
        "dryRun": BOOL, "options": DYN,
    },
)  # fmt: skip
_META = {
    "name": STRING, "generateName": STRING, "namespace": STRING, "labels": _STRINGS, "annotations": _STRINGS, "UID": STRING,
    "creationTimestamp": TIMESTAMP, "deletionGracePeriodSeconds": INT, "deletionTimestamp": TIMESTAMP, "generation": INT,
    "resourceVersion": STRING, "finalizers": list_of(STRING),
}  # fmt: skip
NAMESPACE = object_type(
    "kubernetes.Namespace",
    {
        "metadata": object_type("kubernetes.NamespaceMetadata", _META),
        "spec": object_type("kubernetes.NamespaceSpec", {"finalizers": list_of(STRING)}),
        "status": object_type("kubernetes.NamespaceStatus", {"phase": STRING}),
    },
)
ADMISSION = BASE.extend({"object": DYN, "oldObject": DYN, "request": REQUEST, "namespaceObject": NAMESPACE})
PATCH = object_type("JSONPatch", {"op": STRING, "path": STRING, "from": STRING, "value": DYN})
OBJECT = object_type("Object", None)
_MUTATION = (function("jsonpatch.escapeKey", lambda s: s.replace("~", "~0").replace("/", "~1"), of(STRING, STRING)),)
_DEVICE = object_type(
    "kubernetes.DRADevice",
    {
        "driver": STRING, "attributes": map_of(STRING, map_of(STRING, DYN)),
        "capacity": map_of(STRING, map_of(STRING, QUANTITY)), "allowMultipleAllocations": BOOL,
    },
)  # fmt: skip
DEVICE = BASE.extend({"device": _DEVICE}, bindings=True)
AUDIT_VALUE = (STRING, NULL)


def admission_env(
    *, params: bool = False, authorizer: bool = True, variables: Mapping[str, Type] | None = None, mutation: bool = False,
    objects: Type = DYN, param_type: Type = DYN,
) -> Env:  # fmt: skip
    """``variables``: those that a policy has declared so far, None where there can be none; ``objects``: the type of object."""
    declared: dict[str, Type] = {"object": objects, "oldObject": objects}
    if params:
        declared["params"] = param_type
    if authorizer:
        declared |= {"authorizer": AUTHORIZER, "authorizer.requestResource": RESOURCE_CHECK}
    if variables is not None:
        declared["variables"] = object_type("kubernetes.variables", dict(variables))
    env = ADMISSION.extend(declared)
    return env.extend({}, _MUTATION, {"JSONPatch": PATCH}, tree="Object") if mutation else env


def compiled(env: Env, source: str, *types: Type) -> Program:
    """The program of an expression that must give one of ``types`` (none: anything). Raises Refused."""
    try:
        program = compile_program(env, source)
    except CompileError as error:
        raise Refused(f"compilation failed: {error}") from None
    found = program.type
    if types and found.kind != "dyn" and found not in types:
        wanted = str(types[0]) if len(types) == 1 else f"one of [{' '.join(output_name(t) for t in types)}]"
        raise Refused(f"must evaluate to {wanted} but got {output_name(found)}")
    return program


class Domains(dict[str, dict[str, Any]]):
    """A device's attributes or capacities by domain; of a domain that has none the map is empty, not absent."""

    default: dict[str, Any] = {}  # expressions change nothing


def device_selector(source: str) -> Program:
    """Raises Refused."""
    program = compiled(DEVICE, source)
    if program.type.kind not in ("bool", "dyn"):
        raise Refused(f"must evaluate to bool or the unknown type, not {output_name(program.type)}")
    return program


PATCHES = list_of(PATCH)
