# SPDX-License-Identifier: EUPL-1.2
"""Certificates and a Biscuit signed in tokens of other makers: NSS and openCryptoki, neither of which has Ed25519."""

import datetime as dt
import os
from collections.abc import Iterator
from typing import Any

import pytest
from biscuit_auth import Biscuit, BiscuitBuilder
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from hsm.client.agent_client import AgentClient
from hsm.client.ciphers import TokenCipher
from hsm.client.signers import PrivateKey, TokenSigner, private_key
from hsm.errors import BadConfig, HsmError
from hsm.operations import AgentConfig, GenerateKek
from hsm.versions import KeyVersion
from nhi.biscuit.offline.root_signature import build, root_public_key
from tests.hsm import pairs
from tests.hsm.tokens_nss import new_nss_token
from tests.hsm.tokens_opencryptoki import opencryptoki_token
from vault.framework.keys.external import oaep

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root")])
START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(2090, 1, 1, tzinfo=dt.UTC)
PSS = padding.PSS(padding.MGF1(SHA384()), padding.PSS.DIGEST_LENGTH)
KINDS: dict[str, tuple[str, Any, padding.PSS | None]] = {
    "p256": ("p256", SHA256(), None),
    "p384": ("p384", SHA384(), None),
    "rsa": ("rsa2048", SHA512(), None),
    "rsa-pss": ("rsa2048", SHA384(), PSS),
}
"""The key, the hash and, for RSA, the padding."""


@pytest.fixture(scope="module", params=["nss", "opencryptoki"])
def agent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentClient]:
    """An agent on a token with a key pair of each kind."""
    folder = tmp_path_factory.mktemp(request.param)
    config = AgentConfig(lib="", key_label="kek", runtime_directory=str(folder / "run"))
    if request.param == "nss":
        nss = new_nss_token(folder / "token")
        opened = replace(
            config, lib=str(nss.library), library_parameters=nss.parameters, token_label=nss.label
        )
        with pairs.launched(opened, nss.pin, os.environ) as client:
            pairs.generate(client, "p256", "p384", "rsa2048")
            _generate_keks(client)
            yield client
        return
    with opencryptoki_token(folder / "token") as token:
        opened = replace(config, lib=str(token.library), token_label=token.label)
        with pairs.launched(opened, token.pin, os.environ, inside=token.inside) as client:
            pairs.generate(client, "p256", "p384", "rsa2048")
            _generate_keks(client)
            yield client


def _generate_keks(client: AgentClient) -> None:
    """Make an RSA key and an AES key of one name."""
    for algorithm in ("rsa3072", "aes"):
        client.ask_blocking(GenerateKek(algorithm), KeyVersion, 60)


def _key(agent: AgentClient, label: str) -> PrivateKey:
    return private_key(TokenSigner(agent, label, pairs.IDS.get(label), seconds=60))


@pytest.mark.parametrize("kind", KINDS)
def test_certificates_requests_and_revocation_lists_verify(agent: AgentClient, kind: str) -> None:
    label, hashing, scheme = KINDS[kind]
    key = _key(agent, label)
    builder = x509.CertificateBuilder(NAME, NAME, key.public_key(), 1, START, END)
    certificate = builder.sign(key, hashing, rsa_padding=scheme)
    certificate.verify_directly_issued_by(certificate)
    request = x509.CertificateSigningRequestBuilder(NAME).sign(key, hashing, rsa_padding=scheme)
    assert request.is_signature_valid
    revocations = x509.CertificateRevocationListBuilder(NAME, START, END)
    assert revocations.sign(key, hashing, rsa_padding=scheme).is_signature_valid(key.public_key())


def test_a_biscuit_s_root_may_be_in_any_token_that_has_p256(agent: AgentClient) -> None:
    root = _key(agent, "p256")
    assert isinstance(root, ec.EllipticCurvePrivateKey)
    raw = build(BiscuitBuilder('workload("w1");'), root)
    assert Biscuit.from_bytes(raw, root_public_key(root)).block_source(0) == 'workload("w1");\n'


def test_what_the_token_cannot_make_is_said(agent: AgentClient) -> None:
    with pytest.raises(BadConfig, match="generate ed25519: the module says"):
        pairs.generate(agent, "ed25519")


@pytest.mark.parametrize("name", ["sha1", "sha256", "sha384", "sha512"])
def test_what_the_public_half_encrypts_the_token_decrypts_and_refuses_all_else_alike(
    agent: AgentClient, name: str
) -> None:
    key = private_key(TokenSigner(agent, "kek", None, seconds=60))
    assert isinstance(key, rsa.RSAPrivateKey)
    made = key.public_key().encrypt(b"a text", oaep(name))
    assert key.decrypt(made, oaep(name)) == b"a text"
    refused = set()
    other = key.public_key().encrypt(b"a text", oaep("sha256" if name == "sha1" else "sha1"))
    for wrong in (b"", made[:-1], made[:-1] + bytes([made[-1] ^ 1]), bytes(384), b"\xff" * 384, other):
        with pytest.raises(ValueError, match="decryption failed") as caught:
            key.decrypt(wrong, oaep(name))
        refused.add(str(caught.value))
    assert refused == {"decryption failed"}


def test_an_aes_key_encrypts_where_the_module_has_gcm(
    agent: AgentClient, request: pytest.FixtureRequest
) -> None:
    """NSS names too few bytes for what it makes, and python-pkcs11 believes it: such a key is refused when it is looked for."""
    if request.node.callspec.params["agent"] == "nss":
        with pytest.raises(HsmError, match="key kek: secret key: the module says PKCS11Error"):
            TokenCipher(agent, "kek", None, seconds=60)
        return
    cipher = TokenCipher(agent, "kek", None, seconds=60)
    made = cipher.encrypt(b"a text", b"aad")
    assert cipher.decrypt(made, b"aad") == b"a text"
    for wrong in (made[:-1], bytes(40), made[:-1] + bytes([made[-1] ^ 1])):
        with pytest.raises(InvalidTag):
            cipher.decrypt(wrong, b"aad")
