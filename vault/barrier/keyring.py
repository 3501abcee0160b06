# SPDX-License-Identifier: EUPL-1.2
"""The keys that encrypt storage: one per term, of which the newest encrypts and all decrypt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Final

import msgspec

from vault.barrier import envelope
from vault.barrier.failure import BarrierFailure, BarrierSealed, UnknownTerm
from vault.barrier.key import KEY_BYTES, Key, Random
from vault.barrier.stored import RecordKind
from vault.values.times import Millis, Seconds, seconds_to_millis, time_between

KEYRING_PATH: Final = "core/keyring"
"""Where the wrapped keyring is stored, in the clear part of storage."""

DEFAULT_MAX_OPERATIONS: Final = 3_865_470_566
"""Encryptions under one key before a rotation is due: 0.9 of 2^32, the bound for random nonces."""

MIN_MAX_OPERATIONS: Final = 1_000_000
MIN_INTERVAL: Final = 24 * 60 * 60
"""Shortest rotation interval, in seconds."""

_PURPOSE: Final = "coffre.keyring"
_FORMAT: Final = 1


class InvalidRotation(ValueError):
    """A rotation setting is out of bounds; the text is OpenBao's, and names the field and its bounds."""


class RotationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the active key is replaced without being asked."""

    enabled: bool = True
    interval: Seconds = Seconds(0)
    """Seconds a key stays active; 0 for no limit."""
    max_operations: int = DEFAULT_MAX_OPERATIONS
    """Encryptions under one key."""

    def check(self) -> None:
        """Raise `InvalidRotation` with the text of `sys/rotate/config` when a bound is broken."""
        if self.interval != 0 and self.interval < MIN_INTERVAL:
            raise InvalidRotation("interval must be greater or equal to 24h0m0s")
        if not MIN_MAX_OPERATIONS <= self.max_operations <= DEFAULT_MAX_OPERATIONS:
            bounds = f"[{MIN_MAX_OPERATIONS},{DEFAULT_MAX_OPERATIONS}]"
            raise InvalidRotation(f"max_operations must be in the range {bounds}")


class _StoredTerm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    term: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF_FFFF)]
    key: Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
    installed: Millis
    encryptions: Annotated[int, msgspec.Meta(ge=0)]

    def __repr__(self) -> str:
        return f"_StoredTerm({self.term})"


class _StoredKeyring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: Annotated[int, msgspec.Meta(ge=_FORMAT, le=_FORMAT)]
    terms: Annotated[list[_StoredTerm], msgspec.Meta(min_length=1)]
    rotation: RotationConfig


_KEYRING: Final = RecordKind("keyring", _StoredKeyring, json=True)


class Term:
    """One key with its number. Only its count of encryptions ever changes, and only upwards."""

    __slots__ = ("head", "install_time", "key", "number", "saved", "unsaved")

    def __init__(self, number: int, key: Key, install_time: Millis, saved: int = 0) -> None:
        """`install_time` in ms since the epoch; `saved` is the count that storage knows."""
        self.number = number
        self.key = key
        self.install_time = install_time
        self.saved = saved
        self.unsaved = 0
        self.head = envelope.header(number)

    @property
    def encryptions(self) -> int:
        """How often this key has encrypted: what storage knows, and what happened here since."""
        return self.saved + self.unsaved

    def save(self, counted: int, saved: int) -> None:
        """Note that storage now knows `saved` encryptions, `counted` of them from here."""
        self.unsaved -= counted
        self.saved = max(self.saved, saved)

    def __repr__(self) -> str:
        return f"Term({self.number})"


class Keyring:
    """All terms and the rotation settings.

    `rotate` and `configure` return another keyring, to be stored. The one in use changes only by
    `adopt`, which follows what was stored, and by `drop`; so every view of it follows at once.
    """

    __slots__ = ("_active", "_terms", "gone", "rotation")

    def __init__(self, terms: Iterable[Term], rotation: RotationConfig) -> None:
        """Hold `terms`, at least one; the one with the highest number is active."""
        self._terms = {term.number: term for term in terms}
        self._active: Term | None = self._terms[max(self._terms)]
        self.rotation = rotation
        self.gone: Exception = BarrierSealed()
        """What whoever uses it is told once it was dropped."""

    @classmethod
    def create(cls, now: Millis, random: Random) -> Keyring:
        """Return a keyring with one fresh key, term 1, installed at `now` (ms)."""
        return cls([Term(1, Key(random(KEY_BYTES)), now)], RotationConfig())

    @property
    def active(self) -> Term:
        """The term that encrypts; `gone` once dropped."""
        if self._active is None:
            raise self.gone
        return self._active

    @property
    def terms(self) -> Mapping[int, Term]:
        """The terms by number; empty once dropped."""
        return self._terms

    def rotate(self, now: Millis, random: Random) -> Keyring:
        """Return a keyring with one more term, active from `now` (ms). Older terms still decrypt."""
        fresh = Term(self.active.number + 1, Key(random(KEY_BYTES)), now)
        return Keyring([*self._terms.values(), fresh], self.rotation)

    def configure(self, rotation: RotationConfig) -> Keyring:
        """Return a keyring with other rotation settings; raises `InvalidRotation`."""
        rotation.check()
        return Keyring(self._terms.values(), rotation)

    def due(self, now: Millis) -> bool:
        """Return whether the active key should be replaced at `now` (ms)."""
        rule, term = self.rotation, self.active
        if not rule.enabled:
            return False
        if term.encryptions >= rule.max_operations:
            return True
        return rule.interval > 0 and time_between(term.install_time, now) >= seconds_to_millis(rule.interval)

    def encrypt(self, scope: bytes, path: str, plaintext: bytes, random: Random) -> bytes:
        """Encrypt under the active key, and count it."""
        term = self._active
        if term is None:
            raise self.gone
        term.unsaved += 1
        return envelope.seal(
            term.key,
            head=term.head,
            scope=scope,
            path=path,
            plaintext=plaintext,
            nonce=random(envelope.NONCE_BYTES),
        )

    def encryption(self, scope: bytes, path: str, plaintext: bytes, random: Random) -> Callable[[], bytes]:
        """Return what encrypts, once, in a thread if it likes, under the key that is active now; it is counted already."""
        term = self.active
        term.unsaved += 1
        nonce = random(envelope.NONCE_BYTES)
        key, head = term.key, term.head
        return lambda: envelope.seal(key, head=head, scope=scope, path=path, plaintext=plaintext, nonce=nonce)

    def decrypt(self, scope: bytes, path: str, data: bytes) -> bytes:
        """Decrypt under the key the entry names; `UnknownTerm` or another `BarrierFailure`."""
        term = self._terms.get(envelope.term_of(data))
        if term is None:
            if self._active is None:
                raise self.gone
            raise UnknownTerm("stored entry names an unknown key term")
        return envelope.open_entry(term.key, scope, path, data)

    def unsaved(self) -> dict[int, int]:
        """Return by term how many encryptions storage does not know of."""
        return {number: term.unsaved for number, term in self._terms.items() if term.unsaved}

    def count(self, taken: Iterable[tuple[Term, int]]) -> None:
        """Count encryptions under keys that have the same numbers in memory, before this is stored. Raises `BarrierFailure`."""
        for term, count in taken:
            if term.number not in self._terms:
                raise BarrierFailure("stored keyring lacks a key term that is in use")
            self._terms[term.number].saved += count

    def drop(self) -> None:
        """Forget the keys: views that are still held raise `gone` from now on."""
        self._terms = {}
        self._active = None

    def wrap(self, root_key: Key, random: Random, path: str = KEYRING_PATH) -> bytes:
        """Return the keyring as it is stored at `path`, encrypted under the root key."""
        stored = _StoredKeyring(
            v=_FORMAT,
            terms=[
                _StoredTerm(t.number, t.key.reveal(), t.install_time, t.saved) for t in self._terms.values()
            ],
            rotation=self.rotation,
        )
        return envelope.wrap(root_key, (_PURPOSE, path), _KEYRING.encode(stored), random)

    @classmethod
    def unwrap(cls, root_key: Key, data: bytes, path: str = KEYRING_PATH) -> Keyring:
        """Return the keyring that `wrap` stored; `BarrierFailure` for another root key or place, or any change."""
        plain = envelope.unwrap(root_key, (_PURPOSE, path), data)
        stored = _KEYRING.decode(plain)
        terms = [Term(t.term, Key(t.key), t.installed, t.encryptions) for t in stored.terms]
        return cls(terms, stored.rotation)

    def adopt(self, stored: Keyring) -> None:
        """Follow `stored`, newly read from storage, without losing what was counted here.

        A key that it lacks, or has another one for, is forgotten: a backup was restored, and nobody could read later
        what is written under that key.
        """
        terms: dict[int, Term] = {}
        for number, term in stored.terms.items():
            known = self._terms.get(number)
            terms[number] = known if known is not None and known.key.same(term.key) else term
            terms[number].save(0, term.saved)
        self._terms = terms
        self._active = self._terms[max(self._terms)]
        self.rotation = stored.rotation
