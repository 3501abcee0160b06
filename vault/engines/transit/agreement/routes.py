# SPDX-License-Identifier: EUPL-1.2
"""A key that is agreed on with somebody else becomes a key here, or the next version of one."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from vault.engines.transit.agreement.exchange import agreed, read_peer
from vault.engines.transit.keys.key_ring import KeyRing, OpenVersion, find_key, stored_version
from vault.engines.transit.keys.key_types import HMAC, KEY_TYPES, MAC_KEY, Material
from vault.engines.transit.keys.model import SOFT_DELETED, TransitKey
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc
from vault.framework.names import check_length
from vault.framework.route import Params, write
from vault.values.times import millis_to_nanos

_ALGORITHM: Final = "ecdh"
_CURVES: Final = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521")
_IMPORTING: Final = "error importing key: "


class AgreementParams(Params, frozen=True, kw_only=True):
    """Whose halves make the key, and what it becomes."""

    name: Annotated[str, Doc("Name of the key that comes of it.")]
    base_key_name: Annotated[
        str, Doc("The key here, of an ecdsa kind, whose private half is used.", clear=True)
    ] = ""
    base_key_version: Annotated[int, Doc("Which version of it; 0 for the newest.", clear=True)] = 0
    peer_public_key: Annotated[str, Doc("The other side's public half, in PEM.")] = ""
    derived_key_type: Annotated[str, Doc("Kind of the key that comes of it.", clear=True)] = "aes256-gcm96"
    key_derivation_algorithm: Annotated[str, Doc("How it comes of both: `ecdh`.", clear=True)] = _ALGORITHM


class AgreementEngine(Engine):
    """Keys that are agreed on."""

    def __init__(self, ring: KeyRing, entropy: Entropy) -> None:
        self._ring = ring
        self._entropy = entropy

    @write("derive-key/{name:word}", contained=True, event="transit.key.generate")
    async def agree(self, call: Call, params: AgreementParams) -> None:
        """Make a key of a private half here and a public half of elsewhere; the other side can make the same one."""
        check_length(name=params.name)
        if not params.peer_public_key:
            raise Malformed("peer public key not provided")
        if params.key_derivation_algorithm != _ALGORITHM:
            raise Malformed("key derivation algorithm not supported; must be ecdh")
        kind = KEY_TYPES.get(params.derived_key_type.lower())
        if kind is None or kind.aead is None or not kind.derives:
            raise Malformed("unknown key type; must be one for aes-gcm or chacha20-poly1305")
        own = await self._own(call, params)
        secret = agreed(own, read_peer(params.peer_public_key), kind.size)
        key = await find_key(call.tx, params.name)
        if key is None:
            new = TransitKey(id=self._entropy.uuid(), type=kind.name, imported=True)
            await self._ring.create(call, params.name, new, self._material(secret))
        else:
            await self._add(call, params.name, key, secret)

    async def _own(self, call: Call, params: AgreementParams) -> OpenVersion:
        """Return the version whose private half is used. Raises `Malformed`."""
        base = await find_key(call.tx, params.base_key_name) if params.base_key_name else None
        if base is None:
            raise Malformed("specified base key not found")
        if base.type not in _CURVES:
            raise Malformed(f"base key type {base.type} does not support key agreement")
        if base.soft_deleted:
            raise Malformed(SOFT_DELETED)
        number = params.base_key_version or base.latest
        if number < 0:
            raise Malformed("requested version of the base key is negative")
        if number > base.latest:
            raise Malformed("requested version of the base key is higher than the latest key version")
        stored = await stored_version(call.tx, base, number) if number >= base.min_decryption else None
        if stored is None:
            raise Malformed("no such key version")
        return await self._ring.open(base, number, stored)

    async def _add(self, call: Call, name: str, key: TransitKey, secret: bytes) -> None:
        """Give a key that is there a version more. Raises `Malformed` where that is not of its kind."""
        kind = KEY_TYPES[key.type]
        if key.soft_deleted:
            raise Malformed(_IMPORTING + SOFT_DELETED)
        if kind.pair:
            raise Malformed(_IMPORTING + "a pair gets no version of a symmetric key")
        if kind.name == HMAC:
            sized = msgspec.structs.replace(key, key_size=len(secret))
            material = Material(secret, secret)
        elif kind.size == len(secret):
            sized, material = key, self._material(secret)
        else:
            wrong = f"invalid key size {len(secret)} bytes for key type {kind.name}"
            raise Malformed(_IMPORTING + wrong)
        await self._ring.add_version(
            call.tx, name, sized, material, millis_to_nanos(call.now), imported=key.imported
        )

    def _material(self, secret: bytes) -> Material:
        return Material(secret, self._entropy.bytes(MAC_KEY))
