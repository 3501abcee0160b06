# SPDX-License-Identifier: EUPL-1.2
"""Approval of a token by a third party: asked for, given, and added to the token.

An approval is a third party's block, `approved(CHANGE, UNTIL)`, good for one token. A registration that wants one says
`check if approved($change, $until), time($now), $now < $until trusting KEY`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from nhi.biscuit.format.authority import LARGEST
from nhi.biscuit.format.chain import read_chain, write_chain
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.offline.attenuate import append_approval, approve, request
from nhi.biscuit.offline.guard import Term
from nhi.biscuit.offline.keys import RootKey
from nhi.biscuit.offline.verify import decoded, from_text, to_text
from vault.framework.clock import Entropy

_SECRET: Final = 32


def asked(token: str) -> str:
    """Return what an approver needs to know of a token: nothing that it could be used with. Raises `BiscuitError`."""
    return _text(request(read_chain(from_text(token, LARGEST))))


def given(asking: str, change: str, *, until: int, checks: Sequence[str], key: str) -> str:
    """Return an approval of `change` until `until` (seconds), signed by a private key in PEM. Raises `BiscuitError`."""
    terms: dict[str, Term] = {"change": change, "until": datetime.fromtimestamp(until, UTC)}
    source = "".join(f"{text.strip().rstrip(';')};\n" for text in ("approved({change}, {until})", *checks))
    return _text(approve(decoded(asking), source, terms, _key(key)))


def approved(token: str, block: str) -> str:
    """Return a token with an approval that was made for it. Raises `BiscuitError`."""
    chain = read_chain(from_text(token, LARGEST))
    return _text(write_chain(append_approval(chain, decoded(block), Entropy().bytes(_SECRET))))


def _key(text: str) -> RootKey:
    try:
        key = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BiscuitError("the key must be a private key as PEM, without a passphrase") from None
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise BiscuitError("the key must be Ed25519, or on the curve P-256")


def _text(data: bytes) -> str:
    return to_text(data).rstrip("=")
