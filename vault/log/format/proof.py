# SPDX-License-Identifier: EUPL-1.2
"""Proofs that a record is in a log, in one text that is verified offline (C2SP tlog-proof)."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from vault.log.format import note
from vault.log.format.checkpoint import SignedCheckpoint, open_checkpoint
from vault.log.format.note_key import Verifier
from vault.log.format.tree import BadHash, decode_hash, encode_hash
from vault.log.format.tree_proof import MOST_HASHES, BadProof, check_inclusion

_FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")
_MOST_EXTRA: Final = 64 << 10
_MOST_BYTES: Final = note.MOST_BYTES + 2 * _MOST_EXTRA
"""The longest proof that is read: a checkpoint, what was added in base64, and hashes."""


class LogProof(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record is, the hashes beside its way to the root, and the signed checkpoint with that root.

    Nobody has signed `extra`.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""

    def format(self) -> bytes:
        """Return the text that is handed on."""
        lines = [_FIRST_LINE]
        if self.extra:
            lines.append(f"extra {binascii.b2a_base64(self.extra, newline=False).decode()}")
        lines += [f"index {self.index}", *(encode_hash(value) for value in self.hashes), "", ""]
        return "\n".join(lines).encode() + self.checkpoint


def parse_proof(raw: bytes) -> LogProof:
    """Read a proof; nothing of it is verified. Raises `BadProof`."""
    if len(raw) > _MOST_BYTES:
        raise BadProof(f"a proof has at most {_MOST_BYTES} bytes")
    head, blank, checkpoint = raw.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
        extra = _extra(lines.pop(0)) if lines and lines[0].startswith("extra ") else b""
    except ValueError:
        raise BadProof(
            f"a proof begins with ASCII lines, its extra data in base64 and at most {_MOST_EXTRA} bytes"
        ) from None
    index = _INDEX.fullmatch(lines[0]) if lines else None
    if not blank or first != _FIRST_LINE or index is None:
        raise BadProof(f"a proof begins with the lines {_FIRST_LINE} and index")
    if len(lines) - 1 > MOST_HASHES:
        raise BadProof(f"a proof has at most {MOST_HASHES} hashes")
    try:
        hashes = tuple(decode_hash(line) for line in lines[1:])
    except BadHash:
        raise BadProof("a proof has a hash on each line after its index") from None
    return LogProof(index=int(index[1]), hashes=hashes, checkpoint=checkpoint, extra=extra)


def check_proof(proof: LogProof, leaf: bytes, origin: str, verifiers: Iterable[Verifier]) -> SignedCheckpoint:
    """Make sure that the log of this origin has `leaf` at the proof's index, by a checkpoint that known keys signed.

    How many witnesses are to have cosigned it is for whoever asks: the answer says who did. Raises `BadProof`, and
    what `open_checkpoint` does.
    """
    signed = open_checkpoint(proof.checkpoint, verifiers)
    if signed.checkpoint.origin != origin:
        raise BadProof("the checkpoint is another log's")
    check_inclusion(leaf, proof.index, signed.checkpoint.size, proof.hashes, signed.checkpoint.root)
    return signed


def _extra(line: str) -> bytes:
    value = binascii.a2b_base64(line.removeprefix("extra "), strict_mode=True)
    if not 0 < len(value) <= _MOST_EXTRA:
        raise ValueError("the extra data are empty or too long")
    return value
