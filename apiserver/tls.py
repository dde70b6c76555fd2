"""The server's side of TLS."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which the ssl module does not name."""


def server_context(certificate: Path, key: Path, authorities: Sequence[Path]) -> ssl.SSLContext:
    """A context that asks clients for a certificate when ``authorities`` are given, and takes those without one, too.

    Raises ``OSError`` and ``ssl.SSLError`` for files that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    for authority in authorities:
        context.load_verify_locations(authority)
    if authorities:
        context.verify_mode = ssl.CERT_OPTIONAL
        # whether a client's certificate is still valid is for the authenticator to say, with a 401 rather than a broken connection
        context.verify_flags |= _NO_CHECK_TIME
    return context
