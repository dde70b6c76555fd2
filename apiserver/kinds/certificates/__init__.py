"""Kinds of the group certificates.k8s.io."""

from __future__ import annotations

from apiserver.kinds.certificates.request import CERTIFICATE_SIGNING_REQUEST
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (CERTIFICATE_SIGNING_REQUEST,)
