"""Who asks for what: ``User`` and ``RequestInfo``, as every step of the chain reads them.

Model: k8s.io/apiserver/pkg/endpoints/request.RequestInfo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

EMPTY_EXTRA: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class User:
    """Who sends the request. ``extra`` keys are lower case, as upstream keeps them."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: EMPTY_EXTRA)


ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))
LOOPBACK = User("system:apiserver", groups=("system:masters", "system:authenticated"))
"""The server itself: bootstrap objects and actions that write other kinds."""


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What a request is about.

    ``verb``: ``get list watch create update patch delete deletecollection proxy`` for resources, the lower-case HTTP
    method otherwise. ``resource`` is the plural. ``namespace`` of the ``namespaces`` resource is its own name.
    ``parts`` are the path segments from the resource on (name, subresource and, for proxies, the rest of the path).
    """

    verb: str
    path: str
    method: str = "GET"
    is_resource: bool = False
    prefix: str = ""
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    parts: tuple[str, ...] = ()
    label_selector: str = ""
    field_selector: str = ""

    @property
    def read_only(self) -> bool:
        return self.verb in ("get", "list", "watch")
