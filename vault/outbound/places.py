# SPDX-License-Identifier: EUPL-1.2
"""Which addresses the server may talk to: public ones, and what its operator allows beside them (SL-77)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address

_METADATA: Final = frozenset(
    ip_address(text) for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16")
)
"""Where clouds tell a machine its own secrets."""
_TRANSLATED: Final = ip_network("64:ff9b::/96")
"""IPv6 addresses whose last 32 bits are an IPv4 address (RFC 6052). Translators of one network have prefixes of their own."""
_PUBLIC: Final = ip_network("2000::/3")
"""Where all public IPv6 addresses are (RFC 4291 section 2.4, and IANA's registry)."""


class Places:
    """Says whether an address may be asked."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        """`allowed` are addresses and blocks that may be asked although they are not public."""
        self._allowed = tuple(ip_network(text, strict=False) for text in allowed)

    def objection(self, text: str) -> str:
        """Return what speaks against an address; empty where nothing does."""
        given = ip_address(text.partition("%")[0])
        address = _inner(given)
        if any(one in block for one in (given, address) for block in self._allowed):
            return ""
        return _kind(address)


def _inner(address: Address) -> Address:
    """Return the address that packets end at: an IPv4 address inside an IPv6 one counts as what it is."""
    if isinstance(address, IPv4Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo is not None else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def _kind(address: Address) -> str:
    if address in _METADATA:
        return "a cloud's metadata service"
    if address.is_loopback or address.is_unspecified:
        return "this machine itself"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast:
        return "a multicast address"
    public = address.is_global and (isinstance(address, IPv4Address) or address in _PUBLIC)
    return "" if public else "a private address"
