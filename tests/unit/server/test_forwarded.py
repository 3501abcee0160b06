# SPDX-License-Identifier: EUPL-1.2
"""Whose address a request counts as coming from; every answer is compared with OpenBao elsewhere."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from vault.server.forwarded import Forwarded
from vault.server.settings import Listener

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
    asyncio.run(Forwarded(behind, listener)(scope, receive, send))  # type: ignore[arg-type]  # a coroutine here
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
