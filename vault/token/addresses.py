# SPDX-License-Identifier: EUPL-1.2
"""Blocks of addresses that a credential is bound to. An address that cannot be read is in none of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface


class NoAddress(ValueError):
    """A text that is neither an address nor a block of addresses."""


@lru_cache(maxsize=4096)
def _block(text: str) -> IPv4Interface | IPv6Interface:
    if "%" in text:
        raise NoAddress
    try:
        return ip_interface(text)
    except ValueError:
        raise NoAddress from None


def canonical(text: str) -> str:
    """Return an address or a block as it is kept: a block of one address is that address. Raises `NoAddress`."""
    block = _block(text.strip())
    return str(block.ip) if block.network.num_addresses == 1 else block.with_prefixlen


def check_block(text: str) -> str:
    """Return a block that is spelled with its length, as it is. Raises `NoAddress`."""
    if "/" not in text or not text.rpartition("/")[2].isdigit():
        raise NoAddress
    _block(text)
    return text


def within(address: str, blocks: Sequence[str]) -> bool:
    """Whether an address is in one of the blocks. An IPv4 address that came over IPv6 counts as what it is."""
    try:
        found = ip_address(address)
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in _block(block).network for block in blocks)
    except ValueError:
        return False


def covers(outer: Sequence[str], inner: Sequence[str]) -> bool:
    """Whether each inner block lies within one of the outer ones."""
    around = [_block(text).network for text in outer]
    return all(any(_inside(_block(text).network, network) for network in around) for text in inner)


def _inside(inner: object, outer: object) -> bool:
    try:
        return bool(inner.subnet_of(outer))  # type: ignore[attr-defined]  # both are networks, of either version
    except TypeError:  # of different versions
        return False
