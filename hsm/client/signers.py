# SPDX-License-Identifier: EUPL-1.2
"""Private keys that stay in their token, in the form that cryptography's builders sign and decrypt with.

`TokenSigner` is a key pair behind an agent. `private_key` makes of it an object that certificates, requests and
revocation lists are signed with as with any other key. Hashing is done here and one mechanism that every token has does the rest, whatever the token can hash itself.
Every signature is verified before it is given out, so that a mixed-up key pair or a fault is noticed here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NoReturn, Protocol, Self, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import Hash, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm.errors import AgentDied, BadConfig, IntegrityError
from hsm.operations import Decrypt, Operation, PublicHalf, Sign
from hsm.operations import PublicKey as AskPublicKey
from hsm.versions import name

A = TypeVar("A")
K = TypeVar("K")
Data = bytes | bytearray | memoryview

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey

SMALLEST_RSA: Final = 2048
"""Bits of the smallest RSA key that signs here."""
_CURVES: Final = frozenset({"secp256r1", "secp384r1", "secp521r1"})
OAEP_HASHES: Final = ("sha1", "sha224", "sha256", "sha384", "sha512")
"""Hashes of RSA-OAEP that tokens are asked for."""
_DIGEST_INFO: Final = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
"""What goes before a digest, by its algorithm (RFC 8017, 9.2, note 1)."""


class Mechanism(StrEnum):
    """What a token is asked to do, and with what."""

    ECDSA = "ECDSA"
    """`CKM_ECDSA` over a digest; the answer is r and s, each as long as the curve's order."""
    EDDSA = "EDDSA"
    """`CKM_EDDSA` over the message itself."""
    RSA_PKCS = "RSA_PKCS"
    """`CKM_RSA_PKCS` over a DigestInfo."""
    RSA_PKCS_PSS = "RSA_PKCS_PSS"
    """`CKM_RSA_PKCS_PSS` over a digest, whose length tells the hash; MGF1 has it too, the salt is as long."""
    RSA_PKCS_OAEP = "RSA_PKCS_OAEP"
    """`CKM_RSA_PKCS_OAEP`: it decrypts; encrypting needs no token."""
    AES_GCM = "AES_GCM"
    """`CKM_AES_GCM`, of a key that is no pair; see `hsm.client.ciphers`."""


class Signer(Protocol):
    """One key pair in a token. Blocking: call it in a thread of its own."""

    @property
    def public_key(self) -> PublicKey:
        """The public half, as the token gave it."""
        ...

    def sign(self, mechanism: Mechanism, data: bytes) -> bytes:
        """Return what the token answers. Raises `hsm.errors`."""
        ...

    def decrypt(self, data: bytes, oaep_hash: str) -> bytes:
        """Return what the token makes of RSA-OAEP with this hash. Raises `hsm.errors`, `IntegrityError` for wrong data."""
        ...


class SigningAgent(Protocol):
    """What a signer needs of `hsm.client.agent_client.AgentClient`."""

    def ask_blocking(self, operation: Operation, kind: type[A], seconds: float) -> A:
        """Return the answer to `operation`. Raises `HsmError`."""
        ...


class TokenSigner:
    """A key pair that an agent reaches; see `Signer`. Asks for the public half when it is made.

    `key_id` None is whatever id the label has; the one that was found then is the one that signs. `only` is the one mechanism that the key is for. `seconds` is how
    long each operation may take.
    """

    def __init__(
        self,
        agent: SigningAgent,
        label: str,
        key_id: bytes | None,
        *,
        seconds: float,
        only: Mechanism | None = None,
    ) -> None:
        self._agent = agent
        self._seconds = seconds
        self._only = only
        found = agent.ask_blocking(AskPublicKey(label, key_id), PublicHalf, seconds)
        self._label = label or found.label
        self._id = found.key_id or key_id
        self._public: PublicKey = load_der_public_key(found.public)  # type: ignore[assignment]  # private_key checks it

    @property
    def public_key(self) -> PublicKey:
        """See `Signer`."""
        return self._public

    @property
    def label(self) -> str:
        """Label of the pair that was found."""
        return self._label

    @property
    def key_id(self) -> bytes:
        """`CKA_ID` of the pair that was found, which is its version; empty where it has none."""
        return self._id or b""

    def sign(self, mechanism: Mechanism, data: bytes) -> bytes:
        """See `Signer`."""
        self._check(mechanism)
        return self._agent.ask_blocking(
            Sign(self._label, self._id, mechanism.value, data), bytes, self._seconds
        )

    def decrypt(self, data: bytes, oaep_hash: str) -> bytes:
        """See `Signer`."""
        self._check(Mechanism.RSA_PKCS_OAEP)
        asked = Decrypt(self._label, self._id, Mechanism.RSA_PKCS_OAEP.value, data, oaep_hash=oaep_hash)
        return ask_twice(self._agent, asked, bytes, self._seconds)

    def _check(self, mechanism: Mechanism) -> None:
        """Refuse what the key is not for. Raises `BadConfig`."""
        if self._only not in {None, mechanism}:
            raise BadConfig(
                f"{name(self._label, self._id)}: is for {self._only} alone, and was asked for {mechanism}"
            )


def ask_twice(agent: SigningAgent, operation: Operation, kind: type[A], seconds: float) -> A:
    """Return the answer to what may be asked twice: where the agent died of it, or within it, the next one is asked.

    Raises `HsmError`.
    """
    try:
        return agent.ask_blocking(operation, kind, seconds)
    except AgentDied:
        return agent.ask_blocking(operation, kind, seconds)


def private_key(signer: Signer) -> PrivateKey:
    """Return the private key behind `signer`. Raises `BadConfig` for a key of a kind that does not sign here."""
    public = signer.public_key
    if isinstance(public, ec.EllipticCurvePublicKey):
        if public.curve.name not in _CURVES:
            raise BadConfig(
                f"curve {public.curve.name}: keys in a token sign on secp256r1, secp384r1 and secp521r1"
            )
        return _EcKey(signer, public)
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < SMALLEST_RSA:
            raise BadConfig(f"RSA key of {public.key_size} bits: the least that signs is {SMALLEST_RSA}")
        return _RsaKey(signer, public)
    if isinstance(public, Ed25519PublicKey):
        return _Ed25519Key(signer, public)
    raise BadConfig("keys in a token sign with ECDSA, RSA and Ed25519")


class _InToken:
    """What no key in a token does. A copy is the same key."""

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise _stays("cannot be pickled")

    def private_bytes(self, *unused: object, **named: object) -> NoReturn:
        raise _stays("has no private bytes to give")

    def private_bytes_raw(self) -> NoReturn:
        raise _stays("has no private bytes to give")

    def private_numbers(self) -> NoReturn:
        raise _stays("has no private numbers to give")

    def exchange(self, *unused: object) -> NoReturn:
        raise _stays("only signs")

    def decrypt(self, *unused: object) -> bytes:
        raise _stays("only signs")


class _EcKey(_InToken, ec.EllipticCurvePrivateKey):
    def __init__(self, signer: Signer, public: ec.EllipticCurvePublicKey) -> None:
        self._signer = signer
        self._public = public

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def sign(self, data: Data, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        if not isinstance(signature_algorithm, ec.ECDSA) or signature_algorithm.deterministic_signing:
            raise BadConfig("elliptic curve keys in a token sign with ECDSA, and choose the nonce themselves")
        _, digest = _digest(data, signature_algorithm.algorithm)
        raw = self._signer.sign(Mechanism.ECDSA, digest)
        half = (self.key_size + 7) // 8
        if len(raw) != 2 * half:
            raise IntegrityError(f"the token's signature has {len(raw)} bytes, not {2 * half}")
        signature = encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
        try:
            self._public.verify(signature, data, signature_algorithm)
        except InvalidSignature:
            raise _mixed_up() from None
        return signature


class _RsaKey(_InToken, rsa.RSAPrivateKey):
    def __init__(self, signer: Signer, public: rsa.RSAPublicKey) -> None:
        self._signer = signer
        self._public = public

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def sign(
        self, data: Data, padding: AsymmetricPadding, algorithm: Prehashed | HashAlgorithm | NoDigestInfo
    ) -> bytes:
        hashing, digest = _digest(data, algorithm)
        if _is_pkcs1(padding):
            signature = self._signer.sign(Mechanism.RSA_PKCS, _DIGEST_INFO[hashing.name] + digest)
        else:
            _check_pss(padding, hashing)
            signature = self._signer.sign(Mechanism.RSA_PKCS_PSS, digest)
        try:
            self._public.verify(signature, digest, padding, Prehashed(hashing))
        except InvalidSignature:
            raise _mixed_up() from None
        return signature

    def decrypt(self, ciphertext: bytes, padding: AsymmetricPadding) -> bytes:  # type: ignore[override]  # as cryptography has it
        """Return the data. Raises `ValueError` for every wrong ciphertext alike, `BadConfig` for another padding."""
        algorithm = _oaep_hash(padding)
        try:
            return self._signer.decrypt(bytes(ciphertext), algorithm)
        except IntegrityError:
            raise ValueError("decryption failed") from None


class _Ed25519Key(_InToken, Ed25519PrivateKey):
    def __init__(self, signer: Signer, public: Ed25519PublicKey) -> None:
        self._signer = signer
        self._public = public

    def public_key(self) -> Ed25519PublicKey:
        return self._public

    def sign(self, data: Data) -> bytes:
        signature = self._signer.sign(Mechanism.EDDSA, bytes(data))
        try:
            self._public.verify(signature, data)
        except InvalidSignature:
            raise _mixed_up() from None
        return signature


def _digest(data: Data, algorithm: object) -> tuple[HashAlgorithm, bytes]:
    """Return the hash algorithm and the digest, which `data` is already where it was prehashed."""
    prehashed = isinstance(algorithm, Prehashed)
    hashing = algorithm._algorithm if isinstance(algorithm, Prehashed) else algorithm  # noqa: SLF001 -- has no public name
    if not isinstance(hashing, HashAlgorithm) or hashing.name not in _DIGEST_INFO:
        raise BadConfig("keys in a token sign SHA-256, SHA-384 and SHA-512")
    if prehashed:
        if len(data) != hashing.digest_size:
            raise BadConfig(f"a {hashing.name} digest has {hashing.digest_size} bytes, not {len(data)}")
        return hashing, bytes(data)
    digest = Hash(hashing)
    digest.update(data)
    return hashing, digest.finalize()


def _is_pkcs1(scheme: AsymmetricPadding) -> bool:
    return isinstance(scheme, padding.PKCS1v15)


def _check_pss(scheme: AsymmetricPadding, hashing: HashAlgorithm) -> None:
    """Refuse what is not PSS with one hash throughout and a salt as long as its digest."""
    if not isinstance(scheme, padding.PSS):
        raise BadConfig("RSA keys in a token sign with PKCS1v15 and PSS")
    if scheme.mgf._algorithm.name != hashing.name:  # noqa: SLF001 -- it has no public name
        raise BadConfig("PSS in a token takes the message's hash for MGF1 too")
    length = scheme._salt_length  # noqa: SLF001 -- it has no public name
    if length not in (padding.PSS.DIGEST_LENGTH, hashing.digest_size):
        raise BadConfig("PSS in a token has a salt as long as the digest: ask for PSS.DIGEST_LENGTH")


def _oaep_hash(scheme: AsymmetricPadding) -> str:
    """Return the hash of OAEP that has one throughout and no label. Raises `BadConfig`."""
    if not isinstance(scheme, padding.OAEP):
        raise BadConfig("RSA keys in a token decrypt with OAEP")
    name = scheme.algorithm.name
    if scheme.mgf._algorithm.name != name or scheme._label:  # noqa: SLF001 -- they have no public names
        raise BadConfig("OAEP in a token takes its hash for MGF1 too, and has no label")
    if name not in OAEP_HASHES:
        raise BadConfig(f"OAEP in a token takes {', '.join(OAEP_HASHES)}, not {name}")
    return name


def _mixed_up() -> IntegrityError:
    return IntegrityError(
        "the token's signature does not fit the public key: two key pairs may share the label and the id"
    )


def _stays(what: str) -> BadConfig:
    return BadConfig(f"the private key stays in its token: it {what}")
