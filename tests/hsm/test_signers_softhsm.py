# SPDX-License-Identifier: EUPL-1.2
"""Certificates and Biscuits signed by keys that never leave a SoftHSM token, judged by OpenSSL and by biscuit-auth."""

import datetime as dt
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from biscuit_auth import (
    AuthorizerBuilder,
    Biscuit,
    BiscuitBuilder,
    BiscuitValidationError,
    BlockBuilder,
    KeyPair,
)
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pkcs11 import Attribute, ObjectClass

from hsm.agent.session.module import load
from hsm.client.agent_client import AgentClient
from hsm.client.signers import PrivateKey, TokenSigner, private_key
from hsm.errors import KeyMissing
from nhi.biscuit.format.authority import parse
from nhi.biscuit.offline.root_signature import build, root_public_key
from tests.hsm import pairs
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm
from tests.patience import patient

START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(2090, 1, 1, tzinfo=dt.UTC)
PSS = padding.PSS(padding.MGF1(SHA384()), padding.PSS.DIGEST_LENGTH)
KINDS: dict[str, tuple[str, Any, padding.PSS | None]] = {
    "p256": ("p256", SHA256(), None),
    "p384": ("p384", SHA384(), None),
    "ed25519": ("ed25519", None, None),
    "rsa": ("rsa2048", SHA512(), None),
    "rsa-pss": ("rsa2048", SHA384(), PSS),
}
"""The key, the hash and, for RSA, the padding."""
ALGORITHMS = ("p256", "p384", "ed25519", "rsa2048")


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    made = SoftHsm(tmp_path_factory.mktemp("softhsm"))
    made.initialise("a")
    return made


@pytest.fixture(scope="module")
def agent(token: SoftHsm) -> Iterator[AgentClient]:
    """An agent on a token with a key pair of each kind."""
    with pairs.agent(token, "a") as client:
        pairs.generate(client, *ALGORITHMS)
        yield client


def _key(agent: AgentClient, label: str) -> PrivateKey:
    return private_key(TokenSigner(agent, label, pairs.IDS.get(label), seconds=60))


def _openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def _builder(subject: str, public: Any, *, authority: bool) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root")])
    builder = x509.CertificateBuilder(issuer, name, public, x509.random_serial_number(), START, END)
    return builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)


@pytest.mark.parametrize("kind", KINDS)
def test_openssl_verifies_a_chain_a_request_and_a_revocation_list(
    agent: AgentClient, kind: str, tmp_path: Path
) -> None:
    label, hashing, scheme = KINDS[kind]
    key = _key(agent, label)
    root = _builder("Root", key.public_key(), authority=True).sign(key, hashing, rsa_padding=scheme)
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    leaf = _builder("leaf", leaf_key.public_key(), authority=False).sign(key, hashing, rsa_padding=scheme)
    leaf.verify_directly_issued_by(root)
    request = x509.CertificateSigningRequestBuilder(root.subject).sign(key, hashing, rsa_padding=scheme)
    revoked = x509.RevokedCertificateBuilder(leaf.serial_number, START).build()
    revocations = x509.CertificateRevocationListBuilder(root.subject, START, END)
    crl = revocations.add_revoked_certificate(revoked).sign(key, hashing, rsa_padding=scheme)
    for name, what in (("root", root), ("leaf", leaf), ("request", request), ("crl", crl)):
        (tmp_path / name).write_bytes(what.public_bytes(Encoding.PEM))
    assert "OK" in _openssl("verify", "-check_ss_sig", "-CAfile", tmp_path / "root", tmp_path / "leaf")
    assert "verify OK" in _openssl("req", "-verify", "-noout", "-in", tmp_path / "request")
    assert "verify OK" in _openssl("crl", "-noout", "-CAfile", tmp_path / "root", "-in", tmp_path / "crl")


@pytest.mark.parametrize("label", ["p256", "ed25519"])
def test_a_biscuit_s_root_stays_in_the_token(agent: AgentClient, label: str) -> None:
    root = _key(agent, label)
    assert isinstance(root, Ed25519PrivateKey | ec.EllipticCurvePrivateKey)
    public = root_public_key(root)
    for number in range(20):
        raw = build(BiscuitBuilder(f'workload("w{number}");'), root, 5)
        biscuit = Biscuit.from_bytes(raw, public)
        patient(AuthorizerBuilder(f'allow if workload("w{number}");')).build(biscuit).authorize()
        narrower = biscuit.append(BlockBuilder('check if operation("read");'))
        again = Biscuit.from_bytes(bytes(narrower.to_bytes()), public)
        patient(AuthorizerBuilder('operation("read"); allow if true;')).build(again).authorize()
        assert len(parse(raw).signature) == 64 if label == "ed25519" else parse(raw).signature[3] <= 33
        with pytest.raises(BiscuitValidationError):
            Biscuit.from_bytes(raw, KeyPair().public_key)


def test_the_keys_that_signed_cannot_be_read(
    agent: AgentClient, token: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert agent.pid is not None
    monkeypatch.setenv("SOFTHSM2_CONF", str(token.configuration))
    module = load(SOFTHSM)
    (found,) = [slot.get_token() for slot in module.slots() if slot.get_token().label.strip() == "a"]
    with found.open(user_pin=PIN) as session:
        keys = list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}))
        assert sorted(key[Attribute.LABEL] for key in keys) == sorted(ALGORITHMS)
        for key in keys:
            assert key[Attribute.SENSITIVE]
            assert not key[Attribute.EXTRACTABLE]
            assert key[Attribute.NEVER_EXTRACTABLE]
            secret = Attribute.PRIVATE_EXPONENT if key[Attribute.LABEL] == "rsa2048" else Attribute.VALUE
            with pytest.raises(pkcs11.AttributeSensitive):
                key[secret]
    module.finish()


def test_a_key_that_is_not_there_is_named(agent: AgentClient) -> None:
    with pytest.raises(KeyMissing, match="key other: the token has no such private key"):
        _key(agent, "other")
