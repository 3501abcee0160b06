# SPDX-License-Identifier: EUPL-1.2
"""Which addresses may be asked, and which URLs are plain ones."""

import pytest

from vault.outbound.failure import Unreachable
from vault.outbound.places import Places
from vault.outbound.url import parse

FORBIDDEN = {
    "127.0.0.1": "this machine itself",
    "127.8.8.8": "this machine itself",
    "0.0.0.0": "this machine itself",  # noqa: S104 -- asked about, not bound
    "::1": "this machine itself",
    "::": "this machine itself",
    "::ffff:127.0.0.1": "this machine itself",
    "64:ff9b::7f00:1": "this machine itself",
    "2002:7f00:1::": "this machine itself",
    "169.254.1.1": "a link-local address",
    "fe80::1%eth0": "a link-local address",
    "169.254.169.254": "a cloud's metadata service",
    "::ffff:169.254.169.254": "a cloud's metadata service",
    "64:ff9b::a9fe:a9fe": "a cloud's metadata service",
    "fd00:ec2::254": "a cloud's metadata service",
    "100.100.100.200": "a cloud's metadata service",
    "10.1.2.3": "a private address",
    "172.16.0.1": "a private address",
    "192.168.0.1": "a private address",
    "100.64.0.1": "a private address",
    "fd12::1": "a private address",
    "192.0.2.1": "a private address",
    "255.255.255.255": "a private address",
    "::127.0.0.1": "a private address",
    "::10.0.0.1": "a private address",
    "::ffff:0:127.0.0.1": "a private address",
    "64:ff9b:1:7f00:0:100:808:808": "a private address",
    "64:ff9b:1::909:909": "a private address",
    "fec0::1": "a private address",
    "5f00::1": "a private address",
    "224.0.0.1": "a multicast address",
    "ff02::1": "a multicast address",
}


@pytest.mark.parametrize(("address", "kind"), FORBIDDEN.items())
def test_sl_77_what_is_not_public_is_refused_in_every_spelling(address: str, kind: str) -> None:
    assert Places().objection(address) == kind


@pytest.mark.parametrize("address", ["9.9.9.9", "2620:fe::fe", "64:ff9b::909:909", "::ffff:9.9.9.9"])
def test_what_is_public_is_not(address: str) -> None:
    assert Places().objection(address) == ""


def test_an_operator_allows_single_addresses_and_blocks_and_nothing_beside_them() -> None:
    places = Places(["10.0.0.0/8", "127.0.0.1", "fd12::/16"])
    assert [places.objection(one) for one in ("10.9.9.9", "::ffff:10.9.9.9", "127.0.0.1", "fd12::9")] == [
        ""
    ] * 4
    assert places.objection("127.0.0.2") == "this machine itself"
    assert places.objection("11.0.0.1") == ""
    assert places.objection("fd13::1") == "a private address"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "keys",
        "//host/x",
        "file:///etc/passwd",
        "ftp://host/",
        "gopher://host:70/x",
        "https://",
        "https://user@host/",
        "https://user:pw@host/",
        "https://host/#part",
        "https://host:99999/",
        "https://host:x/",
        "https://ho st/",
        "https://host/a b",
        "https://host/\r\nX-Injected: 1",
        "https://höst/",
        "https://[::1/",
        "https://-x/",
        "https://a..b/",
        "https://x../",
        "https://x." + "a" * 64 + ".example/",
        "https://" + "a." * 127 + "example/",
        "https://host/" + "a" * 5000,
    ],
)
def test_a_url_that_is_not_plain_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Unreachable) as refused:
        parse(text)
    assert "pw" not in str(refused.value)
    assert "the URL" in str(refused.value)


def test_a_plain_url_is_taken_apart_once() -> None:
    url = parse("https://Keys.Example.org/a?b=c")
    assert (url.tls, url.host, url.port, url.target, url.authority) == (
        True,
        "keys.example.org",
        443,
        "/a?b=c",
        "keys.example.org",
    )
    assert parse("http://in_ner." + "a" * 63 + ".example.:80").host == "in_ner." + "a" * 63 + ".example."
    assert parse("http://[2001:db8::1]:8080").authority == "[2001:db8::1]:8080"
