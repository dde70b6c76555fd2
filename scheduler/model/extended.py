"""Extended resources that DeviceClasses offer: pods ask for them by name, without a claim. Pure.

Source: the API reference of DeviceClass (extendedResourceName), KEP-5004.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubeling.api.meta import Object, name_of

PREFIX = "deviceclass.resource.kubernetes.io/"
"""A resource of that domain is offered by the class that it names."""


def offered(resources: Iterable[str], classes: Iterable[Object]) -> dict[str, str]:
    """Which class offers each of the resources, as far as one does: of several the newest, then the first by name."""
    wanted = set(resources)
    known = list(classes)
    found = {PREFIX + name_of(c): name_of(c) for c in known if PREFIX + name_of(c) in wanted}
    for one in sorted(sorted(known, key=name_of, reverse=True), key=_created):  # the best comes last
        name = (one.get("spec") or {}).get("extendedResourceName")
        if name in wanted:
            found[name] = name_of(one)
    return found


def _created(one: Object) -> str:
    return str(one["metadata"].get("creationTimestamp") or "")


def may_be_offered(name: str) -> bool:
    """Whether the name is of a kind that classes offer at all."""
    return name.startswith(PREFIX) or ("/" in name and "kubernetes.io/" not in name)


def asked_of_classes(requests: Mapping[str, int], classes: Iterable[Object]) -> dict[str, str]:
    """The resources among a pod's requests that classes offer, with the classes' names."""
    names = [name for name, amount in requests.items() if amount and may_be_offered(name)]
    return offered(names, classes) if names else {}
