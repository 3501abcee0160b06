# SPDX-License-Identifier: EUPL-1.2
"""Signed notes (C2SP signed-note): a text, a blank line, and one line for each signature.

What a note says counts for nothing before a signature of a known key is verified: `open_note` does both.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from vault.log.format.note_key import KEY_ID_BYTES, BadName, Verifier, check_name

MOST_BYTES: Final = 128 << 10
"""Bytes of the largest note that is read: sixteen signatures of 5 kB, in base64, and a text."""
MOST_SIGNATURES: Final = 64

_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DASH: Final = "— "


class BadNote(ValueError):
    """A text is no signed note."""


class UnknownSigner(ValueError):
    """No signature of a note is of a key that is known."""


class Signature(msgspec.Struct, frozen=True):
    """One line below a note: who signed, by which key, and what the key made of the text."""

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        """Return the line, without its newline."""
        return f"{_DASH}{self.name} {binascii.b2a_base64(self.key_id + self.value, newline=False).decode()}"


class Note(msgspec.Struct, frozen=True):
    """A text, which ends in a newline, and its signatures, none of them verified."""

    text: str
    signatures: tuple[Signature, ...]


class Signer(msgspec.Struct, frozen=True):
    """A key that signs: how it is verified, and what makes its signature of some bytes."""

    verifier: Verifier
    sign: Callable[[bytes], bytes]


class VerifiedSignature(msgspec.Struct, frozen=True):
    """A signature that a known key has made. `time` is that of a cosignature, in seconds since 1970, else None."""

    verifier: Verifier
    time: int | None


def sign_note(text: str, signers: Iterable[Signer]) -> bytes:
    """Return a text with a signature of each signer. Raises `BadNote` for a text that a note can't have."""
    return format_note(
        text,
        [
            Signature(signer.verifier.name, signer.verifier.key_id, signer.sign(text.encode()))
            for signer in signers
        ],
    )


def format_note(text: str, signatures: Sequence[Signature]) -> bytes:
    """Return the bytes of a note. Raises `BadNote` for a text that a note can't have, or without a signature."""
    if not text.endswith("\n") or _CONTROL.search(text) or not signatures:
        raise BadNote("a note is a text that ends in a newline, with a signature at least")
    return "\n".join([text, *(one.line() for one in signatures), ""]).encode()


def parse_note(raw: bytes) -> Note:
    """Read a note. Raises `BadNote`."""
    if len(raw) > MOST_BYTES:
        raise BadNote(f"a note has at most {MOST_BYTES} bytes")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BadNote("a note is UTF-8") from None
    if _CONTROL.search(whole):
        raise BadNote("a note has no control characters but newlines")
    text, blank, below = whole.rpartition("\n\n")
    if not blank or not below.endswith("\n"):
        raise BadNote("a note is a text, a blank line, and lines with signatures")
    lines = below[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise BadNote(f"a note has at most {MOST_SIGNATURES} signatures")
    return Note(f"{text}\n", tuple(_signature(line) for line in lines))


def open_note(raw: bytes, verifiers: Iterable[Verifier]) -> tuple[Note, list[VerifiedSignature]]:
    """Read a note and verify its signatures of known keys; others are passed over.

    Raises `BadNote`; `BadSignature` where a known key has not made the signature that bears its name; `UnknownSigner`
    where no key is known.
    """
    note = parse_note(raw)
    return note, verify_note(note, verifiers)


def verify_note(note: Note, verifiers: Iterable[Verifier]) -> list[VerifiedSignature]:
    """Return the signatures of known keys, each key's once. Raises `BadSignature` and `UnknownSigner`."""
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    text = note.text.encode()
    verified = []
    for signature in note.signatures:
        verifier = known.get((signature.name, signature.key_id))
        if verifier is not None:
            verified.append(VerifiedSignature(verifier, verifier.verify(text, signature.value)))
            del known[signature.name, signature.key_id]
    if not verified:
        raise UnknownSigner("no known signature")
    return verified


def _signature(line: str) -> Signature:
    dash, name, encoded = line[: len(_DASH)], *line[len(_DASH) :].rpartition(" ")[::2]
    try:
        check_name(name)
        value = binascii.a2b_base64(encoded, strict_mode=True)
    except (BadName, ValueError):
        raise BadNote("a signature's line is a dash, the name of a key, and base64") from None
    if dash != _DASH or len(value) <= KEY_ID_BYTES:
        raise BadNote("a signature's line is a dash, the name of a key, and base64")
    return Signature(name, value[:KEY_ID_BYTES], value[KEY_ID_BYTES:])
