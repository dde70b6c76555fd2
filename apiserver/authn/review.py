"""Answers TokenReviews: whose token is this, and for whom was it made."""

from __future__ import annotations

from collections.abc import Sequence

from apiserver.authn.bearer import BearerAuthenticator
from apiserver.authn.union import authenticated
from apiserver.http.request import User
from apiserver.serviceaccounts.authenticator import token_audiences


class Reviewer:
    """``audiences`` are the API server's own: what tokens of other sorts than service accounts' are good for."""

    def __init__(self, bearer: BearerAuthenticator, audiences: Sequence[str]) -> None:
        self._bearer = bearer
        self.audiences = tuple(audiences)

    async def review(self, token: str, audiences: Sequence[str]) -> tuple[User, Sequence[str]] | None:
        """The user and those of the audiences that the token is meant for. Raises ``StatusError`` 401."""
        user = await self._bearer.authenticate_token(token, audiences)
        if user is None:
            return None
        meant = token_audiences(token)
        meant = set(self.audiences) if meant is None else meant
        matching = [a for a in audiences if a in meant]
        return (authenticated(user), matching) if matching else None
