"""URLs, IP addresses and CIDRs, as Kubernetes adds them to CEL."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .env import Function, function, of, on
from .errors import CelError
from .standard import walked
from .types import BOOL, CIDR, INT, IP, STRING, URL, Type, list_of, map_of
from .values import NO_OVERLOAD, Opaque

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@dataclass(frozen=True, slots=True)
class IPValue(Opaque):
    address: _Address
    type = IP

    @property
    def text(self) -> str:
        return str(self.address)


@dataclass(frozen=True, slots=True)
class CIDRValue(Opaque):
    interface: _Network
    type = CIDR

    @property
    def text(self) -> str:
        return str(self.interface)


@dataclass(frozen=True, slots=True)
class URLValue(Opaque):
    text: str
    type = URL


def parse_ip(text: Any) -> IPValue:
    if not isinstance(text, str):
        raise CelError(NO_OVERLOAD)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise CelError(
            f'IP Address "{text}" parse error during conversion from string: ParseAddr("{text}"): {_why(text)}'
        ) from None
    if isinstance(address, ipaddress.IPv6Address):
        if "%" in text:
            raise CelError(f'IP address "{text}" with zone value is not allowed')
        if address.ipv4_mapped is not None:
            raise CelError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return IPValue(address)


def _why(text: str) -> str:
    if re.fullmatch(r"[\d.]+", text):
        return (
            "IPv4 field has value >255"
            if any(p and int(p) > 255 for p in text.split("."))
            else "IPv4 address too short"
        )
    return "unable to parse IP" if ":" not in text else "each group must have at least one digit"


def parse_cidr(text: Any) -> CIDRValue:
    if not isinstance(text, str):
        raise CelError(NO_OVERLOAD)
    try:
        if not re.fullmatch(r"[^/]+/(0|[1-9]\d*)", text, re.ASCII):
            raise ValueError
        found = ipaddress.ip_interface(text)
    except ValueError:
        bare = "/" not in text
        why = "no '/'" if bare else "bad bits after slash"
        raise CelError(
            f'network address parse error during conversion from string: netip.ParsePrefix("{text}"): {why}'
        ) from None
    if isinstance(found, ipaddress.IPv6Interface) and found.ip.ipv4_mapped is not None:
        raise CelError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return CIDRValue(found)


def parse_url(text: Any) -> URLValue:
    if not isinstance(text, str):
        raise CelError(NO_OVERLOAD)
    try:
        parts = urlsplit(text)
        good = bool(parts.scheme or text.startswith("/")) and not re.search(
            r"[\x00-\x20\x7f]|%(?![0-9a-fA-F]{2})", text
        )
        _ = parts.port
    except ValueError:
        good = False
    if not good:
        raise CelError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return URLValue(text)


def _tested(parse: Callable[[Any], Any]) -> Callable[[Any], bool]:
    def run(text: Any) -> bool:
        if not isinstance(text, str):
            raise CelError(NO_OVERLOAD)
        try:
            parse(text)
        except CelError:
            return False
        return True

    return run


def _ip(value: Any) -> IPValue:
    return IPValue(value.interface.ip) if isinstance(value, CIDRValue) else parse_ip(value)


def _address(value: Any) -> _Address:
    return value.address if isinstance(value, IPValue) else parse_ip(value).address


def _contains_ip(cidr: CIDRValue, value: Any) -> bool:
    address = _address(value)
    return bool(address.version == cidr.interface.version and address in cidr.interface.network)


def _contains_cidr(cidr: CIDRValue, value: Any) -> bool:
    other = value if isinstance(value, CIDRValue) else parse_cidr(value)
    inner, outer = other.interface.network, cidr.interface.network
    return bool(
        inner.version == outer.version and outer.prefixlen <= inner.prefixlen and inner.network_address in outer
    )


def _family(value: Any) -> int:
    return int(value.interface.version if isinstance(value, CIDRValue) else value.address.version)


def _masked(value: CIDRValue) -> CIDRValue:
    return CIDRValue(ipaddress.ip_interface(str(value.interface.network)))


def _ip_test(name: str, test: Callable[[Any], bool]) -> Function:
    return function(name, lambda v: test(v.address), on(IP, BOOL))


def _canonical(text: Any) -> bool:
    return bool(parse_ip(text).text == text)


def _host(value: URLValue) -> str:
    return urlsplit(value.text).netloc.rpartition("@")[2]


def _query(value: URLValue) -> dict[str, list[str]]:
    return parse_qs(urlsplit(value.text).query, keep_blank_values=True)


def _url_part(name: str, result: Type, read: Callable[[URLValue], Any]) -> Function:
    return function(name, read, on(URL, result))


def _multicast(scope: int, v4: str) -> Callable[[Any], bool]:
    net = ipaddress.ip_network(v4)
    return lambda a: (a in net) if a.version == 4 else (a.packed[0] == 0xFF and a.packed[1] & 0x0F == scope)


def _global(a: Any) -> bool:
    return not (a.is_unspecified or a.is_loopback or a.is_multicast or a.is_link_local or str(a) == "255.255.255.255")


_WALK = walked(0.1, 0)
NETWORK: tuple[Function, ...] = (
    function("url", parse_url, of(URL, STRING), cost=_WALK),
    function("isURL", _tested(parse_url), of(BOOL, STRING), cost=_WALK),
    _url_part("getScheme", STRING, lambda u: urlsplit(u.text).scheme),
    _url_part("getHost", STRING, _host),
    _url_part("getHostname", STRING, lambda u: re.sub(r":\d*$", "", _host(u)).strip("[]")),
    _url_part("getPort", STRING, lambda u: (re.search(r":(\d*)$", _host(u)) or ["", ""])[1]),
    _url_part("getEscapedPath", STRING, lambda u: urlsplit(u.text).path),
    _url_part("getPath", STRING, lambda u: unquote(urlsplit(u.text).path)),
    _url_part("getQuery", map_of(STRING, list_of(STRING)), _query),
    function("ip", _ip, of(IP, STRING), on(CIDR, IP), cost=lambda a, r: _WALK(a, r)),
    function("isIP", _tested(parse_ip), of(BOOL, STRING), cost=_WALK),
    function("ip.isCanonical", _canonical, of(BOOL, STRING), cost=walked(0.2, 0)),
    function("family", _family, on(IP, INT), on(CIDR, INT)),
    _ip_test("isUnspecified", lambda a: bool(a.is_unspecified)),
    _ip_test("isLoopback", lambda a: bool(a.is_loopback)),
    _ip_test("isLinkLocalMulticast", _multicast(2, "224.0.0.0/24")),
    _ip_test("isLinkLocalUnicast", lambda a: bool(a.is_link_local)),
    _ip_test("isGlobalUnicast", _global),
    function("cidr", parse_cidr, of(CIDR, STRING), cost=_WALK),
    function("isCIDR", _tested(parse_cidr), of(BOOL, STRING), cost=_WALK),
    function("containsIP", _contains_ip, on(CIDR, BOOL, STRING), on(CIDR, BOOL, IP)),
    function("containsCIDR", _contains_cidr, on(CIDR, BOOL, STRING), on(CIDR, BOOL, CIDR)),
    function("masked", _masked, on(CIDR, CIDR)),
    function("prefixLength", lambda c: c.interface.network.prefixlen, on(CIDR, INT)),
)
