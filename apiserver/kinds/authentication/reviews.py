"""SelfSubjectReview (who am I) and TokenReview (whose token is this).

Source: k8s.io/kubernetes/pkg/registry/authentication.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from apiserver.authn.bearer import Refused
from apiserver.http.protocols import Credentials
from apiserver.http.request import User
from apiserver.registry.actions import ActionRequest, ActionResult
from apiserver.registry.kind import Kind
from kubeling.api import errors
from kubeling.api.meta import Object, rfc3339
from kubeling.api.resources import SELF_SUBJECT_REVIEWS, TOKEN_REVIEWS

TOKEN_REVIEWER = "token_reviewer"
"""The name of a ``TokenReviewer`` in ``Services.extra``."""
_INVALID = "invalid bearer token"


class TokenReviewer(Protocol):
    @property
    def audiences(self) -> Sequence[str]:
        """Those of the API server: what a review asks for that names none."""
        ...

    async def review(self, token: str, audiences: Sequence[str]) -> tuple[User, Sequence[str]] | None:
        """The user, and which of the audiences the token is meant for. Raises ``StatusError`` 401."""
        ...


def user_info(user: User) -> Object:
    """``UserInfo``; empty fields are left out."""
    info = {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(user.extra[key]) for key in sorted(user.extra)},
    }
    return {field: value for field, value in info.items() if value}


async def create_self_subject_review(request: ActionRequest) -> ActionResult:
    return ActionResult(
        {
            "kind": "SelfSubjectReview",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"creationTimestamp": rfc3339(request.now)},
            "status": {"userInfo": user_info(request.user)},
        },
        201,
    )


async def create_token_review(request: ActionRequest) -> ActionResult:
    body = request.track(request.body or {})
    spec = body.get("spec") or {}
    token = spec.get("token") or ""
    if not token:
        raise errors.bad_request("token is required for TokenReview in authentication")
    return ActionResult(
        {**body, "spec": spec, "status": await _status(request, token, spec.get("audiences") or ())}, 201
    )


async def _status(request: ActionRequest, token: str, audiences: Sequence[str]) -> Object:
    reviewer: TokenReviewer | None = request.services.extra.get(TOKEN_REVIEWER)
    try:
        if reviewer is not None:
            found = await reviewer.review(token, audiences or reviewer.audiences)
        else:
            credentials = Credentials({"authorization": f"Bearer {token}"})
            user = await request.services.authenticator.authenticate(credentials)
            found = (user, audiences) if user is not None else None
    except Refused as refused:
        return {"user": {}, "error": f"[{_INVALID}, {refused.why}]"}
    except errors.StatusError as error:
        if error.code != 401:
            raise
        found = None
    if found is None:
        return {"user": {}, "error": _INVALID}
    status: Object = {"authenticated": True, "user": user_info(found[0])}
    if found[1]:
        status["audiences"] = list(found[1])
    return status


SELF_SUBJECT_REVIEW = Kind(SELF_SUBJECT_REVIEWS, actions={"": create_self_subject_review})
TOKEN_REVIEW = Kind(TOKEN_REVIEWS, actions={"": create_token_review})
