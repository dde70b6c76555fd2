"""ServiceAccount: every namespace has the account ``default``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.lib.podcontrol import is_namespace_terminating
from kubeling.api.errors import StatusError, is_already_exists
from kubeling.api.meta import Key, Object, name_of, namespace_of
from kubeling.api.resources import NAMESPACES, SERVICE_ACCOUNTS

DEFAULT = "default"


def is_open(namespace: Object | None) -> bool:
    """True for a namespace that things can be created in."""
    phase = ((namespace or {}).get("status") or {}).get("phase") or "Active"
    return namespace is not None and phase == "Active" and not namespace["metadata"].get("deletionTimestamp")


def namespace_name(old: Object | None, new: Object | None) -> Iterable[str]:
    """Keys of a controller that looks at namespaces by name, from changes of the namespaces themselves."""
    if new is not None:
        yield name_of(new)


def namespace_when_lost(name: str) -> Callable[[Object | None, Object | None], Iterable[str]]:
    """A mapper to the namespace of an object of that name which was changed or deleted."""

    def keys(old: Object | None, new: Object | None) -> Iterable[str]:
        if old is not None and name_of(old) == name:
            yield namespace_of(old)

    return keys


async def ensure(collection: Collection, wanted: Object) -> None:
    """Creates the object unless it is there; a namespace that goes away meanwhile is fine."""
    try:
        await collection.create(wanted)
    except StatusError as err:
        if is_already_exists(err):
            await collection.fetch(Key(namespace_of(wanted), name_of(wanted)))
        elif not is_namespace_terminating(err) and err.code != 404:
            raise


class ServiceAccountReconciler:
    """Creates the default account of a namespace where it is missing."""

    def __init__(self, namespaces: Collection, accounts: Collection) -> None:
        self._namespaces = namespaces
        self._accounts = accounts

    async def reconcile(self, key: str) -> None:
        if is_open(self._namespaces.get(Key("", key))) and self._accounts.get(Key(key, DEFAULT)) is None:
            await ensure(self._accounts, {"metadata": {"name": DEFAULT, "namespace": key}})


def build(context: Context) -> Sequence[Runnable]:
    namespaces = context.collection(NAMESPACES)
    accounts = context.collection(SERVICE_ACCOUNTS)
    controller = context.controller("serviceaccount", ServiceAccountReconciler(namespaces, accounts))
    controller.watch(namespaces.informer, namespace_name)
    controller.watch(accounts.informer, namespace_when_lost(DEFAULT))
    return [controller]


CONTROLLER = ControllerSpec(
    "serviceaccount-controller", build, alias="serviceaccount", account="service-account-controller"
)
