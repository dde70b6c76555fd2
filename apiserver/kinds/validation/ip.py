"""IP addresses and CIDRs: validation, warnings about forms that will go, and the rule against special addresses.

Source: k8s.io/apimachinery/pkg/util/validation/ip.go and ``ValidateNonSpecialIP``. Fields of old kinds accept what Go's
parser of old accepted: numbers with leading zeros and IPv4 addresses mapped into IPv6.
"""

from __future__ import annotations

import ipaddress
import re

from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

BAD_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
BAD_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_QUAD = re.compile(r"(?:\d{1,}\.){3}\d+$")


def parse_ip(text: str) -> Address | None:
    """The address, an IPv4 one where it is mapped into IPv6; None when it is none."""
    if "%" in text:
        return None
    quad = _QUAD.search(text)
    if quad:
        text = text[: quad.start()] + ".".join(str(int(part)) for part in quad.group().split("."))
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def parse_cidr(text: str) -> tuple[Address, Network] | None:
    """The address as written and the network around it; None when the text is no CIDR."""
    head, slash, tail = text.partition("/")
    address = parse_ip(head)
    if not slash or address is None or not (tail.isascii() and tail.isdigit()):
        return None
    length = int(tail)
    mapped = ":" in head and isinstance(address, ipaddress.IPv4Address)
    if mapped:
        length -= 96
    if not 0 <= length <= address.max_prefixlen:
        return None
    return address, ipaddress.ip_network((address, length), strict=False)


def is_ipv6(text: str) -> bool:
    return isinstance(parse_ip(text), ipaddress.IPv6Address)


def family_of_cidr(text: str) -> int:
    """4, 6, or 0 when the text is no CIDR."""
    parsed = parse_cidr(text)
    return parsed[1].version if parsed else 0


def validate_ip(text: str, path: Path) -> ErrorList:
    return [] if parse_ip(text) is not None else [fields.invalid(path, text, BAD_IP)]


def validate_cidr(text: str, path: Path) -> ErrorList:
    return [] if parse_cidr(text) is not None else [fields.invalid(path, text, BAD_CIDR)]


def validate_strict_cidr(text: str, path: Path) -> ErrorList:
    """For newer kinds: canonical form only."""
    parsed = parse_cidr(text)
    if parsed is None:
        return [fields.invalid(path, text, BAD_CIDR)]
    if str(parsed[1]) != text:
        return [fields.invalid(path, text, f'must be in canonical form ("{parsed[1]}")')]
    return []


def validate_strict_ip(text: str, path: Path) -> ErrorList:
    parsed = parse_ip(text)
    if parsed is None:
        return [fields.invalid(path, text, BAD_IP)]
    return [] if str(parsed) == text else [fields.invalid(path, text, f'must be in canonical form ("{parsed}")')]


_SPECIAL = (
    ("is_loopback", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
    ("is_link_local", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
)
_LINK_LOCAL_MULTICAST = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))


def validate_non_special_ip(text: str, path: Path) -> ErrorList:
    """Unspecified, loopback and link-local addresses make no sense as endpoints."""
    address = parse_ip(text)
    if address is None:
        return [fields.invalid(path, text, "must be a valid IP address")]
    errors: ErrorList = []
    if address.is_unspecified:
        errors.append(fields.invalid(path, text, f"may not be unspecified ({text})"))
    errors += [fields.invalid(path, text, detail) for test, detail in _SPECIAL if getattr(address, test)]
    if any(address in network for network in _LINK_LOCAL_MULTICAST if network.version == address.version):
        detail = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        errors.append(fields.invalid(path, text, detail))
    return errors


def _standard(text: str) -> bool:
    """Whether today's strict parser takes the address too, not mapped."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped)


def warnings_for_ip(text: str, path: Path) -> list[str]:
    address = parse_ip(text)
    if address is None:
        return []
    if not _standard(text):
        detail = f'non-standard IP address "{text}" will be considered invalid in a future Kubernetes release'
        return [f'{path}: {detail}: use "{address}"']
    if address.version == 6 and str(address) != text:
        return [f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{address}")']
    return []


def warnings_for_cidr(text: str, path: Path) -> list[str]:
    parsed = parse_cidr(text)
    if parsed is None:
        return []
    address, network = parsed
    warnings = []
    if address != network.network_address:
        single = f"{address}/{address.max_prefixlen}"
        detail = f'CIDR value "{text}" is ambiguous in this context (should be "{network}" or "{single}"?)'
        warnings.append(f"{path}: {detail}")
    head, _, tail = text.partition("/")
    if not _standard(head) or (len(tail) > 1 and tail.startswith("0")):
        detail = f'non-standard CIDR value "{text}" will be considered invalid in a future Kubernetes release'
        warnings.append(f'{path}: {detail}: use "{network}"')
    if not warnings and network.version == 6 and f"{address}/{network.prefixlen}" != text:
        canonical = f"{address}/{network.prefixlen}"
        warnings.append(f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{canonical}")')
    return warnings
