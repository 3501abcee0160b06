# SPDX-License-Identifier: EUPL-1.2
"""Addresses of receivers: what is read, and what is refused before anybody is asked."""

import pytest

from vault.log.forward.transport.address import BadAddress, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port", "target", "authority"),
    [
        ("tls://siem.example", "siem.example", 6514, "", "siem.example"),
        ("tls://SIEM.example:1", "siem.example", 1, "", "siem.example:1"),
        ("tcp://127.0.0.1:601", "127.0.0.1", 601, "", "127.0.0.1:601"),
        ("tcp://[::1]:601", "::1", 601, "", "[::1]:601"),
        ("https://c.example", "c.example", 443, "", "c.example"),
        ("https://c.example/in/?index=a", "c.example", 443, "/in/?index=a", "c.example"),
        ("http://c.example:8088/", "c.example", 8088, "/", "c.example:8088"),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int, target: str, authority: str) -> None:
    address = parse_address(text)
    assert (address.host, address.port, address.target, address.authority) == (host, port, target, authority)


def test_the_path_of_a_socket_is_read() -> None:
    address = parse_address("unix:///run/collector.sock")
    assert (address.path, address.host, address.protected) == ("/run/collector.sock", "", True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "siem.example:601",
        "udp://siem.example:514",
        "tcp://siem.example",
        "tcp://siem.example:0",
        "tcp://siem.example:65536",
        "tcp://siem.example:601/",
        "tcp://:601",
        "tcp://user:pass@siem.example:601",
        "https://user@c.example/",
        "https://c.example/a b",
        "https://c.example/#part",
        "https://c.example/a\r\nHost: x",
        "https://[::1/",
        "unix://collector.sock",
        "unix:///" + "a" * 107,
        "unix:///a\0b",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "protected"),
    [
        ("tls://siem.example", True),
        ("https://c.example", True),
        ("tcp://localhost:1", True),
        ("http://127.9.9.9:1", True),
        ("http://[::1]:1", True),
        ("tcp://10.0.0.1:1", False),
        ("http://127.0.0.1.example:1", False),
    ],
)
def test_what_others_can_read_on_the_way_is_told(text: str, protected: bool) -> None:
    assert parse_address(text).protected is protected
