# SPDX-License-Identifier: EUPL-1.2
"""What a log and a witness say to each other (C2SP tlog-witness): a checkpoint with proof, a cosignature, a size."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from vault.log.format import note
from vault.log.format.note import BadNote, Signature, UnknownSigner, parse_note, verify_note
from vault.log.format.note_key import BadSignature, Verifier
from vault.log.format.tree import LARGEST_SIZE, BadHash, decode_hash, encode_hash

PATH: Final = "/add-checkpoint"
SIZE_TYPE: Final = "text/x.tlog.size"
"""The content type of an answer that tells which size a witness has seen."""
MOST_HASHES: Final = 63
_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")
_HASH_LINE: Final = 45
LARGEST: Final = note.MOST_BYTES + MOST_HASHES * _HASH_LINE + 64
"""Bytes of the largest submission."""
LARGEST_ANSWER: Final = 1 << 16


class BadSubmission(ValueError):
    """Some bytes are no submission."""


class NoCosignature(ValueError):
    """An answer has no cosignature of the witness, or one that it has not made."""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint, as a signed note, and the proof that its tree begins with the `old` records that a witness has seen."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    def format(self) -> bytes:
        """Return the body of the request."""
        head = [f"old {self.old}", *(encode_hash(value) for value in self.proof), "", ""]
        return "\n".join(head).encode() + self.note


def parse_submission(raw: bytes) -> Submission:
    """Read the body of a request; nothing of it is verified. Raises `BadSubmission`."""
    if len(raw) > LARGEST:
        raise BadSubmission(f"a submission has at most {LARGEST} bytes")
    head, blank, checkpoint = raw.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise BadSubmission("a submission begins with ASCII lines") from None
    old = _OLD.fullmatch(first)
    if not blank or old is None or int(old[1]) > LARGEST_SIZE:
        raise BadSubmission(
            "a submission begins with a line that says old and a size, and a blank line ends its proof"
        )
    if len(lines) > MOST_HASHES:
        raise BadSubmission(f"a proof has at most {MOST_HASHES} hashes")
    try:
        proof = tuple(decode_hash(line) for line in lines)
    except BadHash:
        raise BadSubmission("a proof has a hash in base64 on each line") from None
    return Submission(old=int(old[1]), proof=proof, note=checkpoint)


def format_size(size: int) -> bytes:
    """Return the body of an answer that tells which size a witness has seen."""
    return b"%d\n" % size


def parse_size(raw: bytes) -> int | None:
    """Return the size that an answer tells; None where it tells none."""
    found = _SIZE.fullmatch(raw)
    return int(found[1]) if found is not None and int(found[1]) <= LARGEST_SIZE else None


def cosignature_in(answer: bytes, text: str, witness: Verifier) -> tuple[Signature, int]:
    """Return the cosignature in an answer about the checkpoint of this text, and its time in seconds since 1970.

    Those of other keys are passed over. Raises `NoCosignature`.
    """
    if len(answer) > LARGEST_ANSWER:
        raise NoCosignature(f"its answer has more than {LARGEST_ANSWER} bytes")
    try:
        answered = parse_note(text.encode() + b"\n" + answer)
        verified = verify_note(answered, [witness])[0]
    except BadNote:
        raise NoCosignature("its answer is no line with a signature") from None
    except UnknownSigner:
        raise NoCosignature("its answer has no cosignature of its key") from None
    except BadSignature:
        raise NoCosignature("its cosignature is not valid") from None
    if answered.text != text or verified.time is None:
        raise NoCosignature("its answer is no line with a signature")
    key = (witness.name, witness.key_id)
    return next(one for one in answered.signatures if (one.name, one.key_id) == key), verified.time
