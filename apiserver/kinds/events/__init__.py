"""The group events.k8s.io: its Event is another version of the core one, see ``apiserver.kinds.core.event``."""

from __future__ import annotations

from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = ()
