# SPDX-License-Identifier: Apache-2.0
"""Cryptography: the keys in use, as the server tells them, and what its listener takes up of TLS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from esa_conformance.evidence.openssl import early_data_bytes
from esa_conformance.requirements import suite_strengths
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial
from esa_conformance.wire.hello import (
    P256,
    SSL_3_0,
    TLS_1_0,
    TLS_1_1,
    TLS_1_2,
    TLS_1_3,
    X25519,
    X25519_ML_KEM_768,
)

TESTS = Tests()
_SHORTEST: Final = 16
"""Characters of a credential that stands nowhere by chance."""
_INVENTORY: Final = "sys/crypto/inventory"
_MEMBERS: Final = (
    "purpose", "algorithm", "bits", "created", "rotated", "origin", "pq", "at_risk_after",
)  # fmt: skip
_CLASSICAL: Final = (X25519, P256)


def _inventory(t: Trial) -> tuple[Sequence[Mapping[str, Any]], bytes]:
    """The whole inventory, and all its pages as they came."""
    links = (t.state.discovery or {}).get("links")
    told = str(links.get("crypto") or "") if isinstance(links, dict) else ""
    admin = t.admin.within("")
    target = told if told.startswith("/") else f"{admin.where.base}/{_INVENTORY}"
    keys: list[Mapping[str, Any]] = []
    pages, after = b"", ""
    while True:
        reply = admin.send_literal("GET", target, query={"after": after} if after else None)
        t.served(reply.ok, "an inventory of keys is given")
        found, pages = reply.answer.member("data", "inventory"), pages + reply.answer.body
        t.must(isinstance(found, list) and bool(found), "an inventory is a list of keys")
        keys += [key for key in found if isinstance(key, dict)]
        following = str(reply.answer.member("data", "next") or "")
        if not following or following == after:
            return keys, pages
        after = following


@TESTS.test("ESA-CRY-001", cls="read-only", needs=("admin",), provisional=True)
def keys_in_use_are_described(t: Trial) -> None:
    """Each key in use is listed with all that has to be known of it, in registered names."""
    keys, _ = _inventory(t)
    registered = suite_strengths()
    for key in keys:
        t.equal([name for name in _MEMBERS if name not in key], [], "a key has all members")
        t.must(bool(key["purpose"]), "a key has a purpose")
        t.must(key["algorithm"] in registered or not key["algorithm"], "an algorithm is registered")
        t.must(key["origin"] in {"hsm", "software"}, "a key is from an HSM or from software")
        t.must(key["pq"] in {"none", "hybrid", "pq"}, "a post-quantum state is one of three")
        t.must(
            key["pq"] != "pq" or registered.get(key["algorithm"], "pq") != "none",
            "no key is stronger than its algorithm",
        )
        t.must(
            bool(key["at_risk_after"]) == (key["pq"] == "none"),
            "what is at risk has a day, and nothing else has",
        )
    used = [key for key in keys if key["origin"] == "software" and key.get("state", "active") == "active"]
    t.should(all(key["created"] for key in used), "it is not known when a key in use was made")
    t.should(all(key["bits"] for key in used), "it is not known how long a key in use is")


@TESTS.test("ESA-CRY-001", cls="read-only", needs=("admin",), provisional=True)
def inventory_has_no_keys(t: Trial) -> None:
    """No key is in the inventory, and none that a caller without rights may read is there for them."""
    _, pages = _inventory(t)
    for secret in (t.state.seal_key, t.admin.token):
        short = not secret or len(secret) < _SHORTEST  # stands in other words too
        t.must(short or str(secret).encode() not in pages, "no key and no credential is in the inventory")
    t.must(b"PRIVATE KEY" not in pages, "no private key is in the inventory")
    reply = t.nobody.within("").send("GET", _INVENTORY)
    t.is_so(reply, reply.unknown_caller, "nobody reads the inventory without a credential")


@TESTS.test("ESA-CRY-003", cls="read-only", needs=("tls",))
def old_tls_is_refused(t: Trial) -> None:
    """The listener takes TLS 1.2 or 1.3 and nothing older, and should take the hybrid agreement of X25519 and ML-KEM."""
    transport = t.nobody.transport
    newer = [transport.offer(version, _CLASSICAL) for version in (TLS_1_3, TLS_1_2)]
    t.need(any(newer), "the listener takes TLS 1.2 or 1.3")
    for version in (TLS_1_1, TLS_1_0, SSL_3_0):
        t.must(transport.offer(version, _CLASSICAL) is None, "a version of TLS below 1.2 is refused")
    hybrid = transport.offer(TLS_1_3, (X25519_ML_KEM_768,))
    t.should(hybrid is not None and hybrid.group == X25519_ML_KEM_768, "X25519MLKEM768 is not offered")


@TESTS.test("ESA-CRY-003", cls="read-only", needs=("tls", "openssl"))
def early_data_is_not_taken(t: Trial) -> None:
    """No ticket of the listener lets a client send early data."""
    transport = t.nobody.transport
    t.need(transport.offer(TLS_1_3, _CLASSICAL) is not None, "the listener takes TLS 1.3")
    t.equal(early_data_bytes(str(t.state.openssl), transport.place), 0, "a ticket allows no early data")
