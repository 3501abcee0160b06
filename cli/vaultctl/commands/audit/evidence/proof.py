# SPDX-License-Identifier: EUPL-1.2
"""audit prove, and audit verify -proof: one record, and the proof that its log has it, in a file that others verify.

The file is a C2SP tlog-proof whose extra data are the record itself. Nobody has signed extra data; but the proof is of
their hash, so that another record there is found out.
"""

from __future__ import annotations

import os
import time

from vaultctl.commands.audit.evidence.trust import OfflineErrors, trust_of
from vaultctl.commands.audit.explained import explained
from vaultctl.commands.audit.pages import RECORDS, client_of, place_of, read_line
from vaultctl.commands.audit.words import no_names
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, ApiError, CommandError, UsageError
from vaultctl.invocation import ErrorPrefix
from vaultctl.text.json import as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from vault.log.format.checkpoint import SignedCheckpoint
    from vault.log.format.trust import Trust
    from vaultctl.http.client import Client
    from vaultctl.invocation import Invocation

_PATIENCE = 30
"""Seconds to wait for a checkpoint that covers a record, unless others are given."""
_LONGEST_FILE = 1 << 20
"""Bytes of a file that are read: no proof is longer."""


class _NotProven(Exception):
    """A file does not prove what it is to prove; the message says why."""


class _Proof:
    """A record that its log has, and the checkpoint that says so."""

    def __init__(self, record: Mapping[str, object], signed: SignedCheckpoint, witnesses: int) -> None:
        self.record, self.signed, self.witnesses = record, signed, witnesses


def prove(invocation: Invocation) -> int:
    """Write a record with its proof to a file, and the key that verifies it beside it."""
    place = place_of(invocation.args[0])
    path = _free(invocation)
    client = client_of(invocation)
    with OfflineErrors():
        from vault.log.format.proof import parse_proof
        from vault.log.format.tree_proof import BadProof

        trust = trust_of(invocation)
        line = read_line(client, place)
        text = _covered(client, place, invocation.seconds("timeout"))
        try:
            found = parse_proof(text)
        except BadProof as problem:
            raise CommandError(f"the server's proof cannot be read: {problem}", EXIT_REMOTE) from None
        raw = type(found)(
            index=found.index, hashes=found.hashes, checkpoint=found.checkpoint, extra=line
        ).format()
        keys = [key.vkey for key in trust.verifiers(place[0])] or _keys_of(client, place[0])
        proven = _checked_with(raw, keys, trust)
    _write(path, raw)
    if keys:
        _write(f"{path}.key", "".join(f"{key}\n" for key in keys).encode())
    return _tell_written(invocation, path, place, keys, proven)


def _free(invocation: Invocation) -> str:
    """The path of the file, where nothing is yet unless it may be replaced."""
    path = invocation.text("o")
    if not path:
        raise UsageError("-o is needed: the file that the proof goes to")
    for one in (path, f"{path}.key"):
        if os.path.lexists(one) and not invocation.truth("force"):
            raise CommandError(f"the file {one} is there already; -force replaces it")
    return path


def _covered(client: Client, place: tuple[str, int], patience: int | None) -> bytes:
    """The proof of a record, once a checkpoint covers it. ApiError where none does in time, or there is no such record."""
    path = f"{RECORDS}/{place[0]}/{place[1]}/proof"
    until = time.monotonic() + (_PATIENCE if patience is None else patience)
    with ErrorPrefix(f"Error reading {path}"):
        while True:
            answer = client.send("GET", path, accept_missing=True)
            if answer.status != 404:
                return answer.body
            later = answer.header("Retry-After")
            if not later or time.monotonic() >= until:
                client.send("GET", path)
            time.sleep(min(float(later), 5.0) if later.isdigit() else 1.0)


def _keys_of(client: Client, log: str) -> list[str]:
    """The keys of a log, as the server says; none where it does not say it to this reader."""
    try:
        answer = client.send("GET", "sys/log/status").json()
    except ApiError:
        return []
    key = as_map(as_map(answer.get("data")).get("keys")).get(log)
    return [key] if isinstance(key, str) and key else []


def _checked_with(raw: bytes, keys: list[str], trust: Trust) -> _Proof | None:
    """What a proof proves with the keys that there are; None without keys. CommandError where it proves nothing."""
    from vault.log.format.note_key import BadKey, BadName, Verifier

    if not keys:
        return None
    try:
        own = type(trust)(
            keys=tuple(map(Verifier.parse, keys)), witnesses=trust.witnesses, quorum=trust.quorum
        )
        return _check(raw, own)
    except (BadKey, BadName, _NotProven) as problem:
        raise CommandError(f"the server's proof does not prove it: {problem}", EXIT_REMOTE) from None


def _check(raw: bytes, trust: Trust) -> _Proof:
    """Make sure that the record of a file is in the log that it names. Raises `_NotProven`."""
    from vault.log.format.canonical import NotCanonical, decode_record
    from vault.log.format.checkpoint import BadCheckpoint, open_checkpoint
    from vault.log.format.note import BadNote, UnknownSigner
    from vault.log.format.note_key import BadName, BadSignature, KeyKind
    from vault.log.format.proof import check_proof, parse_proof
    from vault.log.format.tree import leaf_hash
    from vault.log.format.tree_proof import BadProof

    try:
        proof = parse_proof(raw)
        record = decode_record(proof.extra)
        own = trust.verifiers(str(record.get("log")))
        verifiers = [*own, *trust.witnesses]
        origin = open_checkpoint(proof.checkpoint, verifiers).checkpoint.origin
        signed = check_proof(proof, leaf_hash(proof.extra), origin, verifiers)
    except NotCanonical as problem:
        raise _NotProven(f"it holds no record: {problem}") from None
    except (BadProof, BadCheckpoint, BadNote, BadName, BadSignature, UnknownSigner) as problem:
        raise _NotProven(str(problem)) from None
    if record.get("seq") != proof.index:
        raise _NotProven(
            f"the record says that it is number {record.get('seq')}, and its place is {proof.index}"
        )
    signers = [one.verifier for one in signed.signatures if one.verifier.kind is not KeyKind.COSIGNATURE]
    if origin not in {signer.name for signer in signers} or origin not in {key.name for key in own}:
        raise _NotProven("no key that was given has signed the checkpoint for this log")
    seen = {one.verifier.public for one in signed.signatures if one.verifier.kind is KeyKind.COSIGNATURE}
    if len(seen) < trust.quorum:
        raise _NotProven(f"{len(seen)} of the {trust.quorum} witnesses have cosigned the checkpoint")
    return _Proof(record, signed, len(seen))


def verify_proof(invocation: Invocation) -> int:
    """Verify a file that `prove` wrote, and show the record; exit code 2 if it proves nothing."""
    if invocation.args:
        raise UsageError("-proof verifies one file; a log is verified without it")
    trust = trust_of(invocation)
    if not trust.keys:
        raise UsageError("-key is needed: the key of the server, which you have from elsewhere than the file")
    path = invocation.text("proof")
    try:
        with open(path, "rb") as file:
            raw = file.read(_LONGEST_FILE)
    except OSError as failure:
        raise CommandError(f"cannot read the file {path}: {failure.strerror}") from None
    try:
        proven = _check(raw, trust)
    except _NotProven as problem:
        return _tell_fault(invocation, str(problem))
    return _tell_proven(invocation, proven)


def _tell_proven(invocation: Invocation, proven: _Proof) -> int:
    from vaultctl.text.output import columns

    checkpoint = proven.signed.checkpoint
    if not invocation.tabular:
        about = {"origin": checkpoint.origin, "size": checkpoint.size, "witnesses": proven.witnesses}
        return invocation.print_value({"good": True, "record": proven.record, "checkpoint": about})
    rows = [*explained(proven.record, no_names), ("Proof", _words(proven))]
    invocation.say(columns([("Key", "Value"), *rows]))
    return EXIT_OK


def _words(proven: _Proof) -> str:
    checkpoint, number = proven.signed.checkpoint, proven.witnesses
    seen = f", cosigned by {number} witness{'es' if number > 1 else ''}" if number else ""
    return f"good: it is in the log {checkpoint.origin} of {checkpoint.size} records, which the key given has signed{seen}"


def _tell_fault(invocation: Invocation, problem: str) -> int:
    if invocation.tabular:
        invocation.say(f"Not proven: {problem}.")
    else:
        invocation.print_value({"good": False, "problem": problem})
    return EXIT_REMOTE


def _tell_written(
    invocation: Invocation, path: str, place: tuple[str, int], keys: list[str], proven: _Proof | None
) -> int:
    from vaultctl.text.output import columns

    size = proven.signed.checkpoint.size if proven else None
    if not invocation.tabular:
        found = {"record": f"{place[0]}:{place[1]}", "file": path, "keys": keys, "checkpoint_size": size}
        return invocation.print_value(found)
    rows = [("Record", f"{place[0]}:{place[1]}"), ("File", path), *(("Key", key) for key in keys)]
    rows.append(
        (
            "Proof",
            _words(proven) if proven else "not verified: the server does not tell you its key; give -key",
        )
    )
    invocation.say(columns([("Key", "Value"), *rows]))
    return EXIT_OK


def _write(path: str, content: bytes) -> None:
    """Write a file that its owner alone may read: a record tells who did what."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
    except OSError as failure:
        raise CommandError(f"cannot write the file {path}: {failure.strerror}") from None
