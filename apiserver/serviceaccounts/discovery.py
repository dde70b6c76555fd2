"""What verifies service account tokens elsewhere: the OpenID configuration and the public keys.

Served at ``/.well-known/openid-configuration`` and ``/openid/v1/jwks`` (documentation "Service account issuer discovery").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from apiserver.serviceaccounts.keys import VerifyingKey

CONFIGURATION_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/openid/v1/jwks"
CACHE_CONTROL = "public, max-age=3600"


@dataclass(frozen=True, slots=True)
class Document:
    """A document ready to be sent."""

    body: bytes
    content_type: str
    cache_control: str = CACHE_CONTROL


def discovery_documents(issuer: str, keys: Sequence[VerifyingKey], jwks_uri: str) -> dict[str, Document]:
    """Path to document."""
    configuration = {
        "issuer": issuer,
        "jwks_uri": jwks_uri,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted({key.algorithm for key in keys}),
    }
    shown = {"keys": [key.public_jwk() for key in keys]}
    return {
        CONFIGURATION_PATH: Document(orjson.dumps(configuration), "application/json"),
        KEYS_PATH: Document(orjson.dumps(shown), "application/jwk-set+json"),
    }
