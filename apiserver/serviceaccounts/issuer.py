"""Issues service account tokens (``serviceaccounts/token``).

Source: documentation "Managing Service Accounts", section "TokenRequest API"; wording of
k8s.io/kubernetes/pkg/registry/core/serviceaccount/storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from joserfc import jwt

from apiserver.registry.facade import Registries
from apiserver.serviceaccounts import claims
from apiserver.serviceaccounts.keys import SigningKey
from kubeling.api import errors
from kubeling.api.meta import Object, name_of, namespace_of, rfc3339, uid_of
from kubeling.api.resources import NODES, PODS, SECRETS

DEFAULT_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """``audiences``: those of the API server, given to tokens that name none. ``max_seconds`` 0: no limit.

    ``extend``: tokens that pods get mounted live on for a year, so that old clients that never read them again keep working.
    """

    issuer: str
    audiences: tuple[str, ...]
    max_seconds: int = 0
    extend: bool = True


class Issuer:
    """Signs tokens with one key."""

    def __init__(self, settings: IssuerSettings, key: SigningKey) -> None:
        self.settings = settings
        self._key = key

    async def issue(self, service_account: Object, request: Object, registries: Registries, now: datetime) -> Object:
        """The ``status`` of a TokenRequest for its ``spec`` (audiences and expirationSeconds set).

        Raises ``StatusError``: 404, 409 or 400 when the object to bind to is missing, another one, or of another kind.
        """
        spec = request["spec"]
        bound = await _bound(service_account, spec.get("boundObjectRef"), registries)
        seconds, warn_after = int(spec["expirationSeconds"]), 0
        extendable = self.settings.extend and bound.pod is not None and seconds == claims.WARN_ONLY_SECONDS
        if extendable and self._for_api_server(spec["audiences"]):
            warn_after, seconds = seconds, claims.EXTENDED_SECONDS
        built = claims.build(
            service_account,
            bound,
            issuer=self.settings.issuer,
            audiences=spec["audiences"],
            seconds=seconds,
            warn_after=warn_after,
            now=now,
        )
        return {
            "token": self.sign(built),
            "expirationTimestamp": rfc3339(now + timedelta(seconds=int(spec["expirationSeconds"]))),
        }

    def sign(self, built: dict[str, object]) -> str:
        header = {"alg": self._key.algorithm, "kid": self._key.id}
        return jwt.encode(header, built, self._key.jwk, algorithms=[self._key.algorithm])

    def _for_api_server(self, audiences: Sequence[str]) -> bool:
        return set(audiences) <= set(self.settings.audiences)


async def _bound(account: Object, reference: Object | None, registries: Registries) -> claims.Bound:
    """The object that the reference names, with the pod's node when it is a pod."""
    if not reference:
        return claims.Bound()
    version, kind = reference.get("apiVersion", ""), reference.get("kind", "")
    name, namespace = reference.get("name", ""), namespace_of(account)
    if "/" in version or kind not in ("Pod", "Secret", "Node"):
        shown = f"{version}, Kind={kind}"
        raise errors.bad_request(f"cannot bind token to object of type {shown}")
    if kind == "Pod":
        pod = await registries.of(PODS).get(name, namespace)
        spec = pod.get("spec") or {}
        if spec.get("serviceAccountName") != name_of(account):
            text = f'cannot bind token for serviceaccount "{name_of(account)}" to pod running with different serviceaccount name.'
            raise errors.bad_request(text)
        node = await _node(spec.get("nodeName") or "", registries)
        bound, found = claims.Bound(pod=pod, node=node), pod
    elif kind == "Secret":
        found = await registries.of(SECRETS).get(name, namespace)
        bound = claims.Bound(secret=found)
    else:
        found = await registries.of(NODES).get(name)
        bound = claims.Bound(node=found)
    wanted = reference.get("uid")
    if wanted and wanted != uid_of(found):
        why = (
            f"the UID in the bound object reference ({wanted}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict("", kind, name, why)
    return bound


async def _node(name: str, registries: Registries) -> Object | None:
    """The pod's node; one that is not there any more is named without uid."""
    if not name:
        return None
    return registries.of(NODES).cached(name) or {"metadata": {"name": name}}
