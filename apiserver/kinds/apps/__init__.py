"""Kinds of the group ``apps``: one module a kind, in the order of discovery."""

from __future__ import annotations

from apiserver.kinds.apps.controllerrevision import CONTROLLER_REVISION
from apiserver.kinds.apps.daemonset import DAEMON_SET
from apiserver.kinds.apps.deployment import DEPLOYMENT
from apiserver.kinds.apps.replicaset import REPLICA_SET
from apiserver.kinds.apps.statefulset import STATEFUL_SET
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (CONTROLLER_REVISION, DAEMON_SET, DEPLOYMENT, REPLICA_SET, STATEFUL_SET)
