"""The bearer token of a request, and the authenticators that go by it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Protocol

from apiserver.http.protocols import Credentials
from apiserver.http.request import User
from kubeling.api import errors

_WEBSOCKET_PREFIX = "base64url.bearer.authorization.k8s.io."


class Refused(errors.StatusError):
    """401 for a token of a known sort that is not good. ``why`` is for TokenReviews: the request itself learns nothing."""

    def __init__(self, why: str) -> None:
        super().__init__(errors.unauthorized().status)
        self.why = why


class TokenAuthenticator(Protocol):
    async def authenticate_token(self, token: str, audiences: Sequence[str] = ()) -> User | None:
        """The token's user, None for a token of another sort.

        Raises ``Refused`` for one of this sort that is wrong. ``audiences`` are those that the token must be
        meant for, empty for the API server's own.
        """
        ...


def bearer_token(credentials: Credentials) -> str:
    """The token in the Authorization header or in a WebSocket subprotocol, empty without one."""
    header = credentials.headers.get("authorization", "")
    if header:
        scheme, _, rest = header.strip().partition(" ")
        if scheme.lower() == "bearer":
            return rest.split(" ", 1)[0]  # upstream ignores a token behind two spaces
        return ""
    for protocol in credentials.websocket_protocols:
        if protocol.startswith(_WEBSOCKET_PREFIX):
            return _decoded(protocol.removeprefix(_WEBSOCKET_PREFIX))
    return ""


def _decoded(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise errors.unauthorized() from None


class BearerAuthenticator:
    """Asks the token authenticators in turn; a token that none of them knows is refused."""

    def __init__(self, authenticators: Sequence[TokenAuthenticator]) -> None:
        self._authenticators = tuple(authenticators)

    async def authenticate(self, credentials: Credentials) -> User | None:
        token = bearer_token(credentials)
        if not token:
            return None
        user = await self.authenticate_token(token)
        if user is None:
            raise errors.unauthorized()
        return user

    async def authenticate_token(self, token: str, audiences: Sequence[str] = ()) -> User | None:
        """The user; None when no authenticator knows the token. Raises 401 when all that answered refused it."""
        refused: errors.StatusError | None = None
        for authenticator in self._authenticators:
            try:
                user = await authenticator.authenticate_token(token, audiences)
            except errors.StatusError as error:
                refused = error
                continue
            if user is not None:
                return user
        if refused is not None:
            raise refused
        return None
