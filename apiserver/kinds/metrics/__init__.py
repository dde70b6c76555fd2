"""Kinds of the group metrics.k8s.io; served only with ``--enable-metrics-api``, so not among the kinds of ``apiserver.kinds``.

They are what metrics-server gives a cluster; the server has the figures itself, see ``usage`` and ``scraper``.
"""

from __future__ import annotations

from apiserver.kinds.metrics.metrics import NODE_METRICS, POD_METRICS
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (NODE_METRICS, POD_METRICS)
