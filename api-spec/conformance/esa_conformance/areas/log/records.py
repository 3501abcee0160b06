# SPDX-License-Identifier: Apache-2.0
"""The log, where the server lets it be read: what is in it, that nothing is missing, and that it can be proven.

What a test of core finds by reading is provisional: so far one code base can be read, and others keep a file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Final

from esa_conformance.areas.log.merkle import leaf_hash
from esa_conformance.areas.log.reading import (
    LINES,
    NO_LINES,
    RECORDS,
    Record,
    followed,
    newest,
    number_of,
    outcomes_of,
    proof_for,
    reader_in,
    reader_of,
    search,
)
from esa_conformance.binding.client import JSON
from esa_conformance.decoding import json_of
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_NEEDS: Final = ("kv", "admin")


@TESTS.test("ESA-LOG-001", needs=_NEEDS, provisional=True)
def change_is_recorded(t: Trial) -> None:
    """An acknowledged change is in the log."""
    reader, path = reader_of(t), t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    (record,) = outcomes_of(t, reader, path)
    t.equal(record.get("outcome"), "success", "an acknowledged change is recorded as done")


@TESTS.test("ESA-LOG-002", feature="hash-all-scalars", needs=_NEEDS)
def no_scalar_is_in_clear(t: Trial) -> None:
    """Neither texts nor numbers nor names of a secret's members are in a record."""
    reader, path = reader_of(t), t.secret()
    name, text, number = t.text(), t.text(), 4_711_471_147_114_711
    t.done(t.kv.put(path, {name: text, "pin": number, "list": [{"deep": text}]}), "a secret is written")
    t.done(t.kv.get(path), "a secret is read")
    records = json.dumps(outcomes_of(t, reader, path, 2))
    for what, clear in (("text", text), ("name", name), ("number", str(number))):
        t.must(clear not in records, f"no {what} of a secret is in a record")


@TESTS.test("ESA-LOG-003", needs=_NEEDS, provisional=True)
def refusal_is_recorded(t: Trial) -> None:
    """A refused request is recorded, whether it had a credential or not."""
    reader, path = reader_of(t), t.secret()
    t.every([t.denied.get(path), t.nobody.get(path)], lambda r: not r.ok, "requests are refused")
    records = outcomes_of(t, reader, path, 2)
    t.must(all(one.get("outcome") != "success" for one in records), "a refusal is recorded as one")
    t.must(all(one.get("actor") and one.get("url.path") for one in records), "caller and path are recorded")


@TESTS.test("ESA-LOG-004", needs=_NEEDS, provisional=True)
def answer_and_record_share_an_id(t: Trial) -> None:
    """The answer carries the identifier that its record has."""
    reader, path = reader_of(t), t.secret()
    given = t.done(t.kv.put(path, t.value()), "a secret is written").answer.member("request_id")
    (record,) = outcomes_of(t, reader, path)
    t.equal(record.get("request.id"), given, "record and answer have one identifier")


@TESTS.test("ESA-LOG-007", feature="trace", needs=_NEEDS)
def trace_is_recorded(t: Trial) -> None:
    """The trace id of a valid traceparent is in the record."""
    reader, path = reader_of(t), t.secret()
    trace = "0af7651916cd43dd8448eb211c80319c"
    t.kv.get(path, headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    (record,) = outcomes_of(t, reader, path)
    t.served(record.get("trace_id") == trace, "the trace id is in the record")


@TESTS.test("ESA-LOG-009", needs=_NEEDS, provisional=True)
def record_says_who_and_what(t: Trial) -> None:
    """The record of a request has address, operation, path and outcome."""
    reader, path = reader_of(t), t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    (record,) = outcomes_of(t, reader, path)
    lacking = [
        name for name in ("client.address", "event_name", "url.path", "outcome") if not record.get(name)
    ]
    t.equal(lacking, [], "address, operation, path and outcome are recorded")


@TESTS.test("ESA-LOG-005", feature="sequence", needs=_NEEDS)
def numbers_have_no_gap(t: Trial) -> None:
    """Records of one log are numbered without gap, and times of appending do not go back."""
    reader = reader_of(t)
    for _ in range(4):
        log, _, last = newest(t, reader)
    records, _ = followed(reader, log, max(last - 40, -1), 40)
    t.need(len(records) > 3, "records are followed")
    numbers = [number_of(reader, record) for record in records]
    t.equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "numbers have no gap")
    times = [str(one.get("observed_timestamp")) for one in records]
    t.must(times == sorted(times), "times of appending do not go back")


@TESTS.test("ESA-LOG-006", feature="query", needs=_NEEDS)
def search_tells_how_far_it_is(t: Trial) -> None:
    """A search tells through which number it is complete, and is."""
    reader, path = reader_of(t), t.secret()
    for _ in range(3):
        t.done(t.kv.put(path, t.value()), "a secret is written")
    records = outcomes_of(t, reader, path, 3)
    told = reader.send("GET", RECORDS, query={"limit": 1}).answer.member("data", "indexed_through")
    t.must(isinstance(told, dict) and bool(told), "a search tells through which number it is complete")
    t.must(all(_complete_to(told, one) for one in records), "it is complete to there")


def _complete_to(told: Mapping[str, object], record: Record) -> bool:
    """Whether what is told covers a record: by log its number or, for who sees one tenant, the tenant's own."""
    through = told.get(str(record.get("log")))
    if isinstance(through, dict):
        return any(isinstance(one, int) and one >= record["tenant_seq"] for one in through.values())
    return isinstance(through, int) and through >= record["seq"]


@TESTS.test("ESA-LOG-006", feature="query", needs=_NEEDS)
def search_by_body_finds_the_same(t: Trial) -> None:
    """A search whose filters are in the body, where no proxy writes them down, finds what one in the address does."""
    path = t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    reader = reader_in(t, t.state.namespace)
    (record,) = outcomes_of(t, reader, path)
    filters = {"resource": record.get("resource", {}).get("id"), "limit": 5}
    body = reader.send("POST", f"{RECORDS}/search", {**filters, "resource": [filters["resource"]]})
    t.served(not body.not_served, "a search takes its filters in the body")
    found = body.answer.member("data", "records") or []
    t.equal([one for one in found if one.get("phase") != "attempt"], [record], "both find the same")


@TESTS.test("ESA-LOG-020", feature="query", needs=_NEEDS)
def following_gives_each_record_once(t: Trial) -> None:
    """Following gives every record once and in order; the same cursor gives the same next record."""
    reader = reader_of(t)
    log, _, last = newest(t, reader)
    begin = max(last - 12, -1)
    whole, _ = followed(reader, log, begin, last - begin)
    numbers = [number_of(reader, record) for record in whole]
    t.equal(numbers, list(range(begin + 1, last + 1)), "every record comes once, in order")
    after = begin
    seen: list[Record] = []
    while after < last:
        page, cursor = followed(reader, log, after, 5)
        again, _ = followed(reader, log, after, 5)
        t.equal(page[:1], again[:1], "the same cursor gives the same next record")
        t.must(isinstance(cursor, int) and cursor > after, "a cursor goes on")
        seen += page
        after = int(str(cursor))
    t.equal(seen[: len(whole)], whole, "pages hold what the whole does")


@TESTS.test("ESA-LOG-022", feature="query", needs=_NEEDS)
def unknown_filter_is_refused(t: Trial) -> None:
    """A filter that nobody knows is refused."""
    reply = reader_of(t).send("GET", RECORDS, query={"x-unknown": "1", "limit": 1})
    t.is_so(reply, reply.malformed, "an unknown filter is refused")


@TESTS.test("ESA-LOG-023", feature="query", needs=_NEEDS)
def stream_has_an_end(t: Trial) -> None:
    """An answer of lines ends with one that says so."""
    reader = reader_of(t)
    answer = reader.send("GET", RECORDS, query={"limit": 3}, headers=LINES).answer
    lines = answer.body.decode("utf-8", "replace").splitlines()
    t.served(len(lines) > 1 and answer.media_type == "application/x-ndjson", "records come as lines")
    t.must("$page" in json_of(lines[-1]), "the last line says that it is the last")
    t.must(all("$page" not in json_of(line) for line in lines[:-1]), "no other line says so")
    whole = reader.send("GET", RECORDS, query={"limit": 3}, headers=NO_LINES).answer
    t.must(whole.media_type == JSON, "who gives lines no weight gets none")


@TESTS.test("ESA-LOG-024", feature="query", needs=_NEEDS)
def reading_is_recorded(t: Trial) -> None:
    """Reading the log is recorded."""
    reader, path = reader_of(t), t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    asked = reader.send("GET", RECORDS, query={"resource": f"{reader.where.mount}/{path}", "limit": 1})
    until = time.monotonic() + t.state.settle_s
    given = asked.answer.member("request_id")
    while not any(
        one.get("request.id") == given
        for one in search(reader, resource=f"{reader.namespace}/{RECORDS}".lstrip("/"), limit=20)
    ):
        t.must(time.monotonic() < until, "reading the log is recorded")
        time.sleep(0.2)


@TESTS.test("ESA-LOG-050", feature="proof", needs=_NEEDS)
def record_is_proven(t: Trial) -> None:
    """The proof of a record leads from its line to the root of the checkpoint, and from no other line."""
    reader = reader_of(t)  # the checkpoint's signature is not looked at: the standard library has none
    log, seq, _ = newest(t, reader)
    lines = reader.send("GET", f"{RECORDS}/{log}/{seq}", headers=LINES).answer.body.splitlines()
    proof = proof_for(t, reader, log, seq)
    t.equal(proof.index, seq, "the proof is of this record")
    t.must(proof.leads_from(leaf_hash(lines[0])), "the proof leads from the record to the root")
    t.must(not proof.leads_from(leaf_hash(lines[0] + b" ")), "it leads from no other record")
