"""Kinds of the group admissionregistration.k8s.io."""

from __future__ import annotations

from apiserver.kinds.admissionregistration.policy import (
    MUTATING_POLICY,
    MUTATING_POLICY_BINDING,
    VALIDATING_POLICY,
    VALIDATING_POLICY_BINDING,
)
from apiserver.kinds.admissionregistration.webhook import MUTATING_WEBHOOK, VALIDATING_WEBHOOK
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (
    MUTATING_POLICY,
    MUTATING_POLICY_BINDING,
    MUTATING_WEBHOOK,
    VALIDATING_POLICY,
    VALIDATING_POLICY_BINDING,
    VALIDATING_WEBHOOK,
)
