"""Clients that act as service accounts: one identity for each part of a process, with rights of its own.

Source of the behaviour: client-go's dynamic client builder, as kube-controller-manager uses it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from kubeling.api.errors import StatusError, is_already_exists, is_not_found
from kubeling.api.meta import Object, parse_time
from kubeling.api.resources import SERVICE_ACCOUNTS
from kubeling.client.clock import Clock, SystemClock
from kubeling.client.kubeconfig import Credentials
from kubeling.client.rest import Client
from kubeling.client.throttle import Throttle
from kubeling.client.transport import Transport

LIFETIME_SECONDS = 3600
RENEW_AT = 0.8  # the part of a token's life after which the next one is asked for


class AccountToken:
    """Tokens of one service account, asked for with ``root``, which also makes the account where it is missing."""

    def __init__(self, root: Client, namespace: str, name: str, *, clock: Clock | None = None) -> None:
        self._root, self._namespace, self._name = root, namespace, name
        self._clock = clock or SystemClock()
        self._token = ""
        self._until = float("-inf")
        self._asking: asyncio.Task[None] | None = None  # many requests, one question

    async def token(self) -> str:
        if self._clock.monotonic() >= self._until:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._renew())
            await asyncio.shield(self._asking)  # whoever gives up must not take the others' answer along
        return self._token

    def reset(self) -> bool:
        self._until = float("-inf")
        return True

    async def _renew(self) -> None:
        now = self._clock.monotonic()
        status = (await self._request())["status"]
        left: timedelta = parse_time(status["expirationTimestamp"]) - self._clock.now()
        self._token = status["token"]
        self._until = now + left.total_seconds() * RENEW_AT

    async def _request(self) -> Object:
        try:
            return await self._ask()
        except StatusError as err:
            if not is_not_found(err):
                raise
        account = {"metadata": {"name": self._name, "namespace": self._namespace}}
        try:
            await self._root.create(SERVICE_ACCOUNTS, account)
        except StatusError as err:
            if not is_already_exists(err):
                raise
        return await self._ask()

    async def _ask(self) -> Object:
        wanted = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": LIFETIME_SECONDS},
        }
        return await self._root.create(SERVICE_ACCOUNTS, wanted, self._namespace, name=self._name, subresource="token")


class AccountClients:
    """Gives out clients that act as service accounts of one namespace, over connections that they share."""

    def __init__(
        self, root: Client, credentials: Credentials, *, namespace: str = "kube-system", clock: Clock | None = None
    ) -> None:
        self._root = root
        self._namespace = namespace
        self._clock = clock
        anonymous = replace(
            credentials, client_cert_pem="", client_key_pem="", token="", token_file="", username="", password=""
        )
        self._transport = Transport.of(anonymous)

    def client(self, account: str, *, user_agent: str, throttle: Throttle | None = None) -> Client:
        tokens = AccountToken(self._root, self._namespace, account, clock=self._clock)
        return Client(self._transport.acting_as(tokens, throttle), user_agent=user_agent)

    async def aclose(self) -> None:
        await self._transport.aclose()
