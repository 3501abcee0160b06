# SPDX-License-Identifier: EUPL-1.2
"""Addresses of machines that one-time passwords are for, and the networks that roles name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from vault.framework.errors import Malformed

_PREFIX = re.compile(r"[0-9]{1,3}", re.ASCII)
_LONGEST = 64
"""Characters of an address with its prefix length."""
_MAPPED = IPv6Network("::ffff:0:0/96")
"""Addresses of version 4, spelled as ones of version 6 (RFC 4291, section 2.5.5.2)."""
_LOW = 0xFFFF_FFFF
_MOST = 1000
"""Networks of one role."""


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text spells; one of version 4 also where it is spelled as one of version 6. None for no address."""
    if len(text) > _LONGEST or "%" in text:
        return None
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def check_networks(field: str, text: str) -> None:
    """Make sure that a text lists networks. Raises `Malformed` that names the field."""
    for count, part in enumerate(_parts(text), 1):
        if count > _MOST:
            raise Malformed(f"failed to validate {field}: at most {_MOST} networks")
        if _network(part) is None:
            raise Malformed(f"failed to validate {field}: invalid CIDR address")


def within(address: IPv4Address | IPv6Address, networks: str) -> bool:
    """Whether an address is in one of the networks that a text lists."""
    found = (_network(part) for part in _parts(networks))
    return any(network is not None and address in network for network in found)


def _parts(text: str) -> Iterator[str]:
    return (one for part in text.split(",", _MOST + 1) if (one := part.strip()))


def _network(text: str) -> IPv4Network | IPv6Network | None:
    """Return the network that a text spells; one of version 4 also where it is spelled as one of version 6, as addresses are."""
    address, slash, prefix = text.partition("/")
    if not slash or len(text) > _LONGEST or "%" in text or _PREFIX.fullmatch(prefix) is None:
        return None
    try:
        found = ip_network(f"{address}/{int(prefix)}", strict=False)
    except ValueError:
        return None
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        return IPv4Network((int(found.network_address) & _LOW, found.prefixlen - _MAPPED.prefixlen))
    return found
