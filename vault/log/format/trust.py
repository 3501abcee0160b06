# SPDX-License-Identifier: EUPL-1.2
"""What whoever verifies a log believes: the keys of its server, of witnesses, and checkpoints that were kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import msgspec

from vault.log.format.checkpoint import BadCheckpoint, Checkpoint, parse_checkpoint
from vault.log.format.finding import Finding, Kind
from vault.log.format.note import BadNote, UnknownSigner, VerifiedSignature, parse_note, verify_note
from vault.log.format.note_key import BadName, BadSignature, KeyKind, Verifier
from vault.log.format.segment import LogId


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """Keys that sign checkpoints.

    A server signs each of its logs under a name of its own, `<origin>/<log>`: a key is taken under the name of any of
    them, or under the origin. Without keys no signature is verified. A checkpoint that `quorum` witnesses have cosigned
    is as good as one that was kept elsewhere; with 0 none is.
    """

    keys: tuple[Verifier, ...] = ()
    witnesses: tuple[Verifier, ...] = ()
    quorum: int = 0

    @property
    def named_logs(self) -> set[str]:
        """The logs that keys have in their names: whoever gives such a key speaks of that log."""
        return {
            log for key in self.keys if (log := key.name.removeprefix(f"{server_of(key.name)}/")) != key.name
        }

    def verifiers(self, log: str) -> list[Verifier]:
        """Return the keys of the server, under the name that it has for a log."""
        return [key.under(f"{server_of(key.name)}/{log}") for key in self.keys]


class KnownCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint, and why it counts: it was kept elsewhere, a known key signed it, or witnesses have."""

    size: int
    root: bytes
    note: str
    held: bool
    signed: bool
    witnessed: bool = False

    @property
    def trusted(self) -> bool:
        """Whether whoever has the files and the key could not have made it afterwards."""
        return self.held or self.witnessed


class Opener:
    """Reads the checkpoints of one log."""

    def __init__(self, log: str, trust: Trust) -> None:
        self._own = trust.verifiers(log)
        self._verifiers = [*self._own, *trust.witnesses]
        self._log, self._quorum = log, trust.quorum

    def open(self, raw: bytes, *, held: bool) -> KnownCheckpoint:
        """Return what a note says. Raises `ValueError`, whose words say why it does not count."""
        note = parse_note(raw)
        checkpoint = parse_checkpoint(note.text)
        if log_of(checkpoint) != self._log:
            raise BadCheckpoint("it is another log's")
        signatures = verify_note(note, self._verifiers) if self._own else []
        names = {one.verifier.name for one in signatures if one.verifier.kind is not KeyKind.COSIGNATURE}
        if self._own and checkpoint.origin not in names:
            raise UnknownSigner("no known signature")
        return KnownCheckpoint(
            size=checkpoint.size,
            root=checkpoint.root,
            note=raw.decode(),
            held=held,
            signed=bool(signatures),
            witnessed=0 < self._quorum <= _witnesses(signatures),
        )


def log_of(checkpoint: Checkpoint) -> str:
    """Return the log that a checkpoint is of: the end of its origin."""
    return checkpoint.origin.rpartition("/")[2]


class HeldCheckpoints:
    """Checkpoints that were kept elsewhere, by log and in the order of their sizes, and what is wrong with some."""

    def __init__(self, notes: Iterable[bytes], trust: Trust) -> None:
        self.by_log: dict[str, list[KnownCheckpoint]] = {}
        self.findings: list[Finding] = []
        openers: dict[str, Opener] = {}
        for raw in notes:
            log = ""
            try:
                log = log_of(parse_checkpoint(parse_note(raw).text))
                opener = openers.get(log) or openers.setdefault(log, Opener(log, trust))
                self.by_log.setdefault(log, []).append(opener.open(raw, held=True))
            except (BadNote, BadCheckpoint, BadName, BadSignature, UnknownSigner) as problem:
                self.findings.append(
                    Finding(kind=Kind.CHECKPOINT, log=log, words=f"a held checkpoint: {problem}")
                )
        for log, held in self.by_log.items():
            held.sort(key=lambda one: (one.size, one.root))
            self.findings += [
                fraud(log, one, other)
                for one, other in pairwise(held)
                if one.size == other.size and one.root != other.root and one.signed and other.signed
            ]


def fraud(log: str, one: KnownCheckpoint, other: KnownCheckpoint) -> Finding:
    """Return that two checkpoints disagree that the log's key has signed; `one` is not the larger one."""
    if one.size == other.size:
        words = f"two checkpoints of {one.size} records disagree"
    else:
        words = f"the log of the checkpoint of {other.size} records does not begin with that of {one.size}"
    return Finding(
        kind=Kind.FRAUD,
        log=log,
        words=f"{words}, and a key of the log has signed both: proof of fraud",
        notes=(one.note, other.note),
    )


def server_of(name: str) -> str:
    """Return the name of a server's key, or of a log of it, without the log that it may end in."""
    origin, _, last = name.rpartition("/")
    try:
        LogId.parse(last)
    except ValueError:
        return name
    return origin


def _witnesses(signatures: Iterable[VerifiedSignature]) -> int:
    return len({one.verifier.public for one in signatures if one.verifier.kind is KeyKind.COSIGNATURE})
