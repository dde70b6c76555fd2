"""Syntax of names, labels and ports, with the messages of k8s.io/apimachinery/pkg/util/validation.

Every ``is_*`` function returns a list of messages, empty when the value is fine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, wraps

DNS1123_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
DNS1123_SUBDOMAIN = DNS1123_LABEL + r"(\." + DNS1123_LABEL + r")*"
DNS1123_LABEL_WITH_UNDERSCORE = r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
DNS1123_SUBDOMAIN_WITH_UNDERSCORE = DNS1123_LABEL_WITH_UNDERSCORE + r"(\." + DNS1123_LABEL_WITH_UNDERSCORE + r")*"
DNS1035_LABEL = r"[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_VALUE = "(" + QUALIFIED_NAME + ")?"
ENV_VAR_NAME = r"[-._a-zA-Z][-._a-zA-Z0-9]*"
CONFIG_MAP_KEY = r"[-._a-zA-Z0-9]+"
PERCENT = r"[0-9]+%"


def remembered(check: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """For rules about texts that come again and again: labels, keys, namespaces, names of containers."""
    messages = lru_cache(maxsize=8192)(lambda value: tuple(check(value)))

    @wraps(check)
    def known(value: str) -> list[str]:
        return list(messages(value))

    return known


_COMPILED: dict[str, re.Pattern[str]] = {}


def _matches(pattern: str, value: str) -> bool:
    compiled = _COMPILED.get(pattern)
    if compiled is None:
        compiled = _COMPILED[pattern] = re.compile(pattern)
    return compiled.fullmatch(value) is not None


def max_length_error(length: int, unit: str = "characters") -> str:
    """Upstream counts bytes everywhere, but says so for label keys and values alone."""
    return f"must be no more than {length} {unit}"


def regex_error(message: str, pattern: str, *examples: str) -> str:
    """Upstream's ``RegexError``: the rule, examples, and the expression used."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{e}', " for e in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


_DNS1123_LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
_DNS1123_SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_UNDERSCORE_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_DNS1035_LABEL_MESSAGE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
    "start with an alphabetic character, and end with an alphanumeric character"
)
_QUALIFIED_NAME_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_LABEL_VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)


@remembered
def is_dns1123_label(value: str) -> list[str]:
    errors = [max_length_error(63)] if len(value) > 63 else []
    if not _matches(DNS1123_LABEL, value):
        if _matches(DNS1123_SUBDOMAIN, value):
            errors.append("must not contain dots")
        else:
            errors.append(regex_error(_DNS1123_LABEL_MESSAGE, DNS1123_LABEL, "my-name", "123-abc"))
    return errors


def is_dns1123_subdomain(value: str) -> list[str]:
    errors = [max_length_error(253)] if len(value) > 253 else []
    if not _matches(DNS1123_SUBDOMAIN, value):
        errors.append(regex_error(_DNS1123_SUBDOMAIN_MESSAGE, DNS1123_SUBDOMAIN, "example.com"))
    return errors


def is_dns1123_subdomain_with_underscore(value: str) -> list[str]:
    """Domain search paths may hold underscores."""
    errors = [max_length_error(253)] if len(value) > 253 else []
    if not _matches(DNS1123_SUBDOMAIN_WITH_UNDERSCORE, value):
        errors.append(regex_error(_UNDERSCORE_MESSAGE, DNS1123_SUBDOMAIN_WITH_UNDERSCORE, "example.com"))
    return errors


def is_dns1035_label(value: str) -> list[str]:
    errors = [max_length_error(63)] if len(value) > 63 else []
    if not _matches(DNS1035_LABEL, value):
        errors.append(regex_error(_DNS1035_LABEL_MESSAGE, DNS1035_LABEL, "my-name", "abc-123"))
    return errors


@remembered
def is_qualified_name(value: str) -> list[str]:
    """A label or annotation key: an optional DNS prefix, a slash, a name of at most 63 characters."""
    prefix, slash, name = value.rpartition("/")
    errors: list[str] = []
    if value.count("/") > 1:
        message = regex_error(_QUALIFIED_NAME_MESSAGE, QUALIFIED_NAME, "MyName", "my.name", "123-abc")
        return [
            "a qualified name " + message + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    if slash:
        if not prefix:
            errors.append("prefix part must be non-empty")
        else:
            errors += ["prefix part " + m for m in is_dns1123_subdomain(prefix)]
    if not name:
        errors.append("name part must be non-empty")
    elif len(name) > 63:
        errors.append("name part " + max_length_error(63, "bytes"))
    if not _matches(QUALIFIED_NAME, name):
        errors.append(
            "name part " + regex_error(_QUALIFIED_NAME_MESSAGE, QUALIFIED_NAME, "MyName", "my.name", "123-abc")
        )
    return errors


@remembered
def is_label_value(value: str) -> list[str]:
    errors = [max_length_error(63, "bytes")] if len(value) > 63 else []
    if not _matches(LABEL_VALUE, value):
        errors.append(regex_error(_LABEL_VALUE_MESSAGE, LABEL_VALUE, "MyValue", "my_value", "12345"))
    return errors


def is_port_number(port: int) -> list[str]:
    return [] if 1 <= port <= 65535 else ["must be between 1 and 65535, inclusive"]


def is_port_name(value: str) -> list[str]:
    """An IANA service name: at most 15 of a-z, 0-9 and '-', with a letter, no '--', no '-' at the ends."""
    errors = []
    if len(value) > 15:
        errors.append("must be no more than 15 characters")
    if not _matches(r"[-a-z0-9]+", value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value and (value[0] == "-" or value[-1] == "-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def is_env_var_name(value: str) -> list[str]:
    """Relaxed rule since 1.34: any printable ASCII but '='."""
    if not value:
        return ["environment variable name must not be empty"]
    if any(not (" " <= c <= "~") or c == "=" for c in value):
        return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]
    return []


@remembered
def is_config_map_key(value: str) -> list[str]:
    errors = [max_length_error(253)] if len(value) > 253 else []
    if not _matches(CONFIG_MAP_KEY, value):
        message = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        errors.append(regex_error(message, CONFIG_MAP_KEY, "key.name", "KEY_NAME", "key-name"))
    elif value == ".":
        errors.append("must not be '.'")
    elif value == "..":
        errors.append("must not be '..'")
    elif value.startswith(".."):
        errors.append("must not start with '..'")
    return errors


def is_path_segment_name(value: str) -> list[str]:
    """RBAC names: anything that fits into one path segment."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{c}'" for c in ("/", "%") if c in value]


def with_generate_suffix(base: str, suffix: str) -> str:
    """A generated name: upstream keeps at most 58 characters of the base before the five random ones."""
    return base[: 63 - 5] + suffix
