# SPDX-License-Identifier: EUPL-1.2
"""The adapters over a token in memory, whose answers have PKCS#11's forms; judged by stock cryptography."""

import copy
import datetime as dt
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    NoDigestInfo,
    Prehashed,
    decode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import (
    SHA3_256,
    SHA224,
    SHA256,
    SHA384,
    SHA512,
    Hash,
    HashAlgorithm,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from hsm.client.signers import Mechanism, PrivateKey, PublicKey, TokenSigner, private_key
from hsm.errors import AgentDied, BadConfig, IntegrityError
from hsm.operations import Decrypt, Operation, PublicHalf, Sign
from hsm.operations import PublicKey as AskPublicKey
from vault.framework.keys.external import oaep

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root")])
START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
HASHES = {"SHA256": SHA256(), "SHA384": SHA384(), "SHA512": SHA512()}
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
P521 = ec.generate_private_key(ec.SECP521R1())
RSA = rsa.generate_private_key(65537, 2048)
EDWARDS = ed25519.Ed25519PrivateKey.generate()
KEYS: dict[str, Any] = {
    "p256": P256,
    "p384": P384,
    "p521": P521,
    "rsa": RSA,
    "ed25519": EDWARDS,
}


class Token:
    """Signs as a token does: prehashed, and without any encoding around r and s. It decrypts OAEP."""

    def __init__(self, key: Any, change: Callable[[bytes], bytes] = lambda signature: signature) -> None:
        self.public_key: PublicKey = key.public_key()
        self.asked: list[tuple[Mechanism, bytes]] = []
        self._key = key
        self._change = change

    def sign(self, mechanism: Mechanism, data: bytes) -> bytes:
        assert type(data) is bytes
        self.asked.append((mechanism, data))
        return self._change(self._signed(mechanism, data))

    def decrypt(self, data: bytes, oaep_hash: str) -> bytes:
        assert type(data) is bytes
        try:
            return bytes(self._key.decrypt(data, oaep(oaep_hash)))
        except ValueError:
            raise IntegrityError("the ciphertext is not of this key, or was changed") from None

    def _signed(self, mechanism: Mechanism, data: bytes) -> bytes:
        if mechanism is Mechanism.EDDSA:
            return bytes(self._key.sign(data))
        if mechanism is Mechanism.ECDSA:
            hashing = next(one for one in HASHES.values() if one.digest_size == len(data))
            r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(Prehashed(hashing))))
            half = (self._key.key_size + 7) // 8
            return r.to_bytes(half) + s.to_bytes(half)
        if mechanism is Mechanism.RSA_PKCS:
            return bytes(self._key.sign(data, padding.PKCS1v15(), NoDigestInfo()))
        hashing = next(one for one in HASHES.values() if one.digest_size == len(data))
        pss = padding.PSS(padding.MGF1(hashing), hashing.digest_size)
        return bytes(self._key.sign(data, pss, Prehashed(hashing)))


def _hash(name: str) -> SHA256 | SHA384 | None:
    return None if name == "ed25519" else SHA384() if name == "p384" else SHA256()


def _pss(hashing: HashAlgorithm, salt: Any = padding.PSS.DIGEST_LENGTH) -> padding.PSS:
    return padding.PSS(padding.MGF1(hashing), salt)


def _certificate(key: PrivateKey, hashing: Any, scheme: Any = None) -> x509.Certificate:
    builder = x509.CertificateBuilder(NAME, NAME, key.public_key(), 1, START, START + DAY)
    return builder.sign(key, hashing, rsa_padding=scheme)


@pytest.mark.parametrize("name", KEYS)
def test_certificates_requests_and_revocation_lists_verify(name: str) -> None:
    key = private_key(Token(KEYS[name]))
    certificate = _certificate(key, _hash(name))
    certificate.verify_directly_issued_by(certificate)
    request = x509.CertificateSigningRequestBuilder(NAME).sign(key, _hash(name))
    assert request.is_signature_valid
    revoked = x509.CertificateRevocationListBuilder(NAME, START, START + DAY).sign(key, _hash(name))
    assert revoked.is_signature_valid(KEYS[name].public_key())


@pytest.mark.parametrize("hashing", HASHES.values(), ids=HASHES)
def test_certificates_with_pss_verify(hashing: SHA256) -> None:
    token = Token(RSA)
    certificate = _certificate(private_key(token), hashing, _pss(hashing))
    certificate.verify_directly_issued_by(certificate)
    assert [mechanism for mechanism, _ in token.asked] == ["RSA_PKCS_PSS"]


@pytest.mark.parametrize("hashing", HASHES.values(), ids=HASHES)
def test_every_hash_signs_with_every_padding(hashing: SHA256) -> None:
    key = private_key(Token(RSA))
    assert isinstance(key, rsa.RSAPrivateKey)
    for scheme in (padding.PKCS1v15(), _pss(hashing), _pss(hashing, hashing.digest_size)):
        RSA.public_key().verify(key.sign(b"data", scheme, hashing), b"data", scheme, hashing)


@pytest.mark.parametrize("key", [P256, P384])
def test_a_digest_may_come_instead_of_the_data(key: ec.EllipticCurvePrivateKey) -> None:
    digest = Hash(SHA512())
    digest.update(b"data")
    adapter = private_key(Token(key))
    assert isinstance(adapter, ec.EllipticCurvePrivateKey)
    signature = adapter.sign(digest.finalize(), ec.ECDSA(Prehashed(SHA512())))
    key.public_key().verify(signature, b"data", ec.ECDSA(SHA512()))


def test_the_size_the_curve_and_the_public_half_are_the_key_s_own() -> None:
    for name, key in KEYS.items():
        adapter = private_key(Token(key))
        assert adapter.public_key() == key.public_key()
        assert copy.copy(adapter) is adapter
        assert copy.deepcopy(adapter) is adapter
        if name != "ed25519":
            assert adapter.key_size == key.key_size  # type: ignore[union-attr]  # Ed25519 keys have none
    assert isinstance(private_key(Token(P384)).curve, ec.SECP384R1)  # type: ignore[union-attr]  # a curve's key


_ASKED: list[tuple[Callable[[Any], object], str]] = [
    (lambda key: key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "no private bytes"),
    (lambda key: key.private_bytes_raw(), "no private bytes"),
    (lambda key: key.private_numbers(), "no private numbers"),
    (lambda key: key.exchange(ec.ECDH(), P256.public_key()), "only signs"),
    (lambda key: key.decrypt(b"", padding.PKCS1v15()), "only signs|decrypt with OAEP"),
    (pickle.dumps, "cannot be pickled"),
]


@pytest.mark.parametrize(("ask", "refusal"), _ASKED)
@pytest.mark.parametrize("name", KEYS)
def test_a_private_key_gives_nothing_of_itself_away(
    name: str, ask: Callable[[Any], object], refusal: str
) -> None:
    with pytest.raises(BadConfig, match=refusal):
        ask(private_key(Token(KEYS[name])))


_BITS = 1024
_UNSUITABLE: list[tuple[Any, str]] = [
    (ec.generate_private_key(ec.SECP256K1()), "curve secp256k1"),
    (mldsa.MLDSA65PrivateKey.generate(), "keys in a token sign with ECDSA, RSA and Ed25519"),
    (rsa.generate_private_key(65537, _BITS), "1024 bits"),
    (ed448.Ed448PrivateKey.generate(), "ECDSA, RSA and Ed25519"),
]


@pytest.mark.parametrize(("key", "refusal"), _UNSUITABLE)
def test_other_keys_are_refused(key: Any, refusal: str) -> None:
    with pytest.raises(BadConfig, match=refusal):
        private_key(Token(key))


_WRONG: list[tuple[Any, Callable[[Any], object], str]] = [
    (P256, lambda key: key.sign(b"", ec.ECDSA(SHA224())), "SHA-256, SHA-384 and SHA-512"),
    (P256, lambda key: key.sign(b"", ec.ECDSA(SHA256(), deterministic_signing=True)), "nonce"),
    (P256, lambda key: key.sign(b"", object()), "ECDSA"),
    (P256, lambda key: key.sign(b"short", ec.ECDSA(Prehashed(SHA256()))), "has 32 bytes, not 5"),
    (RSA, lambda key: key.sign(b"", padding.PKCS1v15(), NoDigestInfo()), "SHA-256"),
    (RSA, lambda key: key.sign(b"", _oaep(), SHA256()), "PKCS1v15 and PSS"),
    (RSA, lambda key: key.sign(b"", _pss(SHA384()), SHA256()), "MGF1"),
    (RSA, lambda key: key.sign(b"", _pss(SHA256(), 20), SHA256()), "salt"),
    (RSA, lambda key: key.sign(b"", _pss(SHA256(), padding.PSS.MAX_LENGTH), SHA256()), "salt"),
]


def _oaep() -> padding.OAEP:
    return padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)


@pytest.mark.parametrize(("key", "ask", "refusal"), _WRONG)
def test_other_ways_to_sign_are_refused_before_the_token_is_asked(
    key: Any, ask: Callable[[Any], object], refusal: str
) -> None:
    token = Token(key)
    with pytest.raises(BadConfig, match=refusal):
        ask(private_key(token))
    assert token.asked == []


def _other(key: Any) -> Any:
    """Return another key of the same kind."""
    if isinstance(key, rsa.RSAPrivateKey):
        return rsa.generate_private_key(65537, 2048)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return ec.generate_private_key(key.curve)
    return ed25519.Ed25519PrivateKey.generate()


@pytest.mark.parametrize("name", KEYS)
def test_a_signature_of_another_key_is_noticed(name: str) -> None:
    token = Token(_other(KEYS[name]))
    token.public_key = KEYS[name].public_key()
    with pytest.raises(IntegrityError, match="does not fit the public key"):
        _certificate(private_key(token), _hash(name))


@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: raw + b"\0", lambda _: b""])
def test_half_a_signature_is_no_signature(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(IntegrityError, match="not 64"):
        _certificate(private_key(Token(P256, change)), SHA256())


class Agent:
    """Answers for one key pair, and keeps what it was asked."""

    def __init__(self, key: Any, key_id: bytes = b"v1") -> None:
        self._token = Token(key)
        self._id = key_id
        self.asked: list[tuple[Operation, float]] = []
        self.deaths = 0
        """How many of the next questions it dies of."""

    def ask_blocking(self, operation: Operation, kind: type[Any], seconds: float) -> Any:
        self.asked.append((operation, seconds))
        if self.deaths:
            self.deaths -= 1
            raise AgentDied("the agent died of SIGKILL")
        if isinstance(operation, Decrypt):
            assert kind is bytes
            return self._token.decrypt(operation.data, operation.oaep_hash)
        if isinstance(operation, Sign):
            assert kind is bytes
            return self._token.sign(Mechanism(operation.mechanism), operation.data)
        assert kind is PublicHalf
        public = self._token.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return PublicHalf(label="ca", key_id=self._id, public=public)


def test_a_signer_asks_the_agent_for_its_own_key() -> None:
    agent = Agent(RSA)
    certificate = _certificate(private_key(TokenSigner(agent, "ca", b"v1", seconds=2.5)), SHA256())
    certificate.verify_directly_issued_by(certificate)
    (first, _), (second, seconds) = agent.asked
    assert (first, seconds) == (AskPublicKey("ca", b"v1"), 2.5)
    assert isinstance(second, Sign)
    assert (second.key_label, second.key_id, second.mechanism) == ("ca", b"v1", "RSA_PKCS")


@pytest.mark.parametrize(("label", "asked"), [("ca", None), ("", b"v1")])
def test_a_key_that_is_named_by_half_signs_as_the_one_that_was_found(label: str, asked: bytes | None) -> None:
    """A second key of that label, or of that id, must not sign in its place, nor be recorded as it."""
    agent = Agent(RSA)
    signer = TokenSigner(agent, label, asked, seconds=1)
    assert (signer.label, signer.key_id) == ("ca", b"v1")
    _certificate(private_key(signer), SHA256())
    operation, _ = agent.asked[-1]
    assert isinstance(operation, Sign)
    assert (operation.key_label, operation.key_id) == ("ca", b"v1")


def test_a_key_without_an_id_is_asked_for_by_its_label() -> None:
    agent = Agent(RSA, b"")
    signer = TokenSigner(agent, "ca", None, seconds=1)
    assert signer.key_id == b""
    _certificate(private_key(signer), SHA256())
    operation, _ = agent.asked[-1]
    assert isinstance(operation, Sign)
    assert operation.key_id is None


@pytest.mark.parametrize("name", ["sha1", "sha224", "sha256", "sha384", "sha512"])
def test_an_rsa_key_decrypts_what_its_public_half_encrypted(name: str) -> None:
    key = private_key(Token(RSA))
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.decrypt(key.public_key().encrypt(b"a text", oaep(name)), oaep(name)) == b"a text"


def test_every_wrong_ciphertext_is_refused_alike() -> None:
    key = private_key(Token(RSA))
    assert isinstance(key, rsa.RSAPrivateKey)
    made = key.public_key().encrypt(b"a text", oaep("sha1"))
    refused = set()
    for wrong in (b"", b"x", made[:-1], made + b"x", bytes(256), b"\xff" * 256, made):
        with pytest.raises(ValueError, match="decryption failed") as caught:
            key.decrypt(wrong, oaep("sha256"))
        refused.add((type(caught.value), str(caught.value), caught.value.__cause__))
    assert len(refused) == 1


_OTHER_PADDINGS: list[tuple[object, str]] = [
    (padding.PKCS1v15(), "RSA keys in a token decrypt with OAEP"),
    (padding.OAEP(padding.MGF1(SHA384()), SHA256(), None), "takes its hash for MGF1 too"),
    (padding.OAEP(padding.MGF1(SHA256()), SHA256(), b"label"), "has no label"),
    (padding.OAEP(padding.MGF1(SHA3_256()), SHA3_256(), None), "takes sha1, .*, not sha3-256"),
]


@pytest.mark.parametrize(("scheme", "refusal"), _OTHER_PADDINGS)
def test_other_ways_to_decrypt_are_refused(scheme: Any, refusal: str) -> None:
    key = private_key(Token(RSA))
    assert isinstance(key, rsa.RSAPrivateKey)
    with pytest.raises(BadConfig, match=refusal):
        key.decrypt(b"", scheme)


def test_a_signer_has_the_agent_decrypt_and_asks_the_next_one_where_it_died() -> None:
    agent = Agent(RSA)
    key = private_key(TokenSigner(agent, "ca", b"v1", seconds=2.5))
    assert isinstance(key, rsa.RSAPrivateKey)
    made = key.public_key().encrypt(b"a text", oaep("sha256"))
    agent.deaths = 1
    assert key.decrypt(made, oaep("sha256")) == b"a text"
    wanted = Decrypt("ca", b"v1", "RSA_PKCS_OAEP", made, oaep_hash="sha256")
    assert agent.asked[1:] == [(wanted, 2.5)] * 2
    agent.deaths = 2
    with pytest.raises(AgentDied):
        key.decrypt(made, oaep("sha256"))


def test_a_key_that_only_signs_decrypts_nothing() -> None:
    key = private_key(TokenSigner(Agent(RSA), "ca", None, seconds=1, only=Mechanism.RSA_PKCS_PSS))
    assert isinstance(key, rsa.RSAPrivateKey)
    with pytest.raises(BadConfig, match="is for RSA_PKCS_PSS alone, and was asked for RSA_PKCS_OAEP"):
        key.decrypt(b"", oaep("sha256"))


def test_a_key_that_is_for_one_mechanism_is_used_for_no_other() -> None:
    agent = Agent(RSA)
    key = private_key(TokenSigner(agent, "ca", None, seconds=1, only=Mechanism.RSA_PKCS_PSS))
    _certificate(key, SHA256(), _pss(SHA256()))
    with pytest.raises(
        BadConfig, match="key ca id v1: is for RSA_PKCS_PSS alone, and was asked for RSA_PKCS"
    ):
        _certificate(key, SHA256())
    assert [type(operation) for operation, _ in agent.asked] == [AskPublicKey, Sign]
