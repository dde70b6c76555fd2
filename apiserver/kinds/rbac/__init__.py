"""Kinds of the group rbac.authorization.k8s.io."""

from __future__ import annotations

from apiserver.kinds.rbac.bindings import CLUSTER_ROLE_BINDING, ROLE_BINDING
from apiserver.kinds.rbac.roles import CLUSTER_ROLE, ROLE
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (CLUSTER_ROLE_BINDING, CLUSTER_ROLE, ROLE_BINDING, ROLE)
