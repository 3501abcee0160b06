# SPDX-License-Identifier: EUPL-1.2
"""Encrypt, decrypt, encrypt anew, and keys for data: one text, or many at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, Generic, TypeVar, cast

import msgspec

from vault.engines.transit.answers import (
    Ciphertext,
    CiphertextItem,
    Ciphertexts,
    DataKey,
    Plaintext,
    PlaintextItem,
    Plaintexts,
)
from vault.engines.transit.batch import (
    NO_CIPHERTEXT,
    NO_PLAINTEXT,
    Item,
    check_contexts,
    read_ciphertexts,
    read_plaintexts,
    read_weak,
)
from vault.engines.transit.device_encryption import DeviceEncryption
from vault.engines.transit.encryption import (
    decode,
    decode_associated,
    decrypt,
    encrypt,
    require_use,
    split_ciphertext,
    version_to_use,
)
from vault.engines.transit.keys.devices import Devices
from vault.engines.transit.keys.key_ring import KeyRing, OpenKey, Unopened, mount_settings
from vault.engines.transit.keys.key_types import EXTERNAL, KEY_TYPES, Material, make
from vault.engines.transit.keys.model import TransitKey
from vault.engines.transit.params import DataKeyParams, DecryptParams, EncryptParams, RewrapParams
from vault.engines.transit.usage.uses import Uses
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import FactsChanged, Malformed
from vault.framework.keys.asked_first import asked_first
from vault.framework.limits import AT_ONCE
from vault.framework.names import check_length
from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.framework.route import write
from vault.values.encoding import to_base64

T = TypeVar("T")
R = TypeVar("R")
NO_KEY: Final = "encryption key not found"
_SHORT: Final = 16
"""Items of a batch that are done between two looks at the time, where all are short."""
_BITS: Final = (128, 256, 512)
_KINDS: Final = ("plaintext", "wrapped")
_MADE_BY_USE: Final = ("aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305")
_ELLIPTIC: Final = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521")
_FAULTY: Final = 400
_STATUSES: Final = range(200, 600)
_BODILESS: Final = (204, 205, 304)
_WRONG_STATUS: Final = (
    "invalid HTTP response code override from partial_failure_response_code, reverting to 400"
)


class Done(msgspec.Struct, Generic[T], frozen=True):
    """What became of one item: what came of it, or why nothing did."""

    item: Item
    done: T | None
    error: Malformed | None = None
    unbound: bool = False
    """Whether it brought associated data that nothing would authenticate."""

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Done(…)"

    @property
    def words(self) -> str | msgspec.UnsetType:
        """Why nothing came of it, if so."""
        return self.error.message if self.error is not None else msgspec.UNSET

    def good(self) -> T:
        """Return what came of it. Raises `Malformed`."""
        if self.done is None:
            raise self.error or Malformed
        return self.done


class FirstUse(msgspec.Struct, frozen=True):
    """A key that is not stored yet, and what was encrypted with it."""

    key: TransitKey
    material: Material
    found: Sequence[Done[Ciphertext]]

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "FirstUse(…)"


class EncryptionEngine(Engine):
    """Encryption."""

    def __init__(self, ring: KeyRing, devices: Devices, uses: Uses, entropy: Entropy, pool: Pool) -> None:
        """`pool` does what takes milliseconds: RSA, and long texts."""
        there = DeviceEncryption(ring, devices)
        self._there: Mapping[object, Callable[[Call, OpenKey, Item], Awaitable[object]]] = {
            self._encrypt: there.encrypt,
            self._decrypt: there.decrypt,
            self._rewrap: there.rewrap,
        }
        """What is done here, as it is done with keys in devices."""
        self._ring = ring
        self._uses = uses
        self._entropy = entropy
        self._pool = pool

    @write(
        "encrypt/{name:word}",
        exists="key_exists",
        writes_new=True,
        contained=True,
        event="transit.data.encrypt",
    )
    async def encrypt(self, call: Call, params: EncryptParams) -> Reply[Ciphertext] | Reply[Ciphertexts]:
        """Encrypt. Who may create gets a new key where there is none."""
        batch = params.batch_input is not None
        if batch:
            items = read_plaintexts(params.batch_input)
            check_contexts(items)
        elif params.plaintext is None:
            raise Malformed(NO_PLAINTEXT)
        else:
            items = [_single(params, params.plaintext, params.key_version)]
        key = await self._ring.find(call, params.name)
        long = _are_long(call, items)
        if key is None:
            found = await self._first_use(call, params, items)
        elif batch:
            found = await self._make_each(call, key, items, self._encrypt)
        else:
            return Reply(await self._make_one(call, key, items[0], self._encrypt), long=long)
        if not batch:
            return Reply(found[0].good(), long=long)
        return _batch_reply(_items(found), found, params.partial_failure_response_code, long=long)

    async def key_exists(self, call: Call) -> bool:
        """Tell update from create."""
        return await self._ring.exists(call, call.captures["name"])

    @write("decrypt/{name:word}", writes=False, contained=True, event="transit.data.decrypt")
    async def decrypt(self, call: Call, params: DecryptParams) -> Reply[Plaintext] | Reply[Plaintexts]:
        """Decrypt."""
        batch = params.batch_input is not None
        if batch:
            items = read_ciphertexts(params.batch_input)
            check_contexts(items)
        elif not params.ciphertext:
            raise Malformed(NO_CIPHERTEXT)
        else:
            items = [_single(params, params.ciphertext)]
        key = await self._known(call, params.name)
        if not batch:
            plaintext = await self._one(call, key, items[0], 0, self._decrypt)
            return Reply(Plaintext(plaintext), long=_is_long(items[0]))
        found = await self._each(call, key, items, self._decrypt)
        shown = Plaintexts(
            [
                PlaintextItem(plaintext=one.done or "", error=one.words, reference=one.item.reference)
                for one in found
            ]
        )
        override = params.partial_failure_response_code
        return _batch_reply(shown, found, override, long=_are_long(call, items))

    @write("rewrap/{name:word}", writes=False, contained=True, event="transit.data.rewrap")
    async def rewrap(self, call: Call, params: RewrapParams) -> Reply[Ciphertext] | Reply[Ciphertexts]:
        """Encrypt a ciphertext anew with a newer version; nobody sees the plaintext."""
        batch = params.batch_input is not None
        if batch:
            items = read_weak(params.batch_input, "ciphertext")
            check_contexts(items)
        elif not params.ciphertext:
            raise Malformed(NO_CIPHERTEXT)
        else:
            items = [_single(params, params.ciphertext, params.key_version)]
        key = await self._known(call, params.name)
        if not batch:
            made = await self._make_one(call, key, items[0], self._rewrap)
            return Reply(made, long=_is_long(items[0]))
        found = await self._make_each(call, key, items, self._rewrap)
        return Reply(_items(found), long=_are_long(call, items))  # 200, whatever became of them

    @write("datakey/{plaintext}/{name:word}", writes=False, contained=True, event="transit.datakey.generate")
    async def make_data_key(self, call: Call, params: DataKeyParams) -> DataKey:
        """Make a key for data, and show it encrypted, and if that is asked for in the clear."""
        if params.plaintext not in _KINDS:
            raise Malformed("Invalid path, must be 'plaintext' or 'wrapped'")
        key = await self._known(call, params.name)
        if params.bits not in _BITS:
            raise Malformed("invalid bit length")
        made = to_base64(self._entropy.bytes(params.bits // 8))
        asked = _single(params, made, params.key_version)
        done = await self._make_one(call, key, asked, self._encrypt)
        shown = made if params.plaintext == "plaintext" else msgspec.UNSET
        return DataKey(done.ciphertext, done.key_version, shown)

    async def _known(self, call: Call, name: str) -> OpenKey:
        key = await self._ring.find(call, name)
        if key is None:
            raise Malformed(NO_KEY)
        return key

    async def _first_use(
        self, call: Call, params: EncryptParams, items: Sequence[Item]
    ) -> Sequence[Done[Ciphertext]]:
        """Make a key and encrypt with it, before the transaction in which it is stored: no write waits for that.

        Where nothing could be encrypted, no key is made.
        """
        if call.operation is not Operation.CREATE:
            raise FactsChanged  # the key is gone since it was looked for
        check_length(name=params.name)
        if (await mount_settings(call.tx)).disable_upsert:
            raise Malformed(NO_KEY)

        async def ask() -> FirstUse:
            new = _key_by_use(params, derived=bool(items[0].context), entropy=self._entropy)
            material = make(KEY_TYPES[new.type], 0, self._entropy)
            key = OpenKey(new)
            key.versions.put(new.latest, self._ring.unstored(new, material))
            return FirstUse(new, material, await self._make_each(call, key, items, self._encrypt))

        used = await asked_first(call, params.name, FirstUse, ask)
        if any(one.done is not None for one in used.found):
            await self._ring.create(call, params.name, used.key, used.material)
        return used.found

    async def _each(
        self, call: Call, key: OpenKey, items: Sequence[Item], work: Callable[[OpenKey, Item, int], T]
    ) -> Sequence[Done[T]]:
        """Do all that is asked for, and let others have a turn between two of it."""
        found: list[Done[T]] = []
        turn = TimeSlice()
        slow = self._is_slow(key, work) or _are_long(call, items)
        for at, item in enumerate(items):
            try:
                done = None if slow else _at_once(work, key, item, at)
                if done is None:
                    done = await self._one(call, key, item, at, work)
            except Malformed as error:
                found.append(Done(item, None, error, unbound=_is_unbound(key, item)))
            else:
                found.append(Done(item, done))
            if (slow or at % _SHORT == 0) and turn.over:
                await turn.step()
        return found

    def _is_slow(self, key: OpenKey, work: Callable[[OpenKey, Item, int], T]) -> bool:
        """Whether it takes milliseconds, however short the item."""
        return key.kind.name == EXTERNAL or (key.kind.rsa and work != self._encrypt)

    async def _one(
        self, call: Call, key: OpenKey, item: Item, at: int, work: Callable[[OpenKey, Item, int], T]
    ) -> T:
        """Do what is asked for, in the pool where it takes milliseconds. Raises `Malformed`, and what a device does."""
        if key.kind.name == EXTERNAL:
            return cast(T, await self._there[work](call, key, item))
        slow = self._is_slow(key, work) or _is_long(item)
        while True:
            try:
                if slow:
                    return await self._pool.do(call, partial(work, key, item, at), slow=True)
                return work(key, item, at)
            except Unopened as unopened:
                await self._ring.version(call, key, unopened.number)

    async def _make_one(
        self, call: Call, key: OpenKey, item: Item, work: Callable[[OpenKey, Item, int], Ciphertext]
    ) -> Ciphertext:
        """As `_one`, of one item alone, and count what was made."""
        made = await self._one(call, key, item, 0, work)
        self._uses.note(call, key, made.key_version)
        return made

    async def _make_each(
        self,
        call: Call,
        key: OpenKey,
        items: Sequence[Item],
        work: Callable[[OpenKey, Item, int], Ciphertext],
    ) -> Sequence[Done[Ciphertext]]:
        """As `_each`, and count what was made."""
        found = await self._each(call, key, items, work)
        made = Counter([one.done.key_version for one in found if one.done is not None])
        for number, times in made.items():
            self._uses.note(call, key, number, times)
        return found

    def _encrypt(self, key: OpenKey, item: Item, at: int) -> Ciphertext:
        """Encrypt one plaintext. Raises `Malformed`, and `Unopened`."""
        context = decode(item.context) if item.context else b""
        plaintext = decode(item.text or "")
        if item.associated_data:
            _check_associated(key, item, at)
        require_use(key, "encryption")
        return self._encrypted(key, item, plaintext, context)

    def _encrypted(self, key: OpenKey, item: Item, plaintext: bytes, context: bytes) -> Ciphertext:
        number = version_to_use(key.settings, item.key_version, "encryption")
        version = key.opened(number)
        aad = decode_associated(item.associated_data) if item.associated_data else b""
        return Ciphertext(encrypt(key, version, plaintext, self._entropy, context=context, aad=aad), number)

    def _decrypt(self, key: OpenKey, item: Item, at: int) -> str:
        """Return the plaintext of one ciphertext, in base64. Raises `Malformed`, and `Unopened`."""
        return to_base64(_opened(key, item, at))

    def _rewrap(self, key: OpenKey, item: Item, at: int) -> Ciphertext:
        """Encrypt one ciphertext anew. Raises `Malformed`, and `Unopened`."""
        return self._encrypted(key, item, _opened(key, item, at), decode(item.context))


def _opened(key: OpenKey, item: Item, at: int) -> bytes:
    """Return the plaintext of one ciphertext. Raises `Malformed`, and `Unopened`."""
    context = decode(item.context)
    _check_associated(key, item, at)
    if not item.text:
        raise Malformed(NO_CIPHERTEXT)
    require_use(key, "decryption")
    number, sealed = split_ciphertext(key.settings, item.text)
    version, aad = key.opened(number), decode_associated(item.associated_data)
    return decrypt(key, version, sealed, context=context, aad=aad)


def _is_long(item: Item) -> bool:
    """Whether it takes milliseconds to read and encrypt."""
    return len(item.text or "") + len(item.context) + len(item.associated_data) > AT_ONCE


def _are_long(call: Call, items: Sequence[Item]) -> bool:
    """Whether one of these does. What came in a short body is short."""
    return len(call.body) > AT_ONCE and any(map(_is_long, items))


def _at_once(work: Callable[[OpenKey, Item, int], T], key: OpenKey, item: Item, at: int) -> T | None:
    """Do what is asked for; None where a version has to be opened first. Raises `Malformed`."""
    try:
        return work(key, item, at)
    except Unopened:
        return None


def _single(
    params: EncryptParams | DecryptParams | RewrapParams | DataKeyParams, text: str, key_version: int = 0
) -> Item:
    context, associated = params.context, params.associated_data
    return Item(text=text, context=context, associated_data=associated, key_version=key_version)


def _is_unbound(key: OpenKey, item: Item) -> bool:
    """Whether there is associated data that nothing would authenticate."""
    return bool(item.associated_data) and key.kind.encrypts and key.kind.rsa


def _check_associated(key: OpenKey, item: Item, at: int) -> None:
    """Refuse associated data that nothing would authenticate. Raises `Malformed`."""
    if _is_unbound(key, item):
        raise Malformed(f"'[{at}].associated_data' provided for non-AEAD cipher suite {key.kind.name}")


def _items(found: Sequence[Done[Ciphertext]]) -> Ciphertexts:
    return Ciphertexts(
        [
            CiphertextItem(
                ciphertext=one.done.ciphertext if one.done is not None else msgspec.UNSET,
                key_version=one.done.key_version if one.done is not None else msgspec.UNSET,
                error=one.words,
                reference=one.item.reference,
            )
            for one in found
        ]
    )


def _batch_reply(data: R, found: Sequence[Done[T]], override: int, *, long: bool) -> Reply[R]:
    """Return the answer to a batch, with the status that OpenBao gives it: `override` where some of it went well.

    Where associated data that nothing binds is all that is wrong, it is 200.
    """
    if all(one.error is None or one.unbound for one in found):
        return Reply(data, long=long)
    reply = Reply(data, status=_FAULTY, unended=True, long=long)
    if override and any(one.error is None for one in found):
        if override in _STATUSES and override not in _BODILESS:
            reply.status = override
        else:
            reply.warnings.append(_WRONG_STATUS)
    return reply


def _key_by_use(params: EncryptParams, *, derived: bool, entropy: Entropy) -> TransitKey:
    """Return the settings of a key that is made because somebody encrypts with it. Raises `Malformed`."""
    if params.convergent_encryption and not derived:
        raise Malformed("convergent encryption requires derivation to be enabled, so context is required")
    if params.type in _ELLIPTIC:
        raise Malformed(f"key type {params.type} not supported for this operation")
    if params.type not in _MADE_BY_USE:
        raise Malformed(f"unknown key type; encrypt makes keys of type {', '.join(_MADE_BY_USE)}")
    return TransitKey(
        id=entropy.uuid(), type=params.type, derived=derived, convergent=params.convergent_encryption
    )
