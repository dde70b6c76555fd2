"""``Impersonate-*`` headers: acting as someone else, as far as the authorizer lets the real user.

Source: documentation "User impersonation"; wording of k8s.io/apiserver/pkg/endpoints/filters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from apiserver.authn.union import AUTHENTICATED, UNAUTHENTICATED
from apiserver.authz.forbidden import forbidden
from apiserver.http.protocols import Attributes, Authorizer, Credentials
from apiserver.http.request import User
from apiserver.serviceaccounts.names import service_account_groups, service_account_of

_USER = b"impersonate-user"
_GROUP = b"impersonate-group"
_UID = b"impersonate-uid"
_EXTRA = b"impersonate-extra-"
_AUTHENTICATION_GROUP = "authentication.k8s.io"


class WithoutUser(ValueError):
    """Headers ask for groups, uid or extra without a user; the message is upstream's."""


@dataclass(slots=True)
class _Wanted:
    user: str = ""
    uid: str = ""
    groups: list[str] = field(default_factory=list)
    extra: dict[str, list[str]] = field(default_factory=dict)

    @property
    def anything(self) -> bool:
        return bool(self.user or self.uid or self.groups or self.extra)


def _wanted(credentials: Credentials) -> _Wanted:
    wanted = _Wanted()
    for raw_name, raw_value in credentials.raw_headers:
        name, value = raw_name.lower(), raw_value.decode("latin-1")
        if not name.startswith(b"impersonate-"):
            continue
        if name == _USER:
            wanted.user = value
        elif name == _UID:
            wanted.uid = value
        elif name == _GROUP:
            wanted.groups.append(value)
        elif name.startswith(_EXTRA):
            key = unquote(name.removeprefix(_EXTRA).decode("latin-1")).lower()
            wanted.extra.setdefault(key, []).append(value)
    return wanted


def _questions(user: User, wanted: _Wanted) -> Iterator[Attributes]:
    """What the real user must be allowed, in upstream's order."""
    account = service_account_of(wanted.user)
    if account is not None:
        yield Attributes(
            user, "impersonate", version="v1", resource="serviceaccounts", namespace=account[0], name=account[1]
        )
    else:
        yield Attributes(user, "impersonate", version="v1", resource="users", name=wanted.user)
    for group in wanted.groups:
        yield Attributes(user, "impersonate", version="v1", resource="groups", name=group)
    for key, values in wanted.extra.items():
        for value in values:
            yield Attributes(
                user,
                "impersonate",
                group=_AUTHENTICATION_GROUP,
                version="v1",
                resource="userextras",
                subresource=key,
                name=value,
            )
    if wanted.uid:
        yield Attributes(
            user, "impersonate", group=_AUTHENTICATION_GROUP, version="v1", resource="uids", name=wanted.uid
        )


async def impersonate(user: User, credentials: Credentials, authorizer: Authorizer) -> User:
    """The user the request acts as: the real one when no impersonation is asked for.

    Raises ``StatusError`` 403 when the real user may not, ``WithoutUser`` when headers ask for something that needs one.
    """
    wanted = _wanted(credentials)
    if not wanted.anything:
        return user
    if not wanted.user:
        raise WithoutUser(f"requested {_described(wanted)} without impersonating a user")
    for attributes in _questions(user, wanted):
        decision = await authorizer.authorize(attributes)
        if not decision.allowed:
            raise forbidden(attributes, decision.reason)
    extra = {key: tuple(values) for key, values in wanted.extra.items()}
    return User(wanted.user, wanted.uid, _groups(wanted), extra)


def _groups(wanted: _Wanted) -> tuple[str, ...]:
    groups = tuple(wanted.groups)
    account = service_account_of(wanted.user)
    if account is not None and not groups:
        groups = service_account_groups(account[0])
    if AUTHENTICATED in groups or UNAUTHENTICATED in groups:
        return groups
    return (*groups, UNAUTHENTICATED if wanted.user == "system:anonymous" else AUTHENTICATED)


def _described(wanted: _Wanted) -> str:
    """The object references, printed as Go prints a list of structs."""
    version = f"{_AUTHENTICATION_GROUP}/v1"
    references = [("Group", "", name, "", "", "", "") for name in wanted.groups]
    references += [
        ("UserExtra", "", value, "", version, "", key) for key, values in wanted.extra.items() for value in values
    ]
    if wanted.uid:
        references.append(("UID", "", wanted.uid, "", version, "", ""))
    return "[" + " ".join("{" + " ".join(fields) + "}" for fields in references) + "]"
