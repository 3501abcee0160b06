# SPDX-License-Identifier: EUPL-1.2
"""Whose address a request counts as coming from; every answer is compared with OpenBao elsewhere."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest

from tests.unit.outbound.authority import Authority
from vault.server.config.settings import Listener
from vault.server.http.forwarded import ForwardedMiddleware

PROXY = "10.0.0.1"
FAR = "192.0.2.7"


def seen(
    *headers: str, peer: Any = (PROXY, 1234), skips: int = 0, present: bool = False, authorized: bool = False
) -> Any:
    """Who the request behind the listener comes from, or the body of the refusal."""
    found: list[Any] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        del receive, send
        found.append(scope["client"])

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            found.append(message["body"].decode())

    async def receive() -> Any:
        raise AssertionError("nobody reads a body here")

    listener = Listener(
        kind="tcp",
        x_forwarded_for_authorized_addrs=("10.0.0.0/8", "2001:db8::1"),
        x_forwarded_for_hop_skips=skips,
        x_forwarded_for_reject_not_present=present,
        x_forwarded_for_reject_not_authorized=authorized,
    )
    scope = {"client": peer, "headers": [(b"x-forwarded-for", value.encode("latin-1")) for value in headers]}
    asyncio.run(ForwardedMiddleware(behind, listener, lambda *_: None)(scope, receive, send))  # type: ignore[arg-type]  # a coroutine here
    (only,) = found
    return only


@pytest.mark.parametrize(
    ("headers", "skips", "address"),
    [
        ((FAR,), 0, FAR),
        (("203.0.113.1, 203.0.113.2", FAR), 0, FAR),
        ((f"203.0.113.1, {FAR}", "203.0.113.2"), 1, FAR),
        (("2001:DB8::2",), 0, "2001:db8::2"),
    ],
)
def test_the_nearest_proxy_vouches_for_the_last_entry(
    headers: Sequence[str], skips: int, address: str
) -> None:
    assert seen(*headers, skips=skips) == (address, 1234)


@pytest.mark.parametrize("peer", [("192.0.2.1", 1), ("::ffff:192.0.2.1", 1), ("", 0), None])
def test_nobody_else_is_believed(peer: Any) -> None:
    assert seen(FAR, peer=peer) == peer
    assert "not authorized" in seen(FAR, peer=peer, authorized=True)


@pytest.mark.parametrize("peer", [("::ffff:10.0.0.1", 1), ("2001:db8::1", 1)])
def test_a_proxy_is_known_in_both_families(peer: Any) -> None:
    assert seen(FAR, peer=peer) == (FAR, 1)


@pytest.mark.parametrize(
    "entry",
    ["hunter2", "", f"{FAR}:80", f"{FAR}/32", "\u0661.1.1.1".encode().decode("latin-1"), "fe80::1%eth0x\x7f"],
)
def test_what_is_no_address_is_refused_and_not_repeated(entry: str) -> None:
    refusal = seen(FAR, entry)
    assert "is not an address" in refusal
    assert not entry or entry not in refusal


def test_a_chain_that_is_too_short_is_refused() -> None:
    assert "hops to skip (1) would skip before earliest chain link (chain length 1)" in seen(FAR, skips=1)


def test_a_header_that_is_missing_counts_only_where_it_must_be_there() -> None:
    assert seen() == (PROXY, 1234)
    assert "missing x-forwarded-for header" in seen(present=True)


CERTIFICATE = Authority().issue("alice").der
OWN = {"client_certificate": b"the proxy's own", "client_intermediates": (b"x",)}


def shown(
    *values: bytes, peer: Any = (PROXY, 1234), decoders: Sequence[str] = (), header: str = "Client-Cert"
) -> Any:
    """The certificate that the request behind the listener comes with, or the body of the refusal."""
    found: list[Any] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        del receive, send
        found.append(scope["state"]["client_certificate"])
        assert (
            scope["state"]["client_certificate"] == b"the proxy's own"
            or not scope["state"]["client_intermediates"]
        )

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            found.append(message["body"].decode())

    async def receive() -> Any:
        raise AssertionError("nobody reads a body here")

    listener = Listener(
        kind="tcp",
        x_forwarded_for_authorized_addrs=("10.0.0.0/8",),
        x_forwarded_for_client_cert_header=header,
        x_forwarded_for_client_cert_decoders=tuple(decoders),
    )
    scope = {"client": peer, "state": dict(OWN), "headers": [(b"client-cert", value) for value in values]}
    asyncio.run(ForwardedMiddleware(behind, listener, lambda *_: None)(scope, receive, send))  # type: ignore[arg-type]  # a coroutine here
    (only,) = found
    return only


@pytest.mark.parametrize(
    ("value", "decoders"),
    [
        (b64encode(CERTIFICATE), ()),
        (b":" + b64encode(CERTIFICATE) + b":", ("RFC9440",)),
        (quote(b64encode(CERTIFICATE), safe="").encode(), ("URL",)),
        (quote(ssl.DER_cert_to_PEM_cert(CERTIFICATE), safe="").encode(), ("URL", "PEM")),
    ],
    ids=["plain", "rfc9440", "url", "nginx"],
)
def test_a_proxy_hands_a_clients_certificate_on(value: bytes, decoders: Sequence[str]) -> None:
    assert shown(value, decoders=decoders) == CERTIFICATE


def test_a_proxy_that_hands_none_on_is_not_its_clients() -> None:
    assert shown() is None
    assert shown(b"") is None


@pytest.mark.parametrize("peer", [("192.0.2.1", 1), ("::ffff:192.0.2.1", 1), ("", 0), None])
def test_nobody_else_hands_certificates_on(peer: Any) -> None:
    assert shown(b64encode(CERTIFICATE), peer=peer) == b"the proxy's own"


def test_nobody_hands_certificates_on_unless_a_header_is_named() -> None:
    assert shown(b64encode(CERTIFICATE), header="") == b"the proxy's own"
    assert shown(b64encode(CERTIFICATE), header="Other") is None


@pytest.mark.parametrize(
    ("values", "decoders"),
    [
        ((b64encode(CERTIFICATE), b64encode(CERTIFICATE)), ()),
        ((b64encode(CERTIFICATE) + b"!",), ()),
        ((b64encode(CERTIFICATE[:-1]),), ()),
        ((b"hunter2",), ()),
        ((b"hunter2",), ("PEM",)),
        ((b64encode(CERTIFICATE),), ("RFC9440",)),
        ((b":",), ("RFC9440",)),
        ((b"%zz",), ("URL",)),
    ],
)
def test_a_certificate_that_cannot_be_read_is_refused_and_not_repeated(
    values: Sequence[bytes], decoders: Sequence[str]
) -> None:
    assert shown(*values, decoders=decoders) == '{"errors":["malformed header of a client certificate"]}\n'
