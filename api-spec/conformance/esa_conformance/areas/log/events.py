# SPDX-License-Identifier: Apache-2.0
"""What records hold beyond requests: times, changes of rights, the life of the server; and what no tenant sees of another."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from esa_conformance.areas.log.reading import (
    LINES,
    RECORDS,
    Record,
    followed,
    newest,
    outcomes_of,
    reader_in,
    reader_of,
    search,
)
from esa_conformance.binding.client import Client
from esa_conformance.decoding import json_of
from esa_conformance.evidence.records import moment
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_NEEDS: Final = ("kv", "admin")
_MOST_BYTES: Final = 65_535
_MANY: Final = 400
"""Members of a large secret: what servers take that bound the entries of an object."""
_LONG: Final = 60_000
"""Characters of a long value."""
_BEGINNING: Final = ("esa.server.start", "esa.seal.init")
"""Events of a server's first moments."""


@TESTS.test("ESA-LOG-008", feature="sequence", needs=_NEEDS)
def times_do_not_go_back(t: Trial) -> None:
    """In one log no time of appending is before that of the record before, whoever asks at the same time."""
    reader = reader_of(t)
    log, _, first = newest(t, reader)
    paths = [t.secret() for _ in range(8)]
    t.together(8, lambda i: t.kv.put(paths[i], t.value()))
    _, _, last = newest(t, reader)
    records, _ = followed(reader, log, first, max(last - first, 1))
    t.need(len(records) > 8, "records are followed")
    times = [moment(str(one.get("observed_timestamp"))) for one in records]
    t.must(times == sorted(times), "times of appending do not go back")


@TESTS.test("ESA-LOG-010", feature="lifecycle", cls="disruptive", needs=("kv", "admin", "seal_key"))
def life_of_the_server_is_recorded(t: Trial) -> None:
    """Initialisation, start, unsealing and sealing are recorded. A stop is not looked for: nobody can ask for one."""
    reader = reader_in(t, "")
    log, _, last = newest(t, reader)
    with t.sealed():
        t.equal(t.nobody.within("").health().answer.member("sealed"), True, "health tells that it is sealed")
    newest(t, reader)
    seen = {str(one.get("event_name")) for one in followed(reader, log, last, 200)[0]}
    t.must(bool(seen & {"esa.seal.seal", "esa.seal.closed"}), "sealing is recorded")
    t.must(bool(seen & {"esa.seal.unseal", "esa.seal.opened"}), "unsealing is recorded")
    for event in _BEGINNING:
        found = search(reader, event=event, limit=1, **{"from": "2000-01-01T00:00:00Z"})
        t.must(bool(found), "start and initialisation are recorded")


@TESTS.test("ESA-LOG-011", feature="lifecycle", needs=_NEEDS)
def changed_rights_are_events(t: Trial) -> None:
    """A change of rights is an event of its own that names old and new, and no change names two that are alike."""
    reader = reader_of(t)
    name = t.policy({"none": ["read"]})
    t.done(t.admin.write_policy(name, {"none": ["read", "list"]}), "a policy is changed")
    t.done(t.admin.remove_policy(name), "a policy is removed")
    written = _changes(t, reader, name, "esa.policy.write", 2)
    removed = _changes(t, reader, name, "esa.policy.delete", 1)
    made, changed = written
    t.must(made[0] is None and made[1] is not None, "a new right names what is new")
    t.must(changed[0] == made[1], "a change names what was there before")
    t.must(changed[1] not in {None, changed[0]}, "a change names what is new")
    t.must(removed[0][0] == changed[1] and removed[0][1] is None, "a removal names what was there")


def _changes(t: Trial, reader: Client, policy: str, event: str, count: int) -> list[tuple[Any, Any]]:
    """Old and new of each change of a policy, the oldest first, once as many are recorded as are waited for."""
    place = f"{reader.namespace}/sys/policies/acl/{policy}".lstrip("/")
    until = time.monotonic() + t.state.settle_s
    while True:
        found = [
            one
            for one in search(reader, resource=place, event=event, order="asc", limit=50)
            if one.get("phase") == "outcome" and one.get("outcome") == "success"
        ]
        if len(found) >= count or time.monotonic() > until:
            break
        time.sleep(0.2)
    t.must(len(found) == count, "each change of rights is an event of its own")
    told = [(one.get("fields") or {}).get("changed") or {} for one in found]
    return [(one.get("old"), one.get("new")) for one in told]


@TESTS.test("ESA-LOG-012", feature="record", needs=_NEEDS)
def large_request_has_a_whole_record(t: Trial) -> None:
    """The record of a large request fits, is whole, and tells how much stands for how much."""
    reader = reader_of(t)
    many, long = t.secret(), t.secret()
    t.done(t.kv.put(many, {f"member-{i}": t.text() for i in range(_MANY)}), "a large secret is written")
    t.done(t.kv.put(long, {"text": t.text() + "x" * _LONG}), "a long secret is written")
    told = [_line_of(t, reader, path) for path in (many, long)]
    t.must(all(len(line) <= _MOST_BYTES for line in told), "a record fits in 65,535 bytes")
    first, second = (json_of(line) for line in told)
    t.must(_values_in(first) >= _MANY, "members that are not there are counted")
    t.must(_sum_of(second, "$size") >= _LONG, "the size of a long value is told")


def _values_in(record: Record) -> int:
    """How many values a record has of a request's data: hashed or typed ones, and those that are only counted."""
    request = (record.get("fields") or {}).get("request")
    return _sum_of(request, "$omitted") + _count_of(request, frozenset({"$h", "$t"}))


def _count_of(value: object, names: frozenset[str]) -> int:
    """How many members of these names there are in a JSON value."""
    if isinstance(value, dict):
        return sum((key in names) + _count_of(one, names) for key, one in value.items())
    return sum(_count_of(one, names) for one in value) if isinstance(value, list) else 0


def _line_of(t: Trial, reader: Client, path: str) -> bytes:
    """The record of the last request about a secret, as it stands in the log."""
    record = outcomes_of(t, reader, path)[0]
    target = f"{RECORDS}/{record.get('log')}/{record.get('seq')}"
    lines = reader.send("GET", target, headers=LINES).answer.body.splitlines()
    t.need(bool(lines), "a record is given as it stands in the log")
    return lines[0]


def _sum_of(value: object, name: str) -> int:
    """The sum of all members of this name in a JSON value."""
    if isinstance(value, dict):
        return sum(
            one if key == name and isinstance(one, int) else _sum_of(one, name) for key, one in value.items()
        )
    return sum(_sum_of(one, name) for one in value) if isinstance(value, list) else 0


@TESTS.test("ESA-LOG-012", feature="record", needs=_NEEDS)
def records_are_of_the_schema_that_is_told(t: Trial) -> None:
    """The schema of records is given, and each record has the members that it needs, and names it."""
    reader = reader_of(t)
    reply = reader.send("GET", "sys/log/schema")
    t.is_so(reply, reply.ok, "the schema of records is given")
    schema = reply.answer.json
    t.must(
        isinstance(schema, dict) and isinstance(schema.get("required"), list), "it says what a record needs"
    )
    t.must(
        {"seq", "prev_hash", "event_name", "phase"} <= {*schema["required"]},
        "a record needs number, hash and event",
    )
    log, _, last = newest(t, reader)
    records, _ = followed(reader, log, max(last - 30, -1), 30)
    t.need(bool(records), "records are followed")
    for one in records:
        t.must({*schema["required"]} <= one.keys(), "a record has all that it needs")
        t.equal(one.get("schema"), schema.get("$id"), "a record names its schema")


@TESTS.test("ESA-LOG-005", feature="sequence", needs=_NEEDS)
def segments_follow_each_other(t: Trial) -> None:
    """The files of a log are listed from the oldest on, each beginning where the one before ended."""
    reader = reader_in(t, "")
    log, seq, _ = newest(t, reader)
    reply = reader.send("GET", f"sys/log/segments/{log}")
    t.is_so(reply, reply.ok, "the files of a log are listed")
    found = reply.answer.member("data", "segments")
    t.must(isinstance(found, list) and bool(found), "a log that is written has a file")
    t.must(all(one.get("closed") for one in found[:-1]), "only the last one is written")
    for one, following in pairwise(found):
        t.equal(following.get("first"), one.get("last", 0) + 1, "a file begins where the one before ended")
    newest_file = found[-1]
    t.must(newest_file.get("first", seq + 1) <= seq, "the last one has the newest record")
    t.must(not newest_file.get("closed") or newest_file.get("last", -1) >= seq, "no file ends before it")


@TESTS.test("ESA-LOG-025", feature="query", needs=_NEEDS)
def tenant_sees_nothing_of_another(t: Trial) -> None:
    """Who reads the log of one tenant learns no value, name or path of another's, whatever they ask for."""
    own, other = t.new_namespace(), t.new_namespace()
    reader = reader_in(t, own)
    name = _acts_in(t, other)
    asked = list(_answers(reader, other, name))
    t.must(not any(name.encode() in body for body in asked), "no name or path of another tenant is told")
    (record,) = outcomes_of(t, reader_of(t), _written(t))
    log, seq = record.get("log"), record.get("seq")
    for target in (f"{RECORDS}/{log}/{seq}", f"{RECORDS}/{log}/{seq}/proof"):
        reply = reader.send("GET", target)
        t.is_so(reply, not reply.ok, "no record of another tenant is given by its number")


def _written(t: Trial) -> str:
    path = t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    return path


def _acts_in(t: Trial, namespace: str) -> str:
    """Write a policy in a namespace: its name, which is then in the log of that tenant."""
    name, _ = t.state.name("policy", namespace=namespace)
    t.done(t.admin.within(namespace).write_policy(name, {"none": ["read"]}), "a policy is written")
    reader = reader_in(t, namespace)
    until = time.monotonic() + t.state.settle_s
    while not search(reader, resource=f"{namespace}/sys/policies/acl/{name}", limit=1):
        t.need(time.monotonic() < until, "a tenant finds what happened in its own namespace")
        time.sleep(0.2)
    return name


def _answers(reader: Client, other: str, name: str) -> Iterator[bytes]:
    """What the log answers to a reader who looks for another tenant's records in every way there is."""
    policy = f"{other}/sys/policies/acl/{name}"
    for filters in ({}, {"event": "esa.policy.write"}, {"resource": policy}, {"tenant": other}):
        yield _listed(reader.send("GET", RECORDS, query={**filters, "limit": 200}).answer.json)
    yield _listed(reader.send("GET", RECORDS, query={"after": -1, "limit": 200}).answer.json)


def _listed(body: object) -> bytes:
    """The records of an answer: what was asked for may be repeated beside them."""
    data = body.get("data") if isinstance(body, dict) else None
    found: Sequence[object] = data.get("records") or () if isinstance(data, dict) else ()
    return json.dumps([one for one in found if not _is_own_search(one)]).encode()


def _is_own_search(record: object) -> bool:
    return isinstance(record, dict) and str(record.get("event_name", "")).startswith("esa.log.")


@TESTS.test("ESA-LOG-040", feature="retention", cls="disruptive", needs=_NEEDS)
def early_purge_is_refused(t: Trial) -> None:
    """A purge of records that are younger than the declared least time is refused, and they stay."""
    log = (t.state.discovery or {}).get("log")
    declared = log.get("retention") if isinstance(log, dict) else None
    t.served(isinstance(declared, dict) and bool(declared.get("min")), "a least time is declared")
    purger = t.caller({"sys/log/*": ["read", "update", "sudo"]}).client
    path = _written(t)
    reader = reader_of(t)
    (record,) = outcomes_of(t, reader, path)
    before = (datetime.now(UTC) - timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%SZ")
    reply = purger.send("POST", "sys/log/purge", {"before": before})
    t.is_so(reply, reply.malformed, "a purge before the least time is refused")
    kept = reader.send("GET", f"{RECORDS}/{record.get('log')}/{record.get('seq')}")
    t.is_so(kept, kept.ok, "what was not to be purged is there")
