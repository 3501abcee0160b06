# SPDX-License-Identifier: EUPL-1.2
"""The routes of the TOTP engine."""

from __future__ import annotations

from functools import partial
from typing import Final

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView
from vault.engines.totp import codes
from vault.engines.totp.model import (
    KEYS,
    Code,
    CodeParams,
    ExportedKey,
    Key,
    KeyInfo,
    KeyName,
    KeyParams,
    Keys,
    ListParams,
    PreparedKey,
    Validity,
)
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.display.barcode import barcode
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.quote import quote
from vault.framework.route import delete, list_, read, write
from vault.values.times import Seconds, millis_to_seconds

_TOO_LONG: Final = "issuer and account_name are too long for a QR code: set qr_size to 0"

_KIND: Final = RecordKind("TOTP key", Key)


class Totp(Engine):
    """Keys and codes."""

    def __init__(self, clock: Clock, entropy: Entropy, pool: Pool) -> None:
        """`pool` draws pictures."""
        self._pool = pool
        self._clock = clock
        self._entropy = entropy

    @list_("keys", event="totp.key.list")
    async def list_keys(self, call: Call, params: ListParams) -> Keys:
        """List the names of all keys."""
        names = await call.reader.list(KEYS, after=params.after, limit=max(params.limit, 0))
        if not names:
            raise NotFound
        return Keys(names)

    @read("keys/{name:word}", event="totp.key.read")
    async def read_key(self, call: Call, params: KeyName) -> KeyInfo:
        """Show what is known of a key; the key itself is not shown."""
        key = await _find(call.reader, params.name)
        if key is None:
            raise NotFound
        return KeyInfo(key.account_name, key.algorithm, key.digits, key.issuer, key.period)

    @write("keys/{name:word}", before="prepare_key", event="totp.key.write")
    async def write_key(self, call: Call, params: KeyParams) -> ExportedKey | None:
        """Make a key, or take one from elsewhere; it replaces the one with this name."""
        prepared = call.prepared
        assert isinstance(prepared, PreparedKey)
        await call.tx.put(KEYS + params.name, _KIND.encode(prepared.key))
        return prepared.shown

    @delete("keys/{name:word}", event="totp.key.delete")
    async def delete_key(self, call: Call, params: KeyName) -> None:
        """Remove a key; nothing happens where there is none."""
        await call.tx.delete(KEYS + params.name)

    @read("code/{name:word}", event="totp.code.issue")
    async def read_code(self, call: Call, params: KeyName) -> Code:
        """Make the code of this moment."""
        key = await _known(call.reader, params.name)
        now = millis_to_seconds(self._clock.millis())
        counter = now // key.period
        return Code(
            codes.code(key, counter), now, Seconds((counter + 1) * key.period), codes.duration(key.period)
        )

    @write("code/{name:word}", event="totp.code.verify")
    async def check_code(self, call: Call, params: CodeParams) -> Validity:
        """Check a code. A good one is good once."""
        key = await _known(call.tx, params.name)
        if not params.code:
            raise Malformed("the code value is required")
        if len(params.code) != key.digits:
            raise Malformed("invalid number of digits for the code")
        counter = codes.matching(key, params.code, millis_to_seconds(self._clock.millis()))
        if counter is None:
            return Validity(valid=False)
        if counter in key.used:
            raise Malformed("code already used; wait until the next time period")
        await call.tx.put(KEYS + params.name, _KIND.encode(codes.spend(key, counter)))
        return Validity(valid=True)

    async def prepare_key(self, call: Call, params: KeyParams) -> PreparedKey:
        """Make a key, and draw its picture, which takes a tenth of a second where it is as large as may be."""
        if not params.generate:
            return PreparedKey(codes.given_key(params))
        codes.check(params)
        key = codes.new_key(params, self._entropy.bytes(params.key_size))
        if not params.exported:
            return PreparedKey(key)
        return PreparedKey(key, await self._pool.run(client_of(call), partial(_shown, key, params.qr_size)))


def _shown(key: Key, size: int) -> ExportedKey:
    url = codes.url(key)
    return ExportedKey(url, barcode(url, size, refusal=_TOO_LONG))


async def _find(view: ReadView, name: str) -> Key | None:
    value = await view.get(KEYS + name)
    return _KIND.decode(value) if value is not None else None


async def _known(view: ReadView, name: str) -> Key:
    key = await _find(view, name)
    if key is None:
        raise Malformed(f"unknown key: {quote(name)}")
    return key
