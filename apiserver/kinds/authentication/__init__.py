"""Kinds of the group authentication.k8s.io: nothing of them is stored."""

from __future__ import annotations

from apiserver.kinds.authentication.reviews import SELF_SUBJECT_REVIEW, TOKEN_REVIEW
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (SELF_SUBJECT_REVIEW, TOKEN_REVIEW)
