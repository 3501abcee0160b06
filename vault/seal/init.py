# SPDX-License-Identifier: EUPL-1.2
"""Making a new vault's keys: everything that can be refused is refused before anything is stored."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from hsm.errors import HsmError
from hsm.key_slot import KeySlot
from vault.barrier.key import KEY_BYTES, Key, Random
from vault.barrier.keyring import Keyring
from vault.barrier.view import View
from vault.seal.failure import SealRefusal
from vault.seal.records import seal_store
from vault.seal.records.record import (
    SHAMIR_SLOT,
    RecoveryEntry,
    SealConfig,
    ShamirSlot,
    SlotEntry,
    encode,
    make_shamir_slot,
    recovery_path,
    slot_path,
)
from vault.seal.records.slots import NoSlotAnswers, Reasons, Slots, key_version, unwrap_root, wrap_root
from vault.seal.shares import shamir
from vault.seal.shares.pgp import Recipient, UnreadableKey
from vault.seal.shares.progress import fresh_nonce
from vault.storage.protocol import Tx
from vault.values.ids import NamespaceId
from vault.values.times import Millis

_INVALID: Final = "invalid seal configuration: "
_INVALID_RECOVERY: Final = "invalid recovery configuration: "
_PGP_COUNT: Final = "count mismatch between number of provided PGP keys and number of shares"


class InitRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `sys/init` was asked for: secret shares for Shamir's seal alone, recovery shares for key slots."""

    secret_shares: int = 0
    secret_threshold: int = 0
    pgp_keys: Sequence[str] = ()
    root_token_pgp_key: str = ""
    recovery_shares: int = 0
    recovery_threshold: int = 0
    recovery_pgp_keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ShownShares:
    """Shares as the answer shows them."""

    keys: Sequence[str] = field(default=(), repr=False)
    """The shares in hexadecimal; where PGP keys were given, hexadecimal of each one's message."""
    keys_base64: Sequence[str] = field(default=(), repr=False)
    """The same in base64."""
    pgp_fingerprints: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class InitPlan:
    """A new vault, so far in memory only: show the keys only after the transaction has committed."""

    config: SealConfig
    records: Mapping[str, bytes] = field(repr=False)
    """What is stored at which path, besides the configuration."""
    slot: ShamirSlot | None
    shares: ShownShares
    """The shares that unseal; none where key slots do."""
    recovery: ShownShares
    """The recovery shares, for key slots."""
    absent: Reasons
    """Key slots of the configuration that did not answer, and are not part of the new vault."""
    root_key: Key
    keyring: Keyring
    _random: Random = field(repr=False)
    _token_recipient: Recipient | None = field(repr=False)

    @property
    def keys(self) -> Sequence[str]:
        """The shares that unseal, in hexadecimal."""
        return self.shares.keys

    @property
    def keys_base64(self) -> Sequence[str]:
        """The shares that unseal, in base64."""
        return self.shares.keys_base64

    @property
    def pgp_fingerprints(self) -> Sequence[str]:
        """Whom the shares that unseal are encrypted to."""
        return self.shares.pgp_fingerprints

    def view(self, tx: Tx, namespace_id: NamespaceId, prefix: str) -> View:
        """Return a view under the new keyring, for what belongs to the initialisation itself."""
        return View(tx, self.keyring, namespace_id, prefix, random=self._random)

    def present_token(self, token: str) -> str:
        """Return the root token as the answer shows it: plain, or base64 of its PGP message."""
        if self._token_recipient is None:
            return token
        return base64.b64encode(self._token_recipient.encrypt(token)).decode()


def check(request: InitRequest, now: Millis, kind: str = SHAMIR_SLOT) -> Sequence[Recipient]:
    """Return who gets the shares, at `now` (ms); raises `SealRefusal` with OpenBao's text.

    `kind` is the seal's: `shamir` takes secret shares, every other one recovery shares.
    """
    secret = {
        "secret_shares": request.secret_shares,
        "secret_threshold": request.secret_threshold,
        "pgp_keys": request.pgp_keys,
    }
    recovery = {
        "recovery_shares": request.recovery_shares,
        "recovery_threshold": request.recovery_threshold,
        "recovery_pgp_keys": request.recovery_pgp_keys,
    }
    foreign = recovery if kind == SHAMIR_SLOT else secret
    given = ",".join(name for name, value in foreign.items() if value)
    if given:
        raise SealRefusal(f"parameters {given} not applicable to seal type {kind}")
    if kind == SHAMIR_SLOT:
        check_shares(request.secret_shares, request.secret_threshold)
        return recipients(request.pgp_keys, request.secret_shares, now, _INVALID)
    _check_recovery(request.recovery_shares, request.recovery_threshold)
    return recipients(request.recovery_pgp_keys, request.recovery_shares, now, _INVALID_RECOVERY)


def check_shares(shares: int, threshold: int, prefix: str = _INVALID) -> None:
    """Raise `SealRefusal`, its text after `prefix`, when a key cannot be split like this."""
    for broken, text in (
        (shares < 1, "shares must be at least one"),
        (threshold < 1, "threshold must be at least one"),
        (shares > 1 and threshold == 1, "threshold must be greater than one for multiple shares"),
        (shares > shamir.MAX_SHARES, "shares must be less than 256"),
        (threshold > shamir.MAX_SHARES, "threshold must be less than 256"),
        (threshold > shares, "threshold cannot be larger than shares"),
    ):
        if broken:
            raise SealRefusal(prefix + text)


def recipients(keys: Sequence[str], shares: int, now: Millis, prefix: str) -> Sequence[Recipient]:
    """Return who gets the shares; raises `SealRefusal`, its text after `prefix`."""
    if keys and len(keys) != shares:
        raise SealRefusal(prefix + _PGP_COUNT)
    try:
        return [Recipient.parse(text, now) for text in keys]
    except UnreadableKey as failure:
        raise SealRefusal(f"{prefix}{failure}") from None


def split(key: Key, shares: int, threshold: int, to: Sequence[Recipient], random: Random) -> ShownShares:
    """Split `key` and show each share, encrypted to its recipient where there are any; no shares, nothing shown."""
    if shares < 1:
        return ShownShares()
    parts = [key.reveal()] if shares == 1 else shamir.split(key.reveal(), shares, threshold, random)
    shown = [r.encrypt(part.hex()) for r, part in zip(to, parts, strict=True)] if to else parts
    return ShownShares(
        [data.hex() for data in shown],
        [base64.b64encode(data).decode() for data in shown],
        [recipient.fingerprint for recipient in to],
    )


def token_recipient(request: InitRequest, now: Millis) -> Recipient | None:
    """Return who gets the root token; raises `SealRefusal` for a key that cannot be used."""
    if not request.root_token_pgp_key:
        return None
    recipient = Recipient.parse(request.root_token_pgp_key, now)
    recipient.encrypt("")
    return recipient


def make_plan(request: InitRequest, to: Sequence[Recipient], now: Millis, random: Random) -> InitPlan:
    """Make root key, keyring and shares at `now` (ms), for a request whose `check` gave `to`.

    Raises `SealRefusal` when one of the PGP keys cannot encrypt: now, not once the vault exists.
    """
    recipient = token_recipient(request, now)
    root_key, key = Key(random(KEY_BYTES)), Key(random(KEY_BYTES))
    generation = fresh_nonce(random)
    shares, threshold = request.secret_shares, request.secret_threshold
    slot = make_shamir_slot(
        root_key, key, generation=generation, shares=shares, threshold=threshold, random=random
    )
    return InitPlan(
        config=SealConfig(generation=generation, slots=(SHAMIR_SLOT,), confirmed=False),
        records={slot_path(SHAMIR_SLOT): encode(slot_path(SHAMIR_SLOT), slot)},
        slot=slot,
        shares=split(key, shares, threshold, to, random),
        recovery=ShownShares(),
        absent={},
        root_key=root_key,
        keyring=Keyring.create(now, random),
        _random=random,
        _token_recipient=recipient,
    )


async def make_wrapped_plan(
    request: InitRequest, to: Sequence[Recipient], now: Millis, random: Random, slots: Slots
) -> InitPlan:
    """As `make_plan`, for a vault that key slots open: each that answers wraps the root key, and gives it back.

    Raises `NoSlotAnswers` when none does, `HsmError` when a token must have a part in randomness and has none.
    """
    recipient = token_recipient(request, now)
    random = await slots.source(random)
    root_key, key = Key(random(KEY_BYTES)), Key(random(KEY_BYTES))
    generation = fresh_nonce(random)
    records: dict[str, bytes] = {}
    absent: Reasons = {}
    entries: dict[str, SlotEntry] = {}
    for key_slot in slots.enabled:
        try:
            entries[key_slot.name] = await _wrapped(key_slot, root_key, generation, random, records)
        except HsmError as failure:
            absent[key_slot.name] = failure
    if not entries:
        raise NoSlotAnswers(absent)
    shares, threshold = request.recovery_shares, request.recovery_threshold
    recovery = None
    slot = None
    if shares > 0:
        recovery = RecoveryEntry(revision=1, shares=shares, threshold=threshold)
        record = await seal_store.wrap_recovery(key, generation, 1, entries, slots, random)
        records[recovery_path(1)] = encode(recovery_path(1), record)
        if slots.recovery_can_unseal or slots.shamir_kept:
            slot = make_shamir_slot(
                root_key,
                key,
                generation=generation,
                shares=shares,
                threshold=max(threshold, 1),
                random=random,
                name=slots.shamir,
            )
            records[slot_path(slots.shamir)] = encode(slot_path(slots.shamir), slot)
            entries[slots.shamir] = SlotEntry()
    return InitPlan(
        config=SealConfig(
            generation=generation, slots=tuple(entries), confirmed=False, entries=entries, recovery=recovery
        ),
        records=records,
        slot=slot,
        shares=ShownShares(),
        recovery=split(key, shares, threshold, to, random),
        absent=absent,
        root_key=root_key,
        keyring=Keyring.create(now, random),
        _random=random,
        _token_recipient=recipient,
    )


async def _wrapped(
    slot: KeySlot, root_key: Key, generation: str, random: Random, records: dict[str, bytes]
) -> SlotEntry:
    """Add the slot's record to `records` once the slot opened it again, which proves it; return its entry."""
    key = await slot.identify()
    record = await wrap_root(
        slot, root_key, generation=generation, root_version=1, revision=0, random=random, key=key
    )
    await unwrap_root(slot, record, generation=generation, revision=0)
    records[slot_path(slot.name)] = encode(slot_path(slot.name), record)
    return SlotEntry(
        kind=slot.kind,
        key_version=key_version(record),
        key_label=key.label,
        key_fingerprint=key.fingerprint,
        key_authenticator=key.authenticator,
        key_imported=key.imported,
    )


def _check_recovery(shares: int, threshold: int) -> None:
    for broken, text in (
        (shares > 1 and threshold <= 1, "threshold must be greater than one for multiple shares"),
        (shares > shamir.MAX_SHARES, "shares must be less than 256"),
        (threshold > shamir.MAX_SHARES, "threshold must be less than 256"),
        (threshold > shares, "threshold cannot be larger than shares"),
    ):
        if broken:
            raise SealRefusal(_INVALID_RECOVERY + text)
