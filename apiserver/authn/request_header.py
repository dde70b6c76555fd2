"""Requests that an authenticating proxy passes on (``--requestheader-client-ca-file``)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from apiserver.authn.certificates import CertificateAuthenticator
from apiserver.http.protocols import Credentials
from apiserver.http.request import User


class RequestHeaderAuthenticator:
    """Believes the headers of a proxy that shows a certificate of its own authority with one of the allowed names."""

    def __init__(
        self,
        proxies: CertificateAuthenticator,
        allowed_names: Sequence[str],
        *,
        username_headers: Sequence[str] = ("X-Remote-User",),
        group_headers: Sequence[str] = ("X-Remote-Group",),
        extra_prefixes: Sequence[str] = ("X-Remote-Extra-",),
        uid_headers: Sequence[str] = (),
    ) -> None:
        self._proxies = proxies
        self._allowed = frozenset(allowed_names)
        self._usernames = [h.lower() for h in username_headers]
        self._groups = [h.lower() for h in group_headers]
        self._prefixes = [h.lower() for h in extra_prefixes]
        self._uids = [h.lower() for h in uid_headers]

    async def authenticate(self, credentials: Credentials) -> User | None:
        name = next((credentials.headers[h] for h in self._usernames if credentials.headers.get(h)), "")
        if not name or not credentials.client_certificates:
            return None
        proxy = await self._proxies.authenticate(credentials)
        if proxy is None or (self._allowed and proxy.name not in self._allowed):
            return None
        groups: list[str] = []
        extra: dict[str, tuple[str, ...]] = {}
        for raw_name, raw_value in credentials.raw_headers:
            header, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            if header in self._groups:
                groups.append(value)
            for prefix in self._prefixes:
                if header.startswith(prefix):
                    key = unquote(header.removeprefix(prefix)).lower()
                    extra[key] = (*extra.get(key, ()), value)
        uid = next((credentials.headers[h] for h in self._uids if credentials.headers.get(h)), "")
        return User(name, uid, tuple(groups), extra)
