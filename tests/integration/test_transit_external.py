# SPDX-License-Identifier: EUPL-1.2
"""Keys of transit in a SoftHSM token: the whole server signs, makes CSRs and rotates with keys that it never has."""

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from tests.hsm import pairs
from tests.hsm.tokens import SoftHsm
from tests.integration.softhsm import CONFIGS, HSM, hsm_server, token
from tests.integration.test_server_vault import Client

__all__ = ["token"]

TEXT = b"a release"
INPUT = base64.b64encode(TEXT).decode()
LABELS = ("p256", "p384", "p521", "ed25519", "rsa2048")


def data(client: Client, path: str, body: object) -> Any:
    status, answer = client.ask("POST", path, body)
    assert status == 200, answer
    return answer["data"]


@pytest.fixture
def more(token: SoftHsm) -> SoftHsm:
    """The token with a pair of every kind that it signs with."""
    with pairs.agent(token, "a") as agent:
        pairs.generate(agent, *(label for label in LABELS if label != "p256"))
    return token


def prepared(client: Client) -> None:
    client.ask("POST", "sys/mounts/transit", {"type": "transit"})
    assert client.ask("POST", f"{CONFIGS}/c", HSM)[0] == 204
    for label in LABELS:
        assert client.ask("POST", f"{CONFIGS}/c/keys/{label}", {"label": label})[0] == 204
        assert client.ask("POST", f"{CONFIGS}/c/keys/{label}/grants/transit")[0] == 204
        body = {"type": "external-key", "external_key_ref": f"c:{label}"}
        shown = data(client, f"transit/keys/{label}", body)
        assert (shown["type"], shown["keys"]) == ("external-key", {"1": f"c:{label}"})
        assert (shown["supports_signing"], shown["supports_encryption"]) == (True, True)


def good(public: object, signature: bytes) -> None:
    if isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(signature, TEXT, ec.ECDSA(SHA256()))
    elif isinstance(public, rsa.RSAPublicKey):
        public.verify(signature, TEXT, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
    else:
        assert isinstance(public, Ed25519PublicKey)
        public.verify(signature, TEXT)


@pytest.mark.executed
def test_keys_in_a_token_sign_for_transit_and_rotate_to_others(tmp_path: Path, more: SoftHsm) -> None:
    with hsm_server(tmp_path, more, more="") as (_, client):
        prepared(client)
        for label in LABELS:
            pem = client.ask("GET", f"transit/export/public-key/{label}?format=pem")[1]["data"]["keys"]["1"]
            public = load_pem_public_key(pem.encode())
            made = data(client, f"transit/sign/{label}", {"input": INPUT})["signature"]
            good(public, base64.b64decode(made.split(":")[2]))
            for text, valid in ((INPUT, True), ("b3RoZXI=", False)):
                body = {"input": text, "signature": made}
                assert data(client, f"transit/verify/{label}", body) == {"valid": valid}
            request = x509.load_pem_x509_csr(data(client, f"transit/keys/{label}/csr", {})["csr"].encode())
            assert request.is_signature_valid
            spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            assert request.public_key().public_bytes(*spki) == public.public_bytes(*spki)
        mac = data(client, "transit/hmac/p256", {"input": INPUT})["hmac"]
        assert data(client, "transit/verify/p256", {"input": INPUT, "hmac": mac}) == {"valid": True}
        old = data(client, "transit/sign/p256", {"input": INPUT})["signature"]
        assert client.ask("POST", "transit/keys/p256/rotate", {})[0] == 400
        shown = data(client, "transit/keys/p256/rotate", {"external_key_ref": "c:p384"})
        assert shown["keys"] == {"1": "c:p256", "2": "c:p384"}
        new = data(client, "transit/sign/p256", {"input": INPUT})["signature"]
        assert [one.split(":")[1] for one in (old, new)] == ["v1", "v2"]
        for signature in (old, new):
            body = {"input": INPUT, "signature": signature}
            assert data(client, "transit/verify/p256", body) == {"valid": True}
        for body in ({"hash_algorithm": "sha1"}, {"salt_length": "20"}):
            status, answer = client.ask("POST", "transit/sign/rsa2048", {"input": INPUT, **body})
            assert (status, "an external key" in answer["errors"][0]) == (400, True)
        status, answer = client.ask("GET", "sys/crypto/inventory")
        found = [row for row in answer["data"]["inventory"] if row["purpose"] == "transit"]
        assert {(row["algorithm"], row["origin"]) for row in found} == {
            ("ecdsa-p384-sha384", "hsm"), ("ecdsa-p521-sha512", "hsm"), ("ed25519", "hsm"), ("rsa-2048", "hsm"),
        }  # fmt: skip


def test_who_has_no_grant_any_more_signs_no_more_and_nothing_leaves(tmp_path: Path, more: SoftHsm) -> None:
    with hsm_server(tmp_path, more, more="") as (_, client):
        prepared(client)
        made = data(client, "transit/sign/p256", {"input": INPUT})["signature"]
        assert client.ask("DELETE", f"{CONFIGS}/c/keys/p256/grants/transit")[0] == 204
        status, answer = client.ask("POST", "transit/sign/p256", {"input": INPUT})
        assert (status, answer["errors"]) == (
            400,
            ['failed to fetch external key: mount "transit/" is missing grant for key "c:p256"'],
        )
        body = {"input": INPUT, "signature": made}
        assert data(client, "transit/verify/p256", body) == {"valid": True}  # the public half is here
        data(client, "transit/keys/p384/config", {"exportable": True, "allow_plaintext_backup": True})
        for part in ("signing-key", "encryption-key"):
            assert client.ask("GET", f"transit/export/{part}/p384")[0] == 400
        # Another pair under the name of the one that the key was made with.
        assert client.ask("POST", f"{CONFIGS}/c/keys/p384", {"label": "ed25519"})[0] == 204
        status, answer = client.ask("POST", "transit/sign/p384", {"input": INPUT})
        assert (status, answer["errors"]) == (
            500,
            ["1 error occurred:\n\t* the device has another key of this name by now\n\n"],
        )
