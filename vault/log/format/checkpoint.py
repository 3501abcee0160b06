# SPDX-License-Identifier: EUPL-1.2
"""Checkpoints (C2SP tlog-checkpoint): signed notes that say how large the tree of a log is, and its root."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from vault.log.format.note import Signer, VerifiedSignature, open_note, sign_note
from vault.log.format.note_key import Verifier
from vault.log.format.tree import LARGEST_SIZE, BadHash, decode_hash, encode_hash

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_LONGEST_ORIGIN: Final = 1024


class BadCheckpoint(ValueError):
    """The text of a note is not that of a checkpoint."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a log says of itself. `extensions` are further lines, which nobody but the log can judge."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """Return what is signed."""
        return "".join(
            f"{line}\n" for line in (self.origin, self.size, encode_hash(self.root), *self.extensions)
        )


class SignedCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint that known keys have signed, and the note that shows it."""

    checkpoint: Checkpoint
    signatures: list[VerifiedSignature]
    note: bytes


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a note. Raises `BadCheckpoint`."""
    origin, *lines = text.split("\n")
    if len(lines) < 3 or lines.pop() or not origin or "" in lines:
        raise BadCheckpoint("a checkpoint has three lines at least, and none of them is empty")
    if len(origin) > _LONGEST_ORIGIN or not _SIZE.fullmatch(lines[0]) or int(lines[0]) > LARGEST_SIZE:
        raise BadCheckpoint("a checkpoint's second line is a size, without leading zeros")
    try:
        root = decode_hash(lines[1])
    except BadHash:
        raise BadCheckpoint("a checkpoint's third line is a root in base64") from None
    return Checkpoint(origin=origin, size=int(lines[0]), root=root, extensions=tuple(lines[2:]))


def sign_checkpoint(checkpoint: Checkpoint, signers: Iterable[Signer]) -> bytes:
    """Return the note that says it, with a signature of each signer."""
    return sign_note(checkpoint.text(), signers)


def open_checkpoint(raw: bytes, verifiers: Iterable[Verifier]) -> SignedCheckpoint:
    """Read a checkpoint that one of these keys at least has signed.

    Raises `BadCheckpoint`, and what `open_note` does. Whether its origin is the right one is for whoever asks.
    """
    note, signatures = open_note(raw, verifiers)
    return SignedCheckpoint(parse_checkpoint(note.text), signatures, raw)
