"""Fields of a pod's spec whose feature gates are off by default in 1.36: dropped from what users send (DropDisabledPodFields)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeling.api.meta import Object

_SPEC_FIELDS = ("schedulingGroup",)
_PROJECTIONS = ("clusterTrustBundle", "podCertificate")


def drop_disabled(spec: Object, old: Mapping[str, Any] | None = None) -> None:
    """Changes ``spec`` in place. What the old spec uses may stay."""
    for field in _SPEC_FIELDS:
        if not (old or {}).get(field):
            spec.pop(field, None)
    used = {name for source in _sources(old or {}) for name in _PROJECTIONS if source.get(name) is not None}
    for source in _sources(spec):
        for name in _PROJECTIONS:
            if name not in used:
                source.pop(name, None)


def drop_disabled_in_template(template: Object | None, old: Mapping[str, Any] | None = None) -> None:
    if template is not None:
        drop_disabled(template.get("spec") or {}, (old or {}).get("spec"))


def _sources(spec: Mapping[str, Any]) -> list[Object]:
    volumes = spec.get("volumes") or ()
    return [source for volume in volumes for source in (volume.get("projected") or {}).get("sources") or ()]
