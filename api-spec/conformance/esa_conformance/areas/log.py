# SPDX-License-Identifier: Apache-2.0
"""The log, where the server lets it be read: what is in it, that nothing is missing, and that it can be proven.

What a test of core finds by reading is provisional: so far one code base can be read, and others keep a file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from esa_conformance.areas.merkle import Proof, leaf_hash, proof_of
from esa_conformance.binding.client import Client
from esa_conformance.errors import PreconditionFailed
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_NEEDS: Final = ("kv", "admin")
_INDEXED_WITHIN_S: Final = 5.0
_LINES: Final = {"Accept": "application/x-ndjson"}
_RECORDS: Final = "sys/log/records"
Record = Mapping[str, Any]


def _reader(t: Trial) -> Client:
    """Who may read the log."""
    reader = t.caller({"sys/log/*": ["read", "list"]}).client
    t.served(reader.send("GET", _RECORDS, query={"limit": 1}).ok, "records can be read")
    return reader


def _search(reader: Client, **filters: object) -> Sequence[Record]:
    found = reader.send("GET", _RECORDS, query=filters).answer.member("data", "records")
    return found if isinstance(found, list) else []


def _records_of(t: Trial, reader: Client, path: str, count: int = 1) -> Sequence[Record]:
    """The outcomes of requests about a secret, once as many as are waited for can be found."""
    where = reader.where
    place = f"{reader.namespace}/{where.mount}".lstrip("/")
    until = time.monotonic() + _INDEXED_WITHIN_S
    while True:
        records = _search(reader, resource=f"{place}/{where.prefix}{path}", limit=50)
        outcomes = [one for one in records if one.get("phase") != "attempt"]
        if len(outcomes) >= count:
            return outcomes
        if time.monotonic() > until:
            t.must(False, "a request that was answered is found in the log")
        time.sleep(0.2)


@TESTS.test("ESA-LOG-001", needs=_NEEDS, provisional=True)
def change_is_recorded(t: Trial) -> None:
    """An acknowledged change is in the log."""
    reader, path = _reader(t), t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    (record,) = _records_of(t, reader, path)
    t.equal(record.get("outcome"), "success", "an acknowledged change is recorded as done")


@TESTS.test("ESA-LOG-002", feature="hash-all-scalars", needs=_NEEDS)
def no_scalar_is_in_clear(t: Trial) -> None:
    """Neither texts nor numbers nor names of a secret's members are in a record."""
    reader, path = _reader(t), t.secret()
    name, text, number = t.text(), t.text(), 4_711_471_147_114_711
    t.done(t.kv.put(path, {name: text, "pin": number, "list": [{"deep": text}]}), "a secret is written")
    t.done(t.kv.get(path), "a secret is read")
    records = json.dumps(_records_of(t, reader, path, 2))
    for what, clear in (("text", text), ("name", name), ("number", str(number))):
        t.must(clear not in records, f"no {what} of a secret is in a record")


@TESTS.test("ESA-LOG-003", needs=_NEEDS, provisional=True)
def refusal_is_recorded(t: Trial) -> None:
    """A refused request is recorded, whether it had a credential or not."""
    reader, path = _reader(t), t.secret()
    t.every([t.denied.get(path), t.nobody.get(path)], lambda r: not r.ok, "requests are refused")
    records = _records_of(t, reader, path, 2)
    t.must(all(one.get("outcome") != "success" for one in records), "a refusal is recorded as one")
    t.must(all(one.get("actor") and one.get("url.path") for one in records), "caller and path are recorded")


@TESTS.test("ESA-LOG-004", needs=_NEEDS, provisional=True)
def answer_and_record_share_an_id(t: Trial) -> None:
    """The answer carries the identifier that its record has."""
    reader, path = _reader(t), t.secret()
    given = t.done(t.kv.put(path, t.value()), "a secret is written").answer.member("request_id")
    (record,) = _records_of(t, reader, path)
    t.equal(record.get("request.id"), given, "record and answer have one identifier")


@TESTS.test("ESA-LOG-007", feature="trace", needs=_NEEDS)
def trace_is_recorded(t: Trial) -> None:
    """The trace id of a valid traceparent is in the record."""
    reader, path = _reader(t), t.secret()
    trace = "0af7651916cd43dd8448eb211c80319c"
    t.kv.get(path, headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    (record,) = _records_of(t, reader, path)
    t.served(record.get("trace_id") == trace, "the trace id is in the record")


@TESTS.test("ESA-LOG-009", needs=_NEEDS, provisional=True)
def record_says_who_and_what(t: Trial) -> None:
    """The record of a request has address, operation, path and outcome."""
    reader, path = _reader(t), t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    (record,) = _records_of(t, reader, path)
    lacking = [
        name for name in ("client.address", "event_name", "url.path", "outcome") if not record.get(name)
    ]
    t.equal(lacking, [], "address, operation, path and outcome are recorded")


def _newest(t: Trial, reader: Client) -> tuple[str, int, int]:
    """A log that is written, the number of a record of it, and by which number it is followed."""
    path = t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    (record,) = _records_of(t, reader, path)
    log, seq = record.get("log"), record.get("seq")
    t.must(isinstance(log, str) and isinstance(seq, int), "a record has its log and its number")
    return str(log), int(str(seq)), _number(t, record)


def _number(t: Trial, record: Record) -> int:
    """The number without gap: of the log or, for who sees one tenant, the tenant's own."""
    return int(record.get("tenant_seq" if t.state.namespace else "seq", -1))


def _followed(reader: Client, log: str, after: int, limit: int) -> tuple[Sequence[Record], object]:
    answer = reader.send("GET", _RECORDS, query={"log": log, "after": after, "limit": limit}).answer
    found = answer.member("data", "records")
    return (found if isinstance(found, list) else []), answer.member("data", "next")


@TESTS.test("ESA-LOG-005", feature="sequence", needs=_NEEDS)
def numbers_have_no_gap(t: Trial) -> None:
    """Records of one log are numbered without gap, and times of appending do not go back."""
    reader = _reader(t)
    for _ in range(4):
        log, _, last = _newest(t, reader)
    records, _ = _followed(reader, log, max(last - 40, -1), 40)
    t.need(len(records) > 3, "records are followed")
    numbers = [_number(t, record) for record in records]
    t.equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "numbers have no gap")
    times = [str(one.get("observed_timestamp")) for one in records]
    t.must(times == sorted(times), "times of appending do not go back")


@TESTS.test("ESA-LOG-006", feature="query", needs=_NEEDS)
def search_tells_how_far_it_is(t: Trial) -> None:
    """A search tells through which number it is complete, and is."""
    reader, path = _reader(t), t.secret()
    for _ in range(3):
        t.done(t.kv.put(path, t.value()), "a secret is written")
    records = _records_of(t, reader, path, 3)
    told = reader.send("GET", _RECORDS, query={"limit": 1}).answer.member("data", "indexed_through")
    t.must(isinstance(told, dict) and bool(told), "a search tells through which number it is complete")
    t.must(all(_complete_to(told, one) for one in records), "it is complete to there")


def _complete_to(told: Mapping[str, object], record: Record) -> bool:
    """Whether what is told covers a record: by log its number or, for who sees one tenant, the tenant's own."""
    through = told.get(str(record.get("log")))
    if isinstance(through, dict):
        return any(isinstance(one, int) and one >= record["tenant_seq"] for one in through.values())
    return isinstance(through, int) and through >= record["seq"]


@TESTS.test("ESA-LOG-020", feature="query", needs=_NEEDS)
def following_gives_each_record_once(t: Trial) -> None:
    """Following gives every record once and in order; the same cursor gives the same next record."""
    reader = _reader(t)
    log, _, last = _newest(t, reader)
    begin = max(last - 12, -1)
    whole, _ = _followed(reader, log, begin, last - begin)
    numbers = [_number(t, record) for record in whole]
    t.equal(numbers, list(range(begin + 1, last + 1)), "every record comes once, in order")
    after = begin
    seen: list[Record] = []
    while after < last:
        page, cursor = _followed(reader, log, after, 5)
        again, _ = _followed(reader, log, after, 5)
        t.equal(page[:1], again[:1], "the same cursor gives the same next record")
        t.must(isinstance(cursor, int) and cursor > after, "a cursor goes on")
        seen += page
        after = int(str(cursor))
    t.equal(seen[: len(whole)], whole, "pages hold what the whole does")


@TESTS.test("ESA-LOG-022", feature="query", needs=_NEEDS)
def unknown_filter_is_refused(t: Trial) -> None:
    """A filter that nobody knows is refused."""
    reply = _reader(t).send("GET", _RECORDS, query={"x-unknown": "1", "limit": 1})
    t.is_so(reply, reply.malformed, "an unknown filter is refused")


@TESTS.test("ESA-LOG-023", feature="query", needs=_NEEDS)
def stream_has_an_end(t: Trial) -> None:
    """An answer of lines ends with one that says so."""
    answer = _reader(t).send("GET", _RECORDS, query={"limit": 3}, headers=_LINES).answer
    lines = answer.body.decode("utf-8", "replace").splitlines()
    t.served(len(lines) > 1 and answer.media_type == "application/x-ndjson", "records come as lines")
    t.must("$page" in json.loads(lines[-1]), "the last line says that it is the last")
    t.must(all("$page" not in json.loads(line) for line in lines[:-1]), "no other line says so")


@TESTS.test("ESA-LOG-024", feature="query", needs=_NEEDS)
def reading_is_recorded(t: Trial) -> None:
    """Reading the log is recorded."""
    reader, path = _reader(t), t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    asked = reader.send("GET", _RECORDS, query={"resource": f"{reader.where.mount}/{path}", "limit": 1})
    until = time.monotonic() + _INDEXED_WITHIN_S
    given = asked.answer.member("request_id")
    while not any(
        one.get("request.id") == given
        for one in _search(reader, resource=f"{reader.namespace}/{_RECORDS}".lstrip("/"), limit=20)
    ):
        t.must(time.monotonic() < until, "reading the log is recorded")
        time.sleep(0.2)


@TESTS.test("ESA-LOG-050", feature="proof", needs=_NEEDS)
def record_is_proven(t: Trial) -> None:
    """The proof of a record leads from its line to the root of the checkpoint, and from no other line."""
    reader = _reader(t)  # the checkpoint's signature is not looked at: the standard library has none
    log, seq, _ = _newest(t, reader)
    lines = reader.send("GET", f"{_RECORDS}/{log}/{seq}", headers=_LINES).answer.body.splitlines()
    proof = _proof(t, reader, log, seq)
    t.equal(proof.index, seq, "the proof is of this record")
    t.must(proof.leads_from(leaf_hash(lines[0])), "the proof leads from the record to the root")
    t.must(not proof.leads_from(leaf_hash(lines[0] + b" ")), "it leads from no other record")


def _proof(t: Trial, reader: Client, log: str, seq: int) -> Proof:
    """The proof of a record, once a checkpoint covers it."""
    until = time.monotonic() + _INDEXED_WITHIN_S
    while time.monotonic() < until:
        reply = reader.send("GET", f"{_RECORDS}/{log}/{seq}/proof")
        if reply.ok:
            found = proof_of(reply.answer.body.decode("utf-8", "replace"))
            t.must(found is not None, "a proof is written as C2SP has it")
            if found is not None:
                return found
        time.sleep(0.3)
    t.served(False, "a record has a proof")
    raise PreconditionFailed("a record has a proof")
