"""Kinds of the group ``batch``: one module a kind, in the order of discovery."""

from __future__ import annotations

from apiserver.kinds.batch.cronjob import CRON_JOB
from apiserver.kinds.batch.job import JOB
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (CRON_JOB, JOB)
