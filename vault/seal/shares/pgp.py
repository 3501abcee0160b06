# SPDX-License-Identifier: EUPL-1.2
"""Encrypting shares and the root token to their holders' OpenPGP keys, through Sequoia.

A key arrives as base64 of a binary public key. What is encrypted is text: the hexadecimal form of a
share, or the token itself.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import pysequoia

from vault.seal.failure import SealRefusal
from vault.values.encoding import NotBase64, from_base64
from vault.values.times import Millis

_PARSE: Final = "error parsing given PGP key: "
_UNEXPECTED_END: Final = _PARSE + "unexpected EOF"
_PUBLIC_OR_SECRET_KEY: Final = (5, 6)
_USER_ID: Final = 13


class UnreadableKey(SealRefusal):
    """What was given is no public key."""


class Recipient:
    """One public key to encrypt to."""

    __slots__ = ("_cert", "_valid", "fingerprint")

    def __init__(self, cert: pysequoia.Cert, now: Millis) -> None:
        """Hold a parsed certificate as it is at `now` (ms). Sequoia's binding leaves this check to us."""
        expires = cert.expiration
        self._valid = not cert.is_revoked and (expires is None or expires.timestamp() * 1000 > now)
        self._cert = cert
        self.fingerprint = cert.fingerprint
        """Lowercase hexadecimal, as OpenBao prints it."""

    @classmethod
    def parse(cls, text: str, now: Millis) -> Recipient:
        """Read base64 of a binary public key at `now` (ms); raises `UnreadableKey`.

        The text is OpenBao's for what is cut short or no key at all; for a key that is whole but
        damaged it says so in our words.
        """
        try:
            data = from_base64(text)
        except NotBase64 as failure:
            raise UnreadableKey(f"error decoding given PGP key: {failure}") from None
        _check_packets(data)
        try:
            return cls(pysequoia.Cert.split_bytes(data)[0], now)
        except (RuntimeError, ValueError, IndexError):
            raise UnreadableKey(_PARSE + "openpgp: invalid data: not a usable public key") from None

    def encrypt(self, text: str) -> bytes:
        """Return the binary OpenPGP message of `text`; `SealRefusal` when it cannot be made.

        Expired, revoked and sign-only keys are refused, as OpenBao refuses them.
        """
        if self._valid:
            with suppress(RuntimeError):
                return pysequoia.encrypt(text.encode(), recipients=[self._cert], armor=False)
        key_id = self.fingerprint[-16:]
        raise SealRefusal(
            "error setting up encryption for PGP message: openpgp: invalid argument: cannot encrypt a "
            f"message to key id {key_id} because it has no valid encryption keys"
        )


def _check_packets(data: bytes) -> None:
    """Raise `UnreadableKey` unless `data` is a whole number of packets that can be a public key."""
    if not data:
        raise UnreadableKey(_PARSE + "EOF")
    tags = []
    at = 0
    while at < len(data):
        tag, at = _skip_packet(data, at)
        tags.append(tag)
    if tags[0] not in _PUBLIC_OR_SECRET_KEY:
        raise UnreadableKey(_PARSE + "openpgp: invalid data: first packet was not a public/private key")
    if _USER_ID not in tags:
        raise UnreadableKey(_PARSE + "openpgp: invalid data: v4 entity without any identities")


def _skip_packet(data: bytes, at: int) -> tuple[int, int]:
    """Return a packet's tag, and where the next one starts (RFC 9580, section 4.2)."""
    head = data[at]
    if not head & 0x80:
        raise UnreadableKey(_PARSE + "openpgp: invalid data: tag byte does not have MSB set")
    at += 1
    if not head & 0x40:
        kind = head & 3
        size = 0 if kind == 3 else 1 << kind
        length = len(data) - at if kind == 3 else int.from_bytes(data[at : at + size], "big")
        return head >> 2 & 15, _end(data, at, size, length)
    more = True
    while more:
        size, length, more = _new_length(data[at : at + 5])
        at = _end(data, at, size, length)
    return head & 63, at


def _new_length(data: bytes) -> tuple[int, int, bool]:
    """Return the size of a length field, the length it gives, and whether another part follows."""
    first = data[0] if data else 0
    if first < 192:
        return 1, first, False
    if first < 224:
        return 2, (first - 192 << 8) + int.from_bytes(data[1:2], "big") + 192, False
    if first < 255:
        return 1, 1 << (first & 31), True
    return 5, int.from_bytes(data[1:5], "big"), False


def _end(data: bytes, at: int, size: int, length: int) -> int:
    """Return the offset after a length field of `size` at `at` and a body of `length`."""
    if at + size + length > len(data):
        raise UnreadableKey(_UNEXPECTED_END)
    return at + size + length
