# SPDX-License-Identifier: EUPL-1.2
"""Whoever has the key: it is here, or in a device (an external key) that is asked for each signature and decryption."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Final, NoReturn, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vault.engines.transit.keys.key_ring import NO_PAIR, OpenVersion
from vault.engines.transit.keys.key_types import MAC_KEY, Material, Signer
from vault.engines.transit.keys.model import InDevice
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.errors import Failed, Malformed
from vault.framework.keys.external import (
    LARGEST_DATA,
    ExternalKey,
    ExternalKeys,
    PrivateKey,
    SecretKey,
    oaep,
)
from vault.framework.quote import quote

T = TypeVar("T")
ENCRYPT: Final = "failed to encrypt with external key: "
DECRYPT: Final = "failed to decrypt with external key: "
TOO_LONG: Final = (
    f"it takes {LARGEST_DATA} bytes at once, associated_data among them; encrypt a data key with it"
)
_WRONG: Final = DECRYPT + "the ciphertext is not of this key, or was changed"
"""What every ciphertext is refused with: whoever sends some learns nothing of why (Manger's attack, CRYPTO 2001)."""
_UNBOUND: Final = "'associated_data' provided for an RSA key, which would not authenticate it"
_ANOTHER: Final = "the device has another key of this name by now"
_OVERHEAD: Final = 12 + 16
"""Bytes of nonce and tag of AES-GCM."""


class Devices:
    """Finds external keys, and hands work to whoever has the private half."""

    def __init__(self, keys: ExternalKeys, entropy: Entropy, pool: Pool) -> None:
        """`pool` signs with RSA, and long texts, where the pair is here."""
        self._keys = keys
        self._entropy = entropy
        self._pool = pool

    async def material(self, call: Call, ref: str) -> Material:
        """Return a version that is the external key `ref`: what is known of it, and a key for MACs that is made here.

        Never within a transaction. Raises `Malformed` in OpenBao's words, `Unavailable`, and `Failed`.
        """
        key = await self._find(call, ref)
        mac = self._entropy.bytes(MAC_KEY)

        def known(found: PrivateKey | SecretKey) -> Material:
            if isinstance(found, PrivateKey):
                return Material(b"", mac, _public(found), ref, InDevice(oaep=key.oaep))
            return Material(b"", mac, b"", ref, InDevice(bits=found.bits, fingerprint=found.fingerprint))

        return await key.use_any(call, known)

    async def do(
        self, call: Call, version: OpenVersion, work: Callable[[Signer], T], *, slow: bool = False
    ) -> T:
        """Return what `work` makes with the private half of a version; `slow` where that takes a while here.

        Raises what `work` does, and of a device `Malformed` where it is no pair, `Unavailable` and `Failed`. Never
        within a transaction.
        """
        ref = version.stored.external
        if not ref:
            return await self._pool.do(call, partial(work, version.signer), slow=slow)
        if not version.stored.public:
            raise Malformed(NO_PAIR)
        key = await self._find(call, ref)
        return await key.use(call, lambda private: work(_checked_pair(version, private)))

    async def encrypt(self, call: Call, version: OpenVersion, plaintext: bytes, associated: bytes) -> bytes:
        """Return the ciphertext of a version that is in a device: it encrypts itself, or with RSA its public half does.

        Of AES-GCM it is nonce, encrypted data and tag. Raises `Malformed`, `Unavailable`, `Failed`. Never within a
        transaction.
        """
        if not version.stored.public:
            if len(plaintext) + len(associated) > LARGEST_DATA:
                raise Malformed(ENCRYPT + TOO_LONG)
            key = await self._find(call, version.stored.external, _factory(associated))
            return await key.use_any(
                call, lambda secret: _checked_secret(version, secret).encrypt(plaintext, associated)
            )
        await self._require_grant(call, version.stored.external, _factory(associated))
        public = _rsa_half(version, associated, ENCRYPT)
        used = {
            "ref": version.stored.external,
            "public_key_sha256": sha256(version.stored.public).hexdigest(),
        }
        if used not in call.record.external_keys:
            call.record.external_keys = [*call.record.external_keys, used]
        try:
            return public.encrypt(plaintext, oaep(version.stored.device.oaep))
        except ValueError:
            raise Malformed(f"{ENCRYPT}message too long for RSA key size") from None

    async def decrypt(self, call: Call, version: OpenVersion, sealed: bytes, associated: bytes) -> bytes:
        """Return the plaintext, of which the device makes it. Raises as `encrypt`: `Malformed` for each wrong ciphertext alike."""
        if version.stored.public:
            return await self._decrypt_rsa(call, version, sealed, associated)
        key = await self._find(call, version.stored.external, _factory(associated))
        if not _OVERHEAD <= len(sealed) <= LARGEST_DATA + _OVERHEAD - len(associated):
            _refuse()
        try:
            return await key.use_any(
                call, lambda secret: _checked_secret(version, secret).decrypt(sealed, associated)
            )
        except InvalidTag:
            _refuse()

    async def _decrypt_rsa(self, call: Call, version: OpenVersion, sealed: bytes, associated: bytes) -> bytes:
        key = await self._find(call, version.stored.external, _factory(associated))
        public = _rsa_half(version, associated, DECRYPT)
        if len(sealed) != (public.key_size + 7) // 8:
            _refuse()

        def opened(private: PrivateKey) -> bytes:
            checked = _checked_pair(version, private)
            assert isinstance(checked, RSAPrivateKey)
            return checked.decrypt(sealed, oaep(version.stored.device.oaep))

        try:
            return await key.use(call, opened)
        except ValueError:
            _refuse()

    async def _find(self, call: Call, ref: str, factory: str = "") -> ExternalKey:
        try:
            return await self._keys.find(call.namespace, call.mount, ref)
        except Malformed as error:
            raise Malformed(f"{factory}failed to fetch external key: {error.message}") from None

    async def _require_grant(self, call: Call, ref: str, factory: str) -> None:
        try:
            await self._keys.require_grant(call.namespace, call.mount, ref)
        except Malformed as error:
            raise Malformed(f"{factory}failed to fetch external key: {error.message}") from None


def _factory(associated: bytes) -> str:
    """Return what OpenBao's words about a key that is not found begin with, where it is to encrypt or decrypt."""
    return "factory[1] " if associated else "factory[0] "


def _rsa_half(version: OpenVersion, associated: bytes, problem: str) -> RSAPublicKey:
    """Return the public half of a version that encrypts. Raises `Malformed`, whose words begin with `problem`."""
    public = version.verifier
    if not isinstance(public, RSAPublicKey):
        raise Malformed(f'{problem}key "{quote(version.stored.external)}" is a pair that only signs')
    if not version.stored.device.oaep:
        raise Malformed(
            f'{problem}key "{quote(version.stored.external)}" was not seen to decrypt: the device must allow it '
            "(CKA_DECRYPT) and know the key's rsa_oaep_hash; then rotate to it"
        )
    if associated:
        raise Malformed(problem + _UNBOUND)
    return public


def _checked_pair(version: OpenVersion, private: PrivateKey) -> PrivateKey:
    """Return a private half that is the one the version was made with. Raises `Failed`."""
    if _public(private) != version.stored.public:
        raise Failed(_ANOTHER)
    return private


def _checked_secret(version: OpenVersion, key: PrivateKey | SecretKey) -> SecretKey:
    """Return an AES key that is the one the version was made with, as far as can be seen. Raises `Failed`.

    One that only decrypts by now cannot show it; what it decrypts shows it.
    """
    known = version.stored.device.fingerprint
    if isinstance(key, PrivateKey) or (known and key.fingerprint and key.fingerprint != known):
        raise Failed(_ANOTHER)
    return key


def _refuse() -> NoReturn:
    raise Malformed(_WRONG) from None


def _public(private: PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
