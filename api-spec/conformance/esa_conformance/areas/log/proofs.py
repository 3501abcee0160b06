# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a log: that each continues the one before, that they are signed, and that witnesses have seen them."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from esa_conformance.areas.log.merkle import continues, leaf_hash, root_of
from esa_conformance.areas.log.reading import (
    RECORDS,
    checkpoint_over,
    newest,
    outcomes_of,
    proof_text,
    reader_in,
    reader_of,
)
from esa_conformance.errors import Missed
from esa_conformance.evidence.notes import Checkpoint, Key, checkpoints_in, checkpoints_of, key_of
from esa_conformance.evidence.openssl import is_good
from esa_conformance.evidence.records import Recorded, chains, records_of
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_NEEDS: Final = ("kv", "admin")
_RECEIPT: Final = re.compile(r'log="(?P<log>[!#-\[\]-~]+)", ?seq=(?P<seq>[0-9]{1,15})')


@TESTS.test("ESA-LOG-051", feature="proof", needs=_NEEDS)
def checkpoints_are_consistent(t: Trial) -> None:
    """While records come there is a new checkpoint within the declared seconds, and it continues the one before."""
    reader = reader_of(t)
    declared = _declared(t)
    log, seq, _ = newest(t, reader)
    old = checkpoint_over(t, reader, log, seq + 1, declared + t.state.settle_s)
    for _ in range(3):
        log, seq, _ = newest(t, reader)
    new = checkpoint_over(t, reader, log, seq + 1, declared + t.state.settle_s)
    t.must(new.size > old.size, "a checkpoint covers more records than the one before")
    t.equal(new.origin, old.origin, "checkpoints of one log have one origin")
    reply = reader.send("GET", f"sys/log/consistency/{log}", query={"from": old.size, "to": new.size})
    t.is_so(reply, reply.ok, "two checkpoints have a proof that they are consistent")
    path = _hashes(reply.answer.member("data", "hashes"))
    one, two = (old.size, old.root), (new.size, new.root)
    t.must(continues(one, two, path), "the newer checkpoint continues the older one")
    other = bytes([old.root[0] ^ 1]) + old.root[1:]
    t.must(not continues((old.size, other), two, path), "it continues no other one")


def _declared(t: Trial) -> float:
    """Seconds between checkpoints, which the server has to declare."""
    log = (t.state.discovery or {}).get("log")
    seconds = log.get("checkpoint_s") if isinstance(log, dict) else None
    t.served(isinstance(seconds, (int, float)), "the seconds between checkpoints are declared")
    return float(seconds or 0)


def _hashes(found: object) -> Sequence[bytes]:
    try:
        return [base64.b64decode(one, validate=True) for one in found] if isinstance(found, list) else []
    except (TypeError, ValueError):
        raise Missed("a proof of consistency is a list of hashes in base64") from None


@TESTS.test("ESA-LOG-050", feature="proof", needs=(*_NEEDS, "openssl"))
def proof_is_signed(t: Trial) -> None:
    """The checkpoint in the proof of a record has a signature by the log's key, and by it over nothing else."""
    reader = reader_of(t)
    log, seq, _ = newest(t, reader)
    _, _, note = proof_text(t, reader, log, seq).partition("\n\n")
    notes = checkpoints_of(note)
    t.must(len(notes) == 1, "a proof ends in a checkpoint")
    _must_be_signed(t, notes, _keys(t))


@TESTS.test(
    "ESA-LOG-051", feature="proof", cls="read-only", needs=("records", "checkpoints"), evidence="artefact"
)
def checkpoints_fit_the_records(t: Trial) -> None:
    """Each checkpoint that was handed over has the root of the records that it says it covers."""
    notes = _handed_over(t)
    logs = chains(records_of(t.state.artefacts.record_files()))
    t.served(bool(logs), "records have a number and the hash of the one before")
    leaves = {log: _leaves(records) for log, records in logs.items()}
    judged = [(note, found) for note in notes if (found := leaves.get(note.origin.rpartition("/")[2]))]
    t.need(bool(judged), "a checkpoint is of a log whose records were handed over, from the first on")
    for note, found in judged:
        t.must(note.size <= len(found), "the records that a checkpoint covers were handed over")
        t.must(root_of(found[: note.size]) == note.root, "a checkpoint has the root of its records")


@TESTS.test(
    "ESA-LOG-051", feature="proof", cls="read-only", needs=("checkpoints", "openssl"), evidence="artefact"
)
def checkpoints_are_signed(t: Trial) -> None:
    """Each checkpoint that was handed over has a signature by a key that was handed over too."""
    keys = [key for text in t.state.artefacts.checkpoint_keys if (key := key_of(text)) is not None]
    t.need(bool(keys), "keys of checkpoints were handed over")
    notes = _handed_over(t)
    step = max(1, len(notes) // 50)
    _must_be_signed(t, [*notes[::step], notes[-1]], keys)


def _handed_over(t: Trial) -> Sequence[Checkpoint]:
    """The checkpoints in the files, once there is one: a server that has just begun may have none yet."""
    until = time.monotonic() + t.state.settle_s
    while True:
        notes = [note for data in t.state.artefacts.checkpoint_files() for note in checkpoints_in(data)]
        if notes:
            return notes
        t.need(time.monotonic() < until, "checkpoints were handed over")
        time.sleep(0.2)


def _leaves(records: Sequence[Recorded]) -> Sequence[bytes]:
    """The leaves of a log that was handed over from its first record on; none of one that begins later."""
    whole = [one.members["seq"] for one in records] == list(range(len(records)))
    return [leaf_hash(one.line) for one in records] if whole else []


def _must_be_signed(t: Trial, notes: Sequence[Checkpoint], keys: Sequence[Key]) -> None:
    program = str(t.state.openssl)
    for note in notes:
        by = [(key, value) for key in keys for value in key.signed(note)]
        t.must(bool(by), "a checkpoint is signed by a known key")
        for key, value in by:
            t.must(is_good(program, key, note.text, value), "a signature of a checkpoint verifies")
            t.must(not is_good(program, key, note.text + b"x", value), "it verifies for nothing else")


def _keys(t: Trial) -> Sequence[Key]:
    """Keys of checkpoints: those that were handed over or, where there are none, those that the server tells."""
    told = t.state.artefacts.checkpoint_keys or _told_keys(t)
    keys = [key for text in told if (key := key_of(text)) is not None]
    t.need(bool(keys), "a key of checkpoints is known")
    return keys


def _told_keys(t: Trial) -> Sequence[str]:
    told = _status(t).get("keys")
    return [str(key) for key in told.values()] if isinstance(told, dict) else []


def _status(t: Trial) -> Mapping[str, Any]:
    """The state of the log, which only those may read who may read all of it."""
    reply = reader_in(t, "").send("GET", "sys/log/status")
    t.served(reply.ok, "the state of the log can be read")
    found = reply.answer.member("data")
    return found if isinstance(found, dict) else {}


@TESTS.test("ESA-LOG-053", feature="witness", needs=_NEEDS)
def witnessed_checkpoint_is_shown(t: Trial) -> None:
    """The newest checkpoint that has its quorum is shown, with the witnesses' signatures and its age."""
    shown = _status(t).get("witnessed")
    if not isinstance(shown, dict):
        t.served(False, "a log has witnesses")
        return
    quorum, age = shown.get("quorum"), shown.get("age")
    t.must(isinstance(quorum, int) and quorum > 0, "the quorum is told")
    t.must(isinstance(age, (int, float)) and age >= 0, "the age of the checkpoint is told")
    notes = checkpoints_of(str(shown.get("note", "")))
    t.must(len(notes) == 1, "a checkpoint is shown")
    names = {one.name for one in notes[0].signatures} - {notes[0].origin}
    t.must(len(names) >= int(str(quorum)), "the checkpoint has as many witnesses as the quorum needs")


@TESTS.test("ESA-LOG-013", feature="receipt", needs=_NEEDS)
def receipt_names_the_record(t: Trial) -> None:
    """An answer names the log and the number of its record."""
    reader = reader_of(t)
    for _ in range(3):
        path = t.secret()
        reply = t.done(t.kv.put(path, t.value()), "a secret is written")
        told = _RECEIPT.fullmatch(reply.answer.headers.get("log-receipt", ""))
        t.served(told is not None, "an answer names its record")
        (record,) = outcomes_of(t, reader, path)
        named = (told["log"], int(told["seq"])) if told is not None else ("", 0)
        t.equal((record.get("log"), record.get("seq")), named, "what it names is its record")
    refused = reader.using("nobody").send("GET", RECORDS, query={"limit": 1})
    t.served(not refused.ok, "a credential that nobody was given is refused")
    t.should("log-receipt" not in refused.answer.headers, "a stranger is told the number of a record")
