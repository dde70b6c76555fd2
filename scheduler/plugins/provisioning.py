"""Whether a volume could be made for a claim on a node: the class's topologies, and the storage that its driver says is left. Pure.

Source: https://kubernetes.io/docs/concepts/storage/storage-capacity/, upstream's VolumeBinding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeling.api.meta import Object, name_of
from kubeling.api.quantity import parse
from kubeling.api.selectors import from_label_selector

NO_PROVISIONER = "kubernetes.io/no-provisioner"


def requested(claim: Object) -> Any:
    """The bytes that the claim asks for."""
    spec = claim.get("spec") or {}
    return parse(((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")).value


def provisions(storage_class: Object | None, labels: Mapping[str, str]) -> bool:
    """Whether the class makes volumes, and for nodes with these labels."""
    if storage_class is None or storage_class.get("provisioner") in (None, "", NO_PROVISIONER):
        return False
    topologies = storage_class.get("allowedTopologies") or ()
    return not topologies or any(
        all(labels.get(e["key"]) in (e.get("values") or ()) for e in t.get("matchLabelExpressions") or ())
        for t in topologies
    )


def has_space(
    claim: Object, storage_class: Object, driver: Object | None, capacities: Iterable[Object], labels: Mapping[str, str]
) -> bool:
    """Whether the driver has room for the claim where nodes with these labels reach it; one that does not tell always has."""
    if not ((driver or {}).get("spec") or {}).get("storageCapacity"):
        return True
    size, name = requested(claim), name_of(storage_class)
    return any(
        capacity.get("storageClassName") == name and _holds(capacity, size) and _reaches(capacity, labels)
        for capacity in capacities
    )


def _holds(capacity: Object, size: Any) -> bool:
    """The largest single volume, where it is told, says more than all that is left."""
    limit = capacity.get("maximumVolumeSize") or capacity.get("capacity")
    return limit is not None and parse(limit).value >= size


def _reaches(capacity: Object, labels: Mapping[str, str]) -> bool:
    topology = capacity.get("nodeTopology")
    return topology is not None and from_label_selector(topology).matches(dict(labels))
