"""Who may do what, built from the options: authentication, tokens, authorization, admission."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from apiserver.admission.build import Dependencies, build_admission
from apiserver.audit.auditor import Auditor
from apiserver.audit.event import json_line, legacy_line
from apiserver.audit.log import AuditFile, Rotation
from apiserver.audit.policy import load_policy
from apiserver.authn.bearer import BearerAuthenticator, TokenAuthenticator
from apiserver.authn.bootstrap_tokens import BootstrapTokens
from apiserver.authn.certificates import CertificateAuthenticator
from apiserver.authn.request_header import RequestHeaderAuthenticator
from apiserver.authn.review import Reviewer
from apiserver.authn.token_file import TokenFile
from apiserver.authn.union import Union
from apiserver.authz.build import Authorization, build_authorization
from apiserver.http.protocols import Authenticator
from apiserver.options import Options
from apiserver.registry.admission import AdmissionChain
from apiserver.registry.facade import Registries
from apiserver.serviceaccounts.authenticator import ServiceAccountTokens
from apiserver.serviceaccounts.issuer import Issuer, IssuerSettings
from apiserver.serviceaccounts.keys import (
    SigningKey,
    VerifyingKey,
    generated_signing_key,
    load_signing_key,
    load_verifying_keys,
)
from kubeling.api.meta import utcnow

log = logging.getLogger("apiserver")


@dataclass(frozen=True, slots=True)
class Security:
    authenticator: Authenticator
    reviewer: Reviewer
    authorization: Authorization
    admission: AdmissionChain
    issuer: Issuer
    keys: tuple[VerifyingKey, ...]


def build_security(options: Options, registries: Registries) -> Security:
    """Raises OSError and ValueError for files and values that cannot be used."""
    signing = _signing_key(options)
    keys = _verifying_keys(options, signing)
    audiences = options.api_audiences or (options.service_account_issuer,)
    issuer = Issuer(IssuerSettings(options.service_account_issuer, audiences), signing)
    authorization = build_authorization(options.authorization_mode, registries)
    admission = build_admission(
        Dependencies(authorization),
        enable=options.enable_admission_plugins,
        disable=options.disable_admission_plugins,
    )
    bearer = BearerAuthenticator(_token_authenticators(options, registries, keys, audiences))
    authenticator = Union([*_certificate_authenticators(options), bearer], anonymous=options.anonymous_auth)
    return Security(authenticator, Reviewer(bearer, audiences), authorization, admission, issuer, keys)


def build_audit(options: Options) -> Auditor | None:
    """None unless there is both a policy and a log, as upstream has it. Raises OSError and ValueError."""
    if options.audit_policy_file is None:
        if options.audit_log_path:
            log.warning("no audit policy file provided, no events will be recorded for log backend")
        return None
    policy = load_policy(options.audit_policy_file)
    if not options.audit_log_path:
        return None
    rotation = Rotation(
        options.audit_log_maxsize, options.audit_log_maxage, options.audit_log_maxbackup, options.audit_log_compress
    )
    file = AuditFile(options.audit_log_path, rotation, utcnow)
    line = legacy_line if options.audit_log_format == "legacy" else json_line
    return Auditor(policy, lambda event: file.write(line(event)), utcnow)


def request_header_config(options: Options) -> dict[str, str]:
    """What ``extension-apiserver-authentication`` tells extension servers about the proxy in front of them: this server.

    Empty without ``--requestheader-client-ca-file``. Raises OSError.
    """
    if options.requestheader_client_ca_file is None:
        return {}
    lists = {
        "requestheader-allowed-names": options.requestheader_allowed_names,
        "requestheader-username-headers": options.requestheader_username_headers,
        "requestheader-group-headers": options.requestheader_group_headers,
        "requestheader-extra-headers-prefix": options.requestheader_extra_headers_prefix,
    }
    authority = options.requestheader_client_ca_file.read_text()
    return {"requestheader-client-ca-file": authority, **{k: json.dumps(list(v)) for k, v in lists.items()}}


def _signing_key(options: Options) -> SigningKey:
    if options.service_account_signing_key_file is not None:
        return load_signing_key(options.service_account_signing_key_file)
    return generated_signing_key(options.cert_dir / "service-account.key")


def _verifying_keys(options: Options, signing: SigningKey) -> tuple[VerifyingKey, ...]:
    loaded = [key for path in options.service_account_key_file for key in load_verifying_keys(path)]
    return tuple({key.id: key for key in (*loaded, signing.public)}.values())


def _certificate_authenticators(options: Options) -> list[Authenticator]:
    found: list[Authenticator] = []
    if options.requestheader_client_ca_file is not None:
        found.append(
            RequestHeaderAuthenticator(
                CertificateAuthenticator.load(options.requestheader_client_ca_file),
                options.requestheader_allowed_names,
                username_headers=options.requestheader_username_headers,
                group_headers=options.requestheader_group_headers,
                extra_prefixes=options.requestheader_extra_headers_prefix,
            )
        )
    if options.client_ca_file is not None:
        found.append(CertificateAuthenticator.load(options.client_ca_file))
    return found


def _token_authenticators(
    options: Options, registries: Registries, keys: Sequence[VerifyingKey], audiences: Sequence[str]
) -> list[TokenAuthenticator]:
    found: list[TokenAuthenticator] = []
    if options.token_auth_file is not None:
        found.append(TokenFile.load(options.token_auth_file))
    found.append(ServiceAccountTokens([options.service_account_issuer], audiences, keys, registries))
    if options.enable_bootstrap_token_auth:
        found.append(BootstrapTokens(registries))
    return found
