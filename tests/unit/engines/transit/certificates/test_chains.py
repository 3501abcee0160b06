# SPDX-License-Identifier: EUPL-1.2
"""Chains of certificates: whose signatures are verified, which are refused, and for which pair."""

import pytest

from tests.conformance.certifier import CHAINS, chain
from tests.unit.engines.transit.test_signatures import made
from vault.engines.transit.certificates.chains import read_chain, require_match
from vault.engines.transit.keys.key_ring import OpenVersion
from vault.engines.transit.keys.key_types import pem_chain, pem_public
from vault.framework.errors import Malformed

REFUSED = {
    "short": "not signed by the one after it",
    "swapped": "not signed by the one after it",
    "impostor": "not signed by the one after it",
    "authority": "not a valid leaf",
    "led": "not a valid leaf",
    "twice": "not a valid CA",
    "leaves": "only one leaf",
}


def public(version: OpenVersion) -> str:
    return pem_public(version.stored.public)


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_is_kept_only_where_each_signed_the_one_before(name: str) -> None:
    _, version = made("ecdsa-p256")
    text = chain(name, public(version))
    if name in REFUSED:
        with pytest.raises(Malformed, match=REFUSED[name]):
            read_chain(text)
    else:
        kept = read_chain(text)
        assert len(kept) == len(CHAINS[name].split())
        assert pem_chain(kept) == text
        assert read_chain(f"before\n{text}\n\n") == kept


def test_a_chain_is_for_the_pair_whose_public_half_its_leaf_has() -> None:
    _, version = made("ecdsa-p256")
    _, other = made("ecdsa-p256")
    kept = read_chain(chain("two", public(version)))
    require_match(kept, version.stored.public, "ecdsa-p256")
    with pytest.raises(Malformed, match="does not match the selected key version"):
        require_match(kept, other.stored.public, "ecdsa-p256")
    with pytest.raises(Malformed, match="algorithm 'ECDSA' does not match the transit key type 'ed25519'"):
        require_match(kept, made("ed25519")[1].stored.public, "ed25519")


def test_what_is_no_chain_is_refused_before_much_of_it_is_read() -> None:
    _, version = made("ecdsa-p256")
    two = chain("two", public(version))
    for wrong, why in (
        ("", "did not contain any"),
        ("x", "could not decode a PEM block"),
        (two + "x", "could not decode a PEM block"),
        (two.replace("CERTIFICATE", "X"), "did not contain any"),
        (two[:100] + two[200:], "could not parse a certificate"),
        (two * 9, "at most 16 certificates"),
        (two + " " * 132_000, "at most 16 certificates"),
    ):
        with pytest.raises(Malformed, match=why):
            read_chain(wrong)
