# SPDX-License-Identifier: EUPL-1.2
"""Addresses, and the networks that they are in."""

import pytest

from vault.engines.ssh.roles.addresses import check_networks, read_address, within
from vault.framework.errors import Malformed


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("FD00::1", "fd00::1"),
        ("10.1.2.03", None),
        (" 10.1.2.3", None),
        ("fe80::1%eth0", None),
        ("hunter2", None),
        ("1" * 65, None),
    ],
)
def test_an_address_is_read(text: str, spelled: str | None) -> None:
    found = read_address(text)
    assert (str(found) if found is not None else None) == spelled


def test_an_address_is_in_a_network() -> None:
    address = read_address("10.1.2.3")
    assert address is not None
    for networks in (
        "10.0.0.0/8",
        "fd00::/8, 10.9.9.9/8",
        "0.0.0.0/0",
        "10.1.2.3/32",
        "::ffff:10.1.0.0/112",
        "::ffff:0:0/96",
    ):
        assert within(address, networks)
    for networks in (
        "",
        "11.0.0.0/8",
        "::/0",
        "10.1.2.4/32,",
        "10.1.2.3",
        "::ffff:0:0/95",
        "::ffff:10.1.2.4/128",
    ):
        assert not within(address, networks)


@pytest.mark.parametrize(
    "text", ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "x/8", "10.0.0.0/8,x", "fe80::%a/8"]
)
def test_what_is_no_network_is_refused_without_itself(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        check_networks("cidr_list", text)
    assert caught.value.message == "failed to validate cidr_list: invalid CIDR address"


def test_there_is_a_limit_to_networks() -> None:
    check_networks("cidr_list", ",".join(["10.0.0.0/8"] * 1000))
    with pytest.raises(Malformed, match="at most 1000"):
        check_networks("cidr_list", ",".join(["10.0.0.0/8"] * 1001))
