# SPDX-License-Identifier: EUPL-1.2
"""Keys that come from elsewhere: wrapped for the wrapping key, or the public half of a pair."""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from vault.engines.transit.keys.key_ring import KeyRing, find_key, stored_version
from vault.engines.transit.keys.key_types import (
    EXTERNAL,
    HMAC,
    HYBRID,
    KEY_TYPES,
    UNKNOWN_TYPE,
    KeyType,
    Material,
    pem_public,
)
from vault.engines.transit.keys.model import SOFT_DELETED, TransitKey
from vault.engines.transit.keys.rotation import NO_ROTATION, PERIOD, SHORTEST_PERIOD, set_timer
from vault.engines.transit.moving.answers import PublicKey
from vault.engines.transit.moving.envelope import LONGEST, NOT_FOR_IT, known_hash, unwrap
from vault.engines.transit.moving.material import imported, imported_public
from vault.engines.transit.moving.params import ImportParams, MaterialParams, VersionParams
from vault.engines.transit.moving.wrapping_key import KIND, WrappingKeys
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.keys.asked_first import asked_first
from vault.framework.names import check_length
from vault.framework.quote import quote
from vault.framework.route import read, write
from vault.values.encoding import NotBase64, from_base64
from vault.values.times import millis_to_nanos

_THERE: Final = "the import path cannot be used with an existing key; use import-version to rotate an existing imported key"
_LONGEST_TYPE: Final = 32
_BLOCK: Final = KIND.bits // 8
_BASE64: Final = LONGEST // 3 * 4


class ImportEngine(Engine):
    """Keys that come."""

    stays = True  # a timer names the namespace of its mount

    def __init__(self, ring: KeyRing, wrapping: WrappingKeys, entropy: Entropy, pool: Pool) -> None:
        """`pool` unwraps keys."""
        self._ring = ring
        self._wrapping = wrapping
        self._entropy = entropy
        self._pool = pool

    @read("wrapping_key", writes=True, event="transit.wrapping_key.read")
    async def read_wrapping_key(self, call: Call) -> PublicKey:
        """Show the public key that keys are wrapped for to be imported. It is made when it is first asked for."""
        return PublicKey(pem_public((await self._wrapping.known(call)).public))

    @write("keys/{name:word}/import", event="transit.key.import")
    async def import_key(self, call: Call, params: ImportParams) -> None:
        """Take a key in that comes from elsewhere."""
        check_length(name=params.name)
        kind = importable(params)
        if await find_key(call.tx, params.name) is not None:
            raise Malformed(_THERE)
        material = await self._material(call, kind, params)
        key = TransitKey(
            id=self._entropy.uuid(),
            type=kind.name,
            derived=params.derived,
            exportable=params.exportable,
            plaintext_backup=params.allow_plaintext_backup,
            auto_rotate=params.auto_rotate_period,
            key_size=len(material.secret) if kind.name == HMAC else 0,
            imported=True,
            allow_rotation=params.allow_rotation,
            counter_kdf=params.derived,
        )
        await self._ring.create(call, params.name, key, material)
        await set_timer(call, params.name, key)

    @write("keys/{name:word}/import_version", event="transit.key.import")
    async def import_version(self, call: Call, params: VersionParams) -> None:
        """Take a newer version of an imported key in, or the private half of one of which the public half is known."""
        key = await find_key(call.tx, params.name)
        if key is None:
            raise Malformed(
                f"no key found with name {quote(params.name)}; to import a new key, use the import/ endpoint"
            )
        if not key.imported:
            raise Malformed("the import_version endpoint can only be used with an imported key")
        if key.soft_deleted:
            raise Malformed(SOFT_DELETED)
        number = await self._version_to_fill(call, key, params)
        material = await self._material(call, KEY_TYPES[key.type], params)
        if number or await self._fits_newest(call, key, material):
            await self._fill(call, key, number or key.latest, material)
            return
        if key.type == HMAC:
            key = msgspec.structs.replace(key, key_size=len(material.secret))
        now = millis_to_nanos(call.now)
        key = await self._ring.add_version(call.tx, params.name, key, material, now, imported=True)
        await set_timer(call, params.name, key)

    async def _version_to_fill(self, call: Call, key: TransitKey, params: VersionParams) -> int:
        """Return the version whose private half is to come; 0 for a newer version. Raises `Malformed`."""
        number = params.version
        if number is None:
            return 0
        oldest = max(key.first, key.min_decryption)
        stored = await stored_version(call.tx, key, number) if oldest <= number <= key.latest else None
        if stored is None:
            raise Malformed("no such key version")
        if not KEY_TYPES[key.type].pair:
            raise Malformed("provided type does not support importing key versions")
        if stored.held:
            raise Malformed("private key imported, key version cannot be updated")
        if params.ciphertext is None:
            raise Malformed("cannot add a public key to a key version that already has a public key set")
        return number

    @staticmethod
    async def _fits_newest(call: Call, key: TransitKey, material: Material) -> bool:
        """Whether this is the private half of the newest version, which has none."""
        newest = await stored_version(call.tx, key, key.latest)
        return bool(newest and material.secret and not newest.held and newest.public == material.public)

    async def _fill(self, call: Call, key: TransitKey, number: int, material: Material) -> None:
        """Store the private half of a version. What it makes MACs with stays. Raises `Malformed`."""
        stored = await stored_version(call.tx, key, number)
        if stored is None or stored.public != material.public:
            raise Malformed("cannot import key, key pair does not match")
        held = self._ring.close(key, number, material, stored.created).held
        await self._ring.replace_version(call.tx, key, number, msgspec.structs.replace(stored, held=held))

    async def _material(self, call: Call, kind: KeyType, params: MaterialParams) -> Material:
        """Return what is imported. What is wrapped takes milliseconds, which no transaction waits for. Raises `Malformed`."""
        if params.ciphertext is None:
            if not kind.pair:
                raise Malformed("provided type does not support public_key import")
            return imported_public(kind, params.public_key, self._entropy)
        algorithm = known_hash(params.hash_function)
        if len(params.ciphertext) > _BASE64:
            raise Malformed("provided ciphertext is too long")
        try:
            sealed = from_base64(params.ciphertext)
        except NotBase64 as error:
            raise Malformed(f"illegal base64 data at input byte {error.at}") from None
        if len(sealed) <= _BLOCK:
            raise Malformed("provided ciphertext is too short")
        private = await self._wrapping.private(call.tx)
        if private is None:  # nobody asked for one yet, so this was wrapped for another
            raise Malformed(NOT_FOR_IT)
        work = partial(_unwrapped, kind, private, algorithm, sealed, self._entropy)
        about = (params.name, kind.name, algorithm.name, sealed)
        return await asked_first(call, about, Material, partial(self._pool.run, client_of(call), work))


def importable(params: ImportParams) -> KeyType:
    """Return the kind of a key that is to be imported. Raises `Malformed`."""
    if params.convergent_encryption:
        raise Malformed("import cannot be used on keys with convergent encryption enabled")
    if params.auto_rotate_period and not params.allow_rotation:
        raise Malformed(NO_ROTATION)
    if params.auto_rotate_period and params.auto_rotate_period < SHORTEST_PERIOD:
        raise Malformed(PERIOD)
    kind = KEY_TYPES.get(params.type.lower()) if len(params.type) < _LONGEST_TYPE else None
    if kind is None or kind.name in {EXTERNAL, HYBRID}:
        raise Malformed(UNKNOWN_TYPE)
    if params.derived and kind.aead is None:
        raise Malformed(f"an imported key of type {kind.name} cannot be derived")
    return kind


def _unwrapped(
    kind: KeyType, private: RSAPrivateKey, algorithm: HashAlgorithm, sealed: bytes, entropy: Entropy
) -> Material:
    return imported(kind, unwrap(private, algorithm, sealed), entropy)
