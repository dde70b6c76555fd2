"""CSIDriver, CSINode and CSIStorageCapacity: what container storage drivers tell the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, NONE, UNSET, age_of, column
from apiserver.kinds.strategies import default_to
from apiserver.kinds.validation.common import dns_subdomain, nonnegative_quantity, qualified_name
from apiserver.kinds.validation.meta import IMMUTABLE, immutable, nonnegative
from apiserver.kinds.validation.pod.storage_volumes import validate_csi_driver_name
from apiserver.kinds.validation.pod.warnings import node_label_warning, node_selector_term_warnings
from apiserver.kinds.validation.selectors import validate_label_selector
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import CSI_DRIVERS, CSI_NODES, CSI_STORAGE_CAPACITIES

SPEC = Path("spec")
_MIN_TOKEN, _MAX_TOKEN = 600, 1 << 32
_MODES, _FS_POLICIES = ("Persistent", "Ephemeral"), ("File", "None", "ReadWriteOnceWithFSType")
_REQUIRED = (("attachRequired", "attachedRequired"), ("podInfoOnMount",) * 2, ("storageCapacity",) * 2)
"""Fields that must be set and how upstream spells them in errors."""
_NODE_ID_LIMIT = 256
_TOKEN_WARNING = (
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true "
    "to prevent possible logging of tokens in volume attributes"
)


class CSIDriverStrategy(Strategy):
    allow_unconditional_update = False

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        for field, value in (
            ("attachRequired", True),
            ("podInfoOnMount", False),
            ("storageCapacity", False),
            ("fsGroupPolicy", "ReadWriteOnceWithFSType"),
            ("requiresRepublish", False),
            ("seLinuxMount", False),
        ):
            default_to(spec, field, value)
        if not spec.get("volumeLifecycleModes"):
            spec["volumeLifecycleModes"] = ["Persistent"]
        for request in spec.get("tokenRequests") or ():
            request.setdefault("audience", "")

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return _validate_driver(obj["spec"])

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        new, before = obj["spec"], old.get("spec") or {}
        errors = _validate_driver(new)
        errors += immutable(new.get("attachRequired"), before.get("attachRequired"), SPEC.child("attachedRequired"))
        modes = "volumeLifecycleModes"
        return errors + immutable(new.get(modes), before.get(modes), SPEC.child(modes))

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return _driver_warnings(obj)

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        """The generation counts changes only: a new driver has none."""
        if obj["spec"] != old.get("spec"):
            obj["metadata"]["generation"] = (old["metadata"].get("generation") or 0) + 1


def _driver_warnings(obj: Object) -> list[str]:
    spec = obj["spec"]
    return [_TOKEN_WARNING] if spec.get("tokenRequests") and spec.get("serviceAccountTokenInSecrets") is None else []


def _validate_driver(spec: Mapping[str, Any]) -> ErrorList:
    errors = [fields.required(SPEC.child(shown)) for field, shown in _REQUIRED if spec.get(field) is None]
    policy = spec.get("fsGroupPolicy")
    if policy is not None and policy not in _FS_POLICIES:
        errors.append(fields.not_supported(SPEC.child("fsGroupPolicy"), policy, _FS_POLICIES))
    errors += _validate_tokens(spec.get("tokenRequests") or (), SPEC.child("tokenRequests"))
    at = SPEC.child("volumeLifecycleModes")
    modes = spec.get("volumeLifecycleModes") or ()
    errors += [fields.not_supported(at, m, _MODES) for m in modes if m not in _MODES]
    if spec.get("seLinuxMount") is None:
        errors.append(fields.required(SPEC.child("seLinuxMount")))
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < 10:
        at = SPEC.child("nodeAllocatableUpdatePeriodSeconds")
        errors.append(fields.invalid(at, period, "must be greater than or equal to 10 seconds"))
    if spec.get("serviceAccountTokenInSecrets") is not None and not spec.get("tokenRequests"):
        at, detail = SPEC.child("serviceAccountTokenInSecrets"), "must be unset when tokenRequests is empty"
        errors.append(fields.forbidden(at, detail))
    return errors


def _validate_tokens(requests: Any, path: Path) -> ErrorList:
    errors: ErrorList = []
    audiences = set[str]()
    for i, request in enumerate(requests):
        audience, seconds, at = request.get("audience") or "", request.get("expirationSeconds"), path.index(i)
        if audience in audiences:
            errors.append(fields.duplicate(at.child("audience"), audience))
            continue
        audiences.add(audience)
        if seconds is None:
            continue
        if seconds < _MIN_TOKEN:
            detail = "may not specify a duration less than 10 minutes"
            errors.append(fields.invalid(at.child("expirationSeconds"), seconds, detail))
        if seconds > _MAX_TOKEN:
            detail = "may not specify a duration larger than 2^32 seconds"
            errors.append(fields.invalid(at.child("expirationSeconds"), seconds, detail))
    return errors


class CSINodeStrategy(Strategy):
    allow_unconditional_update = False

    def default(self, obj: Object) -> None:
        for driver in obj.setdefault("spec", {}).get("drivers") or ():
            driver.setdefault("nodeID", "")
            driver["topologyKeys"] = driver.get("topologyKeys") or None

    def canonicalize(self, obj: Object) -> None:
        """An empty list becomes null, as upstream's storage makes it."""
        obj["spec"]["drivers"] = obj["spec"].get("drivers") or None

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return _validate_node_drivers(obj["spec"].get("drivers") or [])

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        new = obj["spec"].get("drivers") or []
        errors = _validate_node_drivers(new) * 2  # upstream validates twice
        for before in (old.get("spec") or {}).get("drivers") or ():
            for driver in new:
                if driver.get("name") == before.get("name") and _fixed(driver) != _fixed(before):
                    shown = _internal_driver(driver)
                    errors.append(fields.invalid(SPEC.child("drivers"), shown, IMMUTABLE))
        return errors


def _fixed(driver: Mapping[str, Any]) -> Object:
    """What of a driver may not change: all but its limits."""
    return {k: v for k, v in driver.items() if k != "allocatable" and v}


def _internal_driver(driver: Mapping[str, Any]) -> Object:
    """As Go prints upstream's internal type, limits masked."""
    return {
        "Name": driver.get("name", ""),
        "NodeID": driver.get("nodeID", ""),
        "TopologyKeys": driver.get("topologyKeys") or None,
        "Allocatable": None,
    }


def _validate_node_drivers(drivers: list[Object]) -> ErrorList:
    errors: ErrorList = []
    seen = set[str]()
    for i, driver in enumerate(drivers):
        at, name, node = SPEC.child("drivers").index(i), driver.get("name") or "", driver.get("nodeID") or ""
        errors += validate_csi_driver_name(name, at.child("name"))
        if not node:
            errors.append(fields.required(at.child("nodeID")))
        if len(node.encode()) > _NODE_ID_LIMIT:
            detail = f"must be {_NODE_ID_LIMIT} characters or less"
            errors.append(fields.invalid(at.child("nodeID"), node, detail))
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None:
            errors += nonnegative(count, at.child("allocatable").child("count"))
        if name in seen:
            errors.append(fields.duplicate(at.child("name"), name))
        seen.add(name)
        errors += _validate_topology_keys(driver.get("topologyKeys") or [], at)
    return errors


def _validate_topology_keys(keys: list[str], path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, key in enumerate(keys):
        if not key:
            errors.append(fields.required(path))
        if key in keys[:i]:
            errors.append(fields.duplicate(path, key))
        errors += qualified_name(key, path)
    return errors


class CSIStorageCapacityStrategy(Strategy):
    allow_unconditional_update = False

    def default(self, obj: Object) -> None:
        obj.setdefault("storageClassName", "")

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        errors = validate_label_selector(obj.get("nodeTopology"), Path("nodeTopology"))
        errors += dns_subdomain(obj.get("storageClassName") or "", Path("storageClassName"))
        if obj.get("capacity") is not None:
            errors += nonnegative_quantity(obj["capacity"], Path("capacity"))
        return errors

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return self.validate(ctx, obj) + [
            fields.invalid(Path(name), obj.get(name), IMMUTABLE)
            for name in ("nodeTopology", "storageClassName")
            if obj.get(name) != old.get(name)
        ]

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return _topology_warnings(obj.get("nodeTopology") or {})

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return _topology_warnings(obj.get("nodeTopology") or {})


def _topology_warnings(topology: Mapping[str, Any]) -> list[str]:
    """Labels of old in a node selector."""
    at = Path("nodeTopology")
    found = list(node_selector_term_warnings(topology, at))
    for label in sorted(topology.get("matchLabels") or {}):
        if text := node_label_warning(label):
            found.append(f"{at.child('matchLabels').child(label)}: {text}")
    return found


def _driver_row(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    tokens = spec.get("tokenRequests")
    return [
        name_of(obj),
        spec.get("attachRequired", True),
        spec.get("podInfoOnMount", False),
        spec.get("storageCapacity", False),
        UNSET if tokens is None else ",".join(t.get("audience", "") for t in tokens),
        spec.get("requiresRepublish", False),
        ",".join(spec.get("volumeLifecycleModes") or ()) or NONE,
        age_of(obj, now),
    ]


def _node_row(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), len((obj.get("spec") or {}).get("drivers") or ()), age_of(obj, now)]


def _capacity_row(obj: Object, now: datetime) -> list[Any]:
    capacity = obj.get("capacity")
    return [name_of(obj), obj.get("storageClassName", ""), UNSET if capacity is None else str(capacity)]


_DRIVER = "storage.v1.CSIDriverSpec:"
CSI_DRIVER = Kind(
    CSI_DRIVERS,
    CSIDriverStrategy(),
    Printer(
        (
            NAME,
            column("AttachRequired", _DRIVER + "attachRequired", "boolean"),
            column("PodInfoOnMount", _DRIVER + "podInfoOnMount", "boolean"),
            column("StorageCapacity", _DRIVER + "storageCapacity", "boolean"),
            column("TokenRequests", _DRIVER + "tokenRequests"),
            column("RequiresRepublish", _DRIVER + "requiresRepublish", "boolean"),
            column("Modes", _DRIVER + "volumeLifecycleModes"),
            AGE,
        ),
        _driver_row,
    ),
    returns_deleted=True,
)
CSI_NODE = Kind(
    CSI_NODES,
    CSINodeStrategy(),
    Printer(
        (
            NAME,
            column("Drivers", "Drivers indicates the number of CSI drivers registered on the node", "integer"),
            AGE,
        ),
        _node_row,
    ),
    returns_deleted=True,
)
_CAPACITY = "storage.v1.CSIStorageCapacity:"
CSI_STORAGE_CAPACITY = Kind(
    CSI_STORAGE_CAPACITIES,
    CSIStorageCapacityStrategy(),
    Printer(
        (
            NAME,
            column("StorageClassName", _CAPACITY + "storageClassName"),
            column("Capacity", _CAPACITY + "capacity"),
        ),
        _capacity_row,
    ),
)
