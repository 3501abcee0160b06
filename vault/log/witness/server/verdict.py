# SPDX-License-Identifier: EUPL-1.2
"""What a witness does with a submission: each check of tlog-witness in its order, and then a cosignature.

One thread does it, one submission after another: what is compared with the memory is what it is replaced by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from vault.log.format.checkpoint import BadCheckpoint, Checkpoint, parse_checkpoint
from vault.log.format.note import (
    BadNote,
    Note,
    Signature,
    UnknownSigner,
    format_note,
    parse_note,
    verify_note,
)
from vault.log.format.note_key import BadKey, BadSignature, KeyKind, Verifier
from vault.log.format.tree import EMPTY_ROOT
from vault.log.format.tree_proof import BadProof, check_consistency
from vault.log.format.trust import server_of
from vault.log.witness.server.key_file import WitnessKey
from vault.log.witness.server.memory import Memory, TooManyLogs, name_of
from vault.log.witness.submission import (
    SIZE_TYPE,
    BadSubmission,
    Submission,
    format_size,
    parse_submission,
)

_TEXT: Final = "text/plain; charset=utf-8"


class WitnessAnswer(msgspec.Struct, frozen=True):
    """What a witness answers, and what of it an operator is told; nothing where a stranger asked."""

    status: int
    body: bytes
    content_type: str = _TEXT
    told: str = ""


class KnownLogs:
    """The keys of logs that a witness is there for.

    A key under the name of one log is that log's. Under the name of a server, which signs each of its logs under a name
    of its own, it is that of all of them.
    """

    def __init__(self, keys: Sequence[Verifier]) -> None:
        """Raises `BadKey` for the key of a witness."""
        if any(key.kind is KeyKind.COSIGNATURE for key in keys):
            raise BadKey("the key of a log is needed, and this is one of a witness")
        self._keys = tuple(keys)

    def keys(self, origin: str) -> list[Verifier]:
        """Return the keys that sign the log of this origin, under its name."""
        names = {origin, server_of(origin)}
        return [key.under(origin) for key in self._keys if key.name in names]


class Witness:
    """Judges submissions."""

    def __init__(self, key: WitnessKey, logs: KnownLogs, memory: Memory, clock: Callable[[], int]) -> None:
        """`clock` returns the seconds since 1970."""
        self._key, self._logs, self._memory, self._clock = key, logs, memory, clock

    def checkpoint(self, name: str) -> WitnessAnswer:
        """Return the newest checkpoint of a log that was cosigned; `name` is the SHA-256 of its origin."""
        note = self._memory.note(name)
        return _refusal(404, "nothing of this log was cosigned") if note is None else WitnessAnswer(200, note)

    def add_checkpoint(self, raw: bytes) -> WitnessAnswer:
        """Cosign a checkpoint that continues what was seen of its log, or say why not. Raises `OSError`."""
        try:
            asked = parse_submission(raw)
            note = parse_note(asked.note)
            checkpoint = parse_checkpoint(note.text)
        except (BadSubmission, BadNote, BadCheckpoint) as problem:
            return _refusal(400, str(problem))
        keys = self._logs.keys(checkpoint.origin)
        if not keys:
            return _refusal(404, "the log is unknown here")
        try:
            verify_note(note, keys)
        except (BadSignature, UnknownSigner) as problem:
            return _refusal(403, str(problem))
        return self._judged(asked, note, checkpoint, keys)

    def _judged(
        self, asked: Submission, note: Note, checkpoint: Checkpoint, keys: Sequence[Verifier]
    ) -> WitnessAnswer:
        """Go on with a checkpoint that a key of its log has signed."""
        if asked.old > checkpoint.size:
            return _refusal(400, "the old size is larger than that of the checkpoint")
        seen = self._memory.seen(checkpoint.origin)
        size = 0 if seen is None else seen.size
        if asked.old != size:
            return WitnessAnswer(409, format_size(size), SIZE_TYPE)
        try:
            _check_growth(asked, checkpoint, seen)
        except BadProof as problem:
            self._keep_fraud(seen, checkpoint, asked.note)
            told = f"{checkpoint.origin}: refused {checkpoint.size} records after {size}: {problem}"
            return WitnessAnswer(422, f"{problem}\n".encode(), told=told)
        return self._cosigned(note, checkpoint, keys)

    def _cosigned(self, note: Note, checkpoint: Checkpoint, keys: Sequence[Verifier]) -> WitnessAnswer:
        cosignature = Signature(
            self._key.verifier.name, self._key.verifier.key_id, self._key.cosign(note.text, self._clock())
        )
        own = {(key.name, key.key_id) for key in keys}
        lines = {
            (one.name, one.key_id): one for one in reversed(note.signatures)
        }  # the first of each was verified
        verified = [line for key, line in lines.items() if key in own]
        try:
            self._memory.keep(checkpoint, format_note(note.text, [*verified, cosignature]))
        except TooManyLogs:
            return _refusal(507, "the witness has no room for another log")
        told = f"{checkpoint.origin}: cosigned {checkpoint.size} records"
        return WitnessAnswer(200, f"{cosignature.line()}\n".encode(), told=told)

    def _keep_fraud(self, seen: Checkpoint | None, checkpoint: Checkpoint, note: bytes) -> None:
        """Keep what convicts the log: two of its checkpoints with one size and two roots."""
        before = self._memory.note(name_of(checkpoint.origin))
        if seen is None or before is None:
            return
        if seen.size == checkpoint.size and seen.root != checkpoint.root:
            self._memory.keep_fraud(checkpoint.origin, before + b"\n" + note)


def _check_growth(asked: Submission, checkpoint: Checkpoint, seen: Checkpoint | None) -> None:
    """Make sure that the tree of a checkpoint begins with what was seen. Raises `BadProof`."""
    if not checkpoint.size and checkpoint.root != EMPTY_ROOT:
        raise BadProof("a log without records has the root of nothing")
    root = EMPTY_ROOT if seen is None else seen.root
    check_consistency(asked.old, checkpoint.size, asked.proof, root, checkpoint.root)


def _refusal(status: int, text: str) -> WitnessAnswer:
    return WitnessAnswer(status, f"{text}\n".encode())
