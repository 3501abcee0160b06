# SPDX-License-Identifier: EUPL-1.2
"""Time and randomness, passed as arguments. No other module of the server asks the operating system for them."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime
from functools import lru_cache
from struct import Struct

from vault.values.times import Millis, Nanos, Seconds

_BASE62 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LETTERS = bytes(_BASE62[byte % 62] for byte in range(256))
_UNFAIR = bytes(range(248, 256))
"""Bytes past the last multiple of 62, which would make some letters likelier."""
_UUID_BYTES = 16
LONGEST_TIME = len("2026-01-01T00:00:00.123456789Z")
"""Characters of a time with all nine digits of the fraction."""
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,9})?Z")
_UUID_FIELDS = Struct("8s4s4s4s12s")
_RANDOM_BITS = bytes.fromhex("ffffffffffff0fff3fffffffffffffff")
_FIXED_BITS = bytes.fromhex("00000000000040008000000000000000")
"""Which bits of a UUID are random, and what the others are: version 4, variant 10."""
_IDS = 256
"""UUIDs that are made together."""


class Clock:
    """Points in time by the wall clock, which may be set, and a reading for intervals, which only grows.

    What is stored or shown is a point in time. How long something lasts is measured with `monotonic`, or where it
    began with a stored point, with `Ages`.
    """

    def millis(self) -> Millis:
        """Return milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000  # type: ignore[return-value]  # asked by every request

    def nanos(self) -> Nanos:
        """Return nanoseconds since the Unix epoch."""
        return time.time_ns()  # type: ignore[return-value]  # asked by every request

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment. They grow evenly, even when the wall clock is set."""
        return time.monotonic()


class Entropy:
    """Cryptographic randomness from the operating system."""

    def bytes(self, count: int) -> bytes:
        """Return `count` random bytes."""
        return os.urandom(count)

    def base62(self, length: int) -> str:
        """Return `length` characters of [0-9A-Za-z], each uniform: bytes past the last multiple are dropped."""
        chosen = ""
        while len(chosen) < length:
            chosen += self.bytes(length + 8).translate(_LETTERS, _UNFAIR).decode()
        return chosen[:length]

    def uuid(self) -> str:
        """Return a random UUID (RFC 9562 version 4) in its text form."""
        return uuids(self.bytes(_UUID_BYTES))[0]


class Ids:
    """Random UUIDs for requests, made many at a time: each request needs one."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._ready: list[str] = []

    def next(self) -> str:
        """Return the next UUID."""
        if not self._ready:
            self._ready = uuids(self._entropy.bytes(_UUID_BYTES * _IDS))
        return self._ready.pop()


def uuids(random: bytes) -> list[str]:
    """Return random bytes, 16 for each, as UUIDs (RFC 9562 version 4) in their text form."""
    count = len(random) // _UUID_BYTES
    clear, fixed = (int.from_bytes(bits * count) for bits in (_RANDOM_BITS, _FIXED_BITS))
    text = (int.from_bytes(random) & clear | fixed).to_bytes(len(random)).hex().encode()
    return [b"-".join(fields).decode() for fields in _UUID_FIELDS.iter_unpack(text)]


@lru_cache(maxsize=4096)
def remembered_rfc3339(nanos: Nanos) -> str:
    """As `rfc3339`, cached for times that are shown often."""
    return rfc3339(nanos)


@lru_cache(maxsize=8)
def _second(seconds: Seconds) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339_whole(nanos: Nanos) -> bytes:
    """Return a time (nanoseconds since the epoch, UTC) as RFC 3339 with all nine digits of the fraction."""
    seconds, fraction = divmod(nanos, 1_000_000_000)
    return b"%b.%09dZ" % (_second_bytes(seconds), fraction)


def parse_rfc3339_whole(text: str) -> Nanos:
    """Return the time that `rfc3339_whole` wrote. Raises `ValueError` for any other text."""
    if len(text) != LONGEST_TIME or not text.endswith("Z"):
        raise ValueError("not a time with nine digits")
    return Nanos(_seconds_at(text[:19]) * 1_000_000_000 + int(text[20:29]))


def is_rfc3339(text: str) -> bool:
    """Whether a text has the form of a time in UTC, as records show one."""
    return text[-1:] == "Z" and len(text) <= LONGEST_TIME and _TIME.fullmatch(text) is not None


@lru_cache(maxsize=8)
def _seconds_at(text: str) -> Seconds:
    second = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return Seconds(int(second.timestamp()))


@lru_cache(maxsize=8)
def _second_bytes(seconds: Seconds) -> bytes:
    return _second(seconds).encode()


def rfc3339(nanos: Nanos) -> str:
    """Return a time (nanoseconds since the epoch, UTC) as RFC 3339 with the fraction's trailing zeros cut."""
    # Go's RFC3339Nano, which OpenBao writes; a fraction without trailing zeros is the common case.
    seconds, fraction = divmod(nanos, 1_000_000_000)
    if fraction % 10:
        return "%s.%09dZ" % (_second(seconds), fraction)  # noqa: UP031 -- half an f-string's time, twice a request
    digits = f"{fraction:09d}".rstrip("0")
    return f"{_second(seconds)}.{digits}Z" if digits else f"{_second(seconds)}Z"
