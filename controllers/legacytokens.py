"""Legacy service account tokens that nobody uses: first marked as invalid, then deleted.

They are the Secrets that old clusters made for every ServiceAccount; hand-made ones are left alone.
Source: pkg/controller/serviceaccount, the legacy token cleaner.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from controllers.accounttokens import ACCOUNT_NAME, ACCOUNT_UID, TYPE
from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import (
    Key,
    Object,
    annotations_of,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    parse_time,
    resource_version_of,
    uid_of,
)
from kubeling.api.podreferences import names_in
from kubeling.api.resources import CONFIG_MAPS, PODS, SECRETS, SERVICE_ACCOUNTS
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.rest import PatchKind

LAST_USED, INVALID_SINCE = "kubernetes.io/legacy-token-last-used", "kubernetes.io/legacy-token-invalid-since"
TRACKING = Key("kube-system", "kube-apiserver-legacy-service-account-token-tracking")
SYNC_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Plan:
    invalidate: tuple[Object, ...] = ()
    delete: tuple[Object, ...] = ()


def day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        return None


def tracked_long_enough(tracking: Object | None, now: datetime, period: timedelta) -> bool:
    """Whether the API server has noted the use of tokens for a whole period, from the day after it began."""
    since = day(((tracking or {}).get("data") or {}).get("since"))
    return since is not None and now >= datetime.combine(since, time(), UTC) + timedelta(days=1) + period


def in_use(pods: Iterable[Object]) -> set[Key]:
    """The Secrets that pods name, in whatever field."""
    return {Key(namespace_of(pod), name) for pod in pods for plural, name in names_in(pod) if plural == "secrets"}


def plan(
    secrets: Iterable[Object], accounts: Iterable[Object], pods: Iterable[Object], now: datetime, period: timedelta
) -> Plan:
    """What has become of the tokens that no one used for ``period``; a marked one has another period to be noticed."""
    border = (now - period).date()
    known = {Key(namespace_of(a), name_of(a)): a for a in accounts}
    named = in_use(pods)
    invalidate, delete = [], []
    for secret in secrets:
        if not _is_unused(secret, known, border, now - period):
            continue
        if Key(namespace_of(secret), name_of(secret)) in named:
            continue
        since = day(labels_of(secret).get(INVALID_SINCE))
        if since is None:
            invalidate.append(secret)
        elif since < border:
            delete.append(secret)
    return Plan(tuple(invalidate), tuple(delete))


def _is_unused(secret: Object, accounts: dict[Key, Object], border: date, oldest: datetime) -> bool:
    if secret.get("type") != TYPE or is_deleting(secret):
        return False
    if parse_time(secret["metadata"]["creationTimestamp"]) >= oldest:
        return False
    if LAST_USED in labels_of(secret):
        used = day(labels_of(secret)[LAST_USED])
        if used is None or used >= border:  # one that cannot be read may be of today
            return False
    notes = annotations_of(secret)
    account = accounts.get(Key(namespace_of(secret), notes.get(ACCOUNT_NAME, "")))
    if account is None or notes.get(ACCOUNT_UID) not in (None, uid_of(account)):
        return False
    return any(reference.get("name") == name_of(secret) for reference in account.get("secrets") or ())


class LegacyTokenCleaner:
    """Looks at all tokens once a day."""

    def __init__(
        self, secrets: Collection, accounts: Collection, pods: Collection, clock: Clock, period: float
    ) -> None:
        self._secrets, self._accounts, self._pods, self._clock = secrets, accounts, pods, clock
        self._period = timedelta(seconds=period)

    async def reconcile(self, _: str) -> Result:
        now = self._clock.now()
        if tracked_long_enough(await self._tracking(), now, self._period):
            secrets, accounts, pods = (c.store.list() for c in (self._secrets, self._accounts, self._pods))
            decided = plan(secrets, accounts, pods, now, self._period)
            for secret in decided.invalidate:
                patch = {"metadata": {"uid": uid_of(secret), "labels": {INVALID_SINCE: now.date().isoformat()}}}
                await self._secrets.patch(secret, patch, kind=PatchKind.STRATEGIC)
            for secret in decided.delete:
                await self._secrets.delete(secret, resource_version=resource_version_of(secret))
        return Result(SYNC_SECONDS)

    async def _tracking(self) -> Object | None:
        try:
            return await self._secrets.client.get(CONFIG_MAPS, TRACKING.name, TRACKING.namespace)
        except StatusError as err:
            if is_not_found(err):
                return None
            raise


def build(context: Context) -> Sequence[Runnable]:
    secrets, accounts, pods = (context.collection(r) for r in (SECRETS, SERVICE_ACCOUNTS, PODS))
    period = context.options.legacy_service_account_token_clean_up_period
    cleaner = LegacyTokenCleaner(secrets, accounts, pods, context.clock, period)
    controller = context.controller("legacy-service-account-token-cleaner", cleaner, workers=1)
    for collection in (secrets, accounts, pods):
        controller.watch(collection.informer, lambda old, new: ())
    controller.queue.add("all")
    return [controller]


CONTROLLER = ControllerSpec(
    "legacy-serviceaccount-token-cleaner-controller",
    build,
    alias="legacy-service-account-token-cleaner",
    account="legacy-service-account-token-cleaner",
)
