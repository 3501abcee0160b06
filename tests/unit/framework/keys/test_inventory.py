# SPDX-License-Identifier: EUPL-1.2
"""What keys are called in the inventory, and how many are counted."""

import asyncio
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from vault.framework.keys.inventory import MOST_COUNTED, counted, kind_of


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (ed25519.Ed25519PrivateKey.generate(), ("ed25519", 256)),
        (ec.generate_private_key(ec.SECP256R1()), ("ecdsa-p256-sha256", 256)),
        (ec.generate_private_key(ec.SECP384R1()), ("ecdsa-p384-sha384", 384)),
        (ec.generate_private_key(ec.SECP521R1()), ("ecdsa-p521-sha512", 521)),
        (ec.generate_private_key(ec.SECP256K1()), ("", 256)),
        (rsa.generate_private_key(65537, 2048), ("rsa-2048", 2048)),
        (ed448.Ed448PrivateKey.generate(), ("", 0)),
    ],
    ids=["ed25519", "p256", "p384", "p521", "k256", "rsa", "ed448"],
)
def test_a_public_key_tells_algorithm_and_size(
    key: ec.EllipticCurvePrivateKey, expected: tuple[str, int]
) -> None:
    assert kind_of(key.public_key()) == expected


@pytest.mark.parametrize("there", [0, 1, 256, 257, 3000, MOST_COUNTED, MOST_COUNTED + 1, 20_000])
def test_names_are_counted_by_pages_and_not_without_end(there: int) -> None:
    names = [f"{number:06}" for number in range(there)]
    asked = 0

    async def listing(prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        nonlocal asked
        asked += 1
        first = int(after) + 1 if after else 0
        return names[first : first + limit] if prefix == "key/" else []

    assert asyncio.run(counted(listing, "key/")) == min(there, MOST_COUNTED)
    assert asked <= MOST_COUNTED // 256 + 2
