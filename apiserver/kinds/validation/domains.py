"""Names with domains: ``example.com/path``, fully qualified domain names (k8s.io/apimachinery/pkg/util/validation)."""

from __future__ import annotations

import re

from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path

_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"


def validate_domain_prefixed_path(value: str, path: Path) -> ErrorList:
    """``domain/path``, as IngressClass controllers are named."""
    if not value:
        return [fields.required(path)]
    domain, slash, rest = value.partition("/")
    if not slash or not domain or not rest:
        return [fields.invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = [fields.invalid(path, domain, m) for m in names.is_dns1123_subdomain(domain)]
    if not re.fullmatch(_PATH, rest):
        message = names.regex_error("Invalid path", _PATH)
        errors.append(fields.invalid(path, rest, message))
    return errors


def validate_fqdn(value: str, path: Path) -> ErrorList:
    """A fully qualified domain name with at least two labels; a trailing dot is fine."""
    if not value:
        return [fields.required(path)]
    name = value.removesuffix(".")
    messages = names.is_dns1123_subdomain(name)
    if messages:
        return [fields.invalid(path, name, m) for m in messages]
    labels = name.split(".")
    if len(labels) < 2:
        return [fields.invalid(path, name, "should be a domain with at least two segments separated by dots")]
    return [fields.invalid(path, label, m) for label in labels for m in names.is_dns1123_label(label)]
