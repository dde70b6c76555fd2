"""Users and groups that service accounts are."""

from __future__ import annotations

_PREFIX = "system:serviceaccount:"
ALL_ACCOUNTS = "system:serviceaccounts"


def service_account_username(namespace: str, name: str) -> str:
    return f"{_PREFIX}{namespace}:{name}"


def service_account_groups(namespace: str) -> tuple[str, str]:
    return ALL_ACCOUNTS, f"{ALL_ACCOUNTS}:{namespace}"


def service_account_of(username: str) -> tuple[str, str] | None:
    """Namespace and name from ``system:serviceaccount:NAMESPACE:NAME``, None for any other user."""
    if not username.startswith(_PREFIX):
        return None
    namespace, colon, name = username.removeprefix(_PREFIX).partition(":")
    return (namespace, name) if colon and namespace and name and ":" not in name else None
