"""Which addresses and ports may be given out, and in which order they are tried. Pure.

Addresses: the lower part of a range is left to those who choose their own, as upstream's allocator does it.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MIN_RESERVED, _MAX_RESERVED, _STEP = 16, 256, 16
_MIN_PORTS, _MAX_PORTS, _PORT_STEP = 16, 128, 32
_LARGEST = 1 << 16
"""Of an IPv6 range no more than this many addresses are used."""


def reserved(size: int, smallest: int, step: int, largest: int) -> int:
    """How much of the lower end is left alone; nothing of a range that is too small for that."""
    if size < smallest:
        return 0
    return min(max(smallest, size // step), largest)


def dynamic_addresses(network: Network, rng: random.Random) -> Iterator[str]:
    """Every usable address once: the upper part first, from a random place on, then the lower part."""
    size = min(network.num_addresses, _LARGEST) - 2
    if isinstance(network, ipaddress.IPv6Network):
        size += 1
    first, last = 1, size
    split = first + reserved(size, _MIN_RESERVED, _STEP, _MAX_RESERVED)
    for low, high in ((split, last + 1), (first, split)):
        for offset in _from_random(low, high, rng):
            yield str(network[offset])


def dynamic_ports(low: int, high: int, rng: random.Random) -> Iterator[int]:
    """Every port of ``low`` to ``high`` (both included) once, in the same manner."""
    split = low + reserved(high - low + 1, _MIN_PORTS, _PORT_STEP, _MAX_PORTS)
    yield from _from_random(split, high + 1, rng)
    yield from _from_random(low, split, rng)


def _from_random(low: int, high: int, rng: random.Random) -> Iterator[int]:
    """``low`` to ``high`` (excluded), beginning in the middle and going round."""
    if high <= low:
        return
    start = rng.randrange(low, high)
    yield from range(start, high)
    yield from range(low, start)


def parse_ports(text: str) -> tuple[int, int]:
    """``30000-32767``. Raises ValueError."""
    low, _, high = text.partition("-")
    pair = int(low), int(high or low)
    if not 0 < pair[0] <= pair[1] < 65536:
        raise ValueError(f"{text!r} is no range of ports")
    return pair


def why_not(network: Network, address: str) -> str:
    """Why an address that was asked for cannot be given, empty when it can."""
    ip = ipaddress.ip_address(address)
    if ip not in network or ip in (network[0], network[-1]):
        return f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {network}"
    return ""


def is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
