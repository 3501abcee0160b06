# SPDX-License-Identifier: Apache-2.0
"""Reading the log as its tests do: who may, what is found, and what follows a number."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from esa_conformance.areas.log.merkle import Proof, proof_of
from esa_conformance.binding.client import Client
from esa_conformance.errors import Missed, PreconditionFailed
from esa_conformance.evidence.notes import Checkpoint, checkpoints_of
from esa_conformance.run.trial import Trial

RECORDS: Final = "sys/log/records"
LINES: Final = {"Accept": "application/x-ndjson"}
NO_LINES: Final = {"Accept": "application/json, application/x-ndjson;q=0"}
Record = Mapping[str, Any]


def reader_of(t: Trial) -> Client:
    """Who may read the log."""
    reader = t.caller({"sys/log/*": ["read", "list"]}).client
    t.served(reader.send("GET", RECORDS, query={"limit": 1}).ok, "records can be read")
    return reader


def reader_in(t: Trial, namespace: str) -> Client:
    """Who may read the log of one tenant or, in no namespace, all of it."""
    name, _ = t.state.name("policy", namespace=namespace)
    within = t.admin.within(namespace)
    t.done(within.write_policy(name, {"sys/log/*": ["read", "list", "update"]}), "a policy is written")
    label, number = t.state.name("token", namespace=namespace)
    given = within.create_token(policies=[name], ttl="10m", display_name=label)
    t.done(given, "a credential is made")
    if t.state.journal is not None:
        t.state.journal.made_token(number, given.accessor)
    reader = within.using(given.token)
    t.served(reader.send("GET", RECORDS, query={"limit": 1}).ok, "records can be read there")
    return reader


def search(reader: Client, **filters: object) -> Sequence[Record]:
    """Records that a search finds; none where it is refused."""
    found = reader.send("GET", RECORDS, query=filters).answer.member("data", "records")
    return found if isinstance(found, list) else []


def outcomes_of(t: Trial, reader: Client, path: str, count: int = 1) -> Sequence[Record]:
    """The outcomes of requests about a secret, once as many as are waited for can be found."""
    where = reader.where
    place = f"{t.state.namespace}/{where.mount}".lstrip("/")
    until = time.monotonic() + t.state.settle_s
    while True:
        records = search(reader, resource=f"{place}/{where.prefix}{path}", limit=50)
        outcomes = [one for one in records if one.get("phase") != "attempt"]
        if len(outcomes) >= count:
            return outcomes
        if time.monotonic() > until:
            t.must(False, "a request that was answered is found in the log")
        time.sleep(0.2)


def newest(t: Trial, reader: Client) -> tuple[str, int, int]:
    """A log that is written, the number of a record of it, and by which number it is followed."""
    path = t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    (record,) = outcomes_of(t, reader, path)
    log, seq = record.get("log"), record.get("seq")
    t.must(isinstance(log, str) and isinstance(seq, int), "a record has its log and its number")
    return str(log), int(str(seq)), number_of(reader, record)


def number_of(reader: Client, record: Record) -> int:
    """The number without gap: of the log or, for who sees one tenant, the tenant's own."""
    return int(record.get("tenant_seq" if reader.namespace else "seq", -1))


def followed(reader: Client, log: str, after: int, limit: int) -> tuple[Sequence[Record], object]:
    """The records that follow a number, and what the next page is to follow."""
    answer = reader.send("GET", RECORDS, query={"log": log, "after": after, "limit": limit}).answer
    found = answer.member("data", "records")
    return (found if isinstance(found, list) else []), answer.member("data", "next")


def proof_for(t: Trial, reader: Client, log: str, seq: int) -> Proof:
    """The proof of a record, once a checkpoint covers it."""
    return read_proof(proof_text(t, reader, log, seq))


def read_proof(text: str) -> Proof:
    """A proof that was given, which has to be written as C2SP has it."""
    found = proof_of(text)
    if found is None:
        raise Missed("a proof is written as C2SP has it")
    return found


def proof_text(t: Trial, reader: Client, log: str, seq: int) -> str:
    """The proof of a record as it is given, once a checkpoint covers it."""
    until = time.monotonic() + t.state.settle_s
    while time.monotonic() < until:
        reply = reader.send("GET", f"{RECORDS}/{log}/{seq}/proof")
        if reply.ok:
            return reply.answer.body.decode("utf-8", "replace")
        time.sleep(0.3)
    t.served(False, "a record has a proof")
    raise PreconditionFailed("a record has a proof")


def checkpoint_over(t: Trial, reader: Client, log: str, size: int, within_s: float) -> Checkpoint:
    """The newest checkpoint of a log, once it covers `size` records."""
    until = time.monotonic() + within_s
    while True:
        reply = reader.send("GET", f"sys/log/checkpoints/{log}")
        t.served(reply.ok or reply.absent, "checkpoints are given")
        notes = checkpoints_of(reply.answer.body.decode("utf-8", "replace")) if reply.ok else []
        if notes and notes[0].size >= size:
            return notes[0]
        if time.monotonic() > until:
            raise Missed("a checkpoint covers records within the time that is declared")
        time.sleep(0.2)
