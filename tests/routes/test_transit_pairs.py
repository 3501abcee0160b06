# SPDX-License-Identifier: EUPL-1.2
"""Pairs of transit that are more than a signature: agreed keys, chains of certificates, hybrid encryption."""

from collections.abc import Iterator

import pytest

from tests.conformance.certifier import chain
from tests.routes.driver import Application
from tests.routes.test_transit import ABOUT, TEXT, Transit


@pytest.fixture
def transit() -> Iterator[Transit]:
    with Application() as application:
        yield Transit(application)


def test_two_mounts_that_agree_on_a_key_read_each_other(transit: Transit) -> None:
    """Each gives the other its public half; what one encrypts the other decrypts, and nobody sent a key."""
    publics = {}
    for name in ("here", "there"):
        transit.data(f"keys/{name}", {"type": "ecdsa-p384"})
        publics[name] = transit.ask("GET", f"keys/{name}").json()["data"]["keys"]["1"]["public_key"]
    for base, peer in (("here", "there"), ("there", "here")):
        body = {"base_key_name": base, "peer_public_key": publics[peer]}
        assert transit.ask("POST", f"derive-key/with-{peer}", body).status == 204
    text = transit.encrypt("with-there")
    assert transit.data("decrypt/with-here", {"ciphertext": text})["plaintext"] == TEXT
    assert "does not allow rotation" in transit.refused("keys/with-here/rotate", {})
    transit.ask("DELETE", "keys/here/soft-delete")
    body = {"base_key_name": "here", "peer_public_key": publics["there"]}
    assert transit.refused("derive-key/again", body) == "refusing to use soft-deleted key"
    assert transit.ask("GET", "keys/again").status == 404


def test_a_chain_stays_with_its_version_and_is_told_by_every_way(transit: Transit) -> None:
    shown = transit.data("keys/k", {"type": "ecdsa-p256"})["keys"]["1"]
    assert shown["certificate_chain"] == ""
    sent = chain("full", shown["public_key"])
    transit.data("sign/k", {"input": TEXT})  # the version is in memory now
    assert transit.data("keys/k/set-certificate", {"certificate_chain": sent})["certificate_chain"] == sent
    transit.data("keys/k/rotate", {})
    versions = transit.ask("GET", "keys/k").json()["data"]["keys"]
    assert [versions[number]["certificate_chain"] for number in "12"] == [sent.rstrip("\n"), ""]
    exported = transit.ask("GET", "export/certificate-chain/k/1").json()["data"]["keys"]
    assert exported == {"1": sent.rstrip("\n")}
    text = transit.data("sign/k", {"input": TEXT})["signature"]
    assert transit.data("verify/k", {"input": TEXT, "signature": text}) == {"valid": True}


def test_a_hybrid_key_wraps_data_keys_and_is_rotated_as_any_other(transit: Transit) -> None:
    shown = transit.data("keys/h", {"type": "mlkem768-x25519"})
    assert (shown["supports_encryption"], shown["supports_derivation"]) == (True, False)
    made = transit.data("datakey/plaintext/h", {"associated_data": ABOUT})
    transit.data("keys/h/rotate", {})
    body = {"ciphertext": made["ciphertext"], "associated_data": ABOUT}
    assert transit.data("decrypt/h", body)["plaintext"] == made["plaintext"]
    anew = transit.data("rewrap/h", body)["ciphertext"]
    assert anew.startswith("vault:v2:")
    assert transit.data("decrypt/h", {**body, "ciphertext": anew})["plaintext"] == made["plaintext"]
    for wrong in ({"ciphertext": anew}, {**body, "ciphertext": anew[:-8] + "AAAAAAA="}):
        assert transit.refused("decrypt/h", wrong) == "hpke: message authentication failed"
    for path, body in (
        ("keys/d", {"type": "mlkem768-x25519", "derived": True}),
        ("sign/h", {"input": TEXT}),
        ("keys/h/csr", {}),
    ):
        transit.refused(path, body)
