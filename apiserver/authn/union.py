"""The authenticators of a server asked in turn, and the group every authenticated user is in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from apiserver.http.protocols import Authenticator, Credentials
from apiserver.http.request import ANONYMOUS, User
from kubeling.api import errors

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
_MAX_CACHED = 8192


class Union:
    """The first authenticator that knows the user decides. Wrong credentials are refused even where anonymous requests are
    welcome, unless other credentials of the same request are good."""

    def __init__(self, authenticators: Sequence[Authenticator], *, anonymous: bool = True) -> None:
        self._authenticators = tuple(authenticators)
        self._anonymous = anonymous
        self._with_group: dict[int, tuple[User, User]] = {}

    async def authenticate(self, credentials: Credentials) -> User | None:
        refused: errors.StatusError | None = None
        for authenticator in self._authenticators:
            try:
                user = await authenticator.authenticate(credentials)
            except errors.StatusError as error:
                refused = error
                continue
            if user is not None:
                return self._authenticated(user)
        if refused is not None:
            raise refused
        if not self._anonymous:
            raise errors.unauthorized()
        return ANONYMOUS

    def _authenticated(self, user: User) -> User:
        """The user in ``system:authenticated``; the same object again for the same user, so that it can be a cache key."""
        found = self._with_group.get(id(user))
        if found is not None and found[0] is user:
            return found[1]
        if len(self._with_group) >= _MAX_CACHED:
            self._with_group.clear()
        changed = authenticated(user)
        self._with_group[id(user)] = (user, changed)
        return changed


def authenticated(user: User) -> User:
    """The user with the group of all authenticated users."""
    if AUTHENTICATED in user.groups or UNAUTHENTICATED in user.groups:
        return user
    return replace(user, groups=(*user.groups, AUTHENTICATED))
