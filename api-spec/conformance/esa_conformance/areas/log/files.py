# SPDX-License-Identifier: Apache-2.0
"""The log as the operator hands it over: files in the form of this specification, or audit files of the dialect.

Whatever keeps a log has such files, so these tests count for the core; those by the API need a server that has one.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Final

from esa_conformance.areas.log.merkle import leaf_hash
from esa_conformance.binding.replies import Reply
from esa_conformance.evidence.records import Recorded, chains, moment, of_path, outcomes, records_of
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_NEEDS: Final = ("kv", "records")
_MOST_BYTES: Final = 65_535


def _records(t: Trial) -> list[Recorded]:
    return records_of(t.state.artefacts.record_files())


def _within(t: Trial, holds: Callable[[Sequence[Recorded]], bool], what: str) -> list[Recorded]:
    """All records, once `holds` is true of them: a file may be behind what was answered."""
    until = time.monotonic() + t.state.settle_s
    while not holds(found := _records(t)):
        t.must(time.monotonic() < until, what)
        time.sleep(0.2)
    return found


def _of_request(records: Sequence[Recorded], reply: Reply) -> list[Recorded]:
    given = reply.answer.member("request_id")
    return [one for one in records if given and one.request == given]


def _outcomes(records: Sequence[Recorded], path: str) -> list[Recorded]:
    return outcomes(of_path(records, path))


@TESTS.test("ESA-LOG-001", needs=_NEEDS, evidence="artefact")
def change_is_in_the_file_at_once(t: Trial) -> None:
    """When a change is answered its record is in the file."""
    for _ in range(3):
        reply = t.done(t.kv.put(t.secret(), t.value()), "a secret is written")
        t.must(bool(_of_request(_records(t), reply)), "the record of an acknowledged change is there")


@TESTS.test("ESA-LOG-002", needs=_NEEDS, evidence="artefact")
def file_has_no_secret(t: Trial) -> None:
    """No text of a secret and no credential is in the file; numbers and names of members should not be either."""
    path, name, text, number = t.secret(), t.text(), t.text(), 4_711_471_147_114_712
    t.done(t.kv.put(path, {"plain": text, name: number, "list": [{"deep": text}]}), "a secret is written")
    t.done(t.kv.get(path), "a secret is read")
    records = _within(t, lambda found: len(_outcomes(found, path)) >= 2, "both requests are recorded")
    lines = b"\n".join(one.line for one in of_path(records, path))
    for clear in (text, str(t.kv.token)):
        t.must(clear.encode() not in lines, "no text of a secret and no credential is in a record")
    t.should(str(number).encode() not in lines, "a number of a secret is in a record")
    t.should(name.encode() not in lines, "the name of a secret's member is in a record")


@TESTS.test("ESA-LOG-003", needs=("kv", "denied", "records"), evidence="artefact")
def refusals_are_in_the_file(t: Trial) -> None:
    """A refused request is in the file with caller, operation, path and outcome, whether it had a credential or not."""
    path = t.secret()
    for caller in (t.denied, t.nobody, t.nobody.using("s.AAAAAAAAAAAAAAAAAAAAAAAA")):
        reply = caller.get(path)
        t.is_so(reply, not reply.ok, "requests are refused")
    records = _within(t, lambda found: len(_outcomes(found, path)) >= 3, "each refusal is recorded")
    told = _outcomes(records, path)
    t.must(all(one.outcome == "refused" for one in told), "a refusal is recorded as one")
    t.must(all(one.caller and one.operation for one in told), "caller and operation are recorded")


@TESTS.test("ESA-LOG-004", needs=_NEEDS, evidence="artefact")
def records_share_the_answers_id(t: Trial) -> None:
    """What is recorded of one request has the identifier that its answer carries, and no other request has it."""
    replies = [t.done(t.kv.put(t.secret(), t.value()), "a secret is written") for _ in range(2)]
    ids = [str(reply.answer.member("request_id") or "") for reply in replies]
    t.must(all(ids) and ids[0] != ids[1], "each answer carries an identifier of its own")
    for reply in replies:
        records = _within(t, partial(_has_outcome, reply), "an outcome has the answer's id")
        t.equal(len({one.path for one in _of_request(records, reply)}), 1, "an identifier is of one request")


def _has_outcome(reply: Reply, records: Sequence[Recorded]) -> bool:
    return any(one.outcome for one in _of_request(records, reply))


@TESTS.test("ESA-LOG-008", needs=_NEEDS, evidence="artefact")
def records_stand_in_order(t: Trial) -> None:
    """Requests that were made one after the other stand so in the file, and their times should not go back."""
    paths = [t.secret() for _ in range(6)]
    for path in paths:
        t.done(t.kv.put(path, t.value()), "a secret is written")
    records = _within(t, lambda found: bool(_outcomes(found, paths[-1])), "requests are recorded")
    told = outcomes(one for one in records if any(one.path.endswith(path) for path in paths))
    t.must(
        all(one.path.endswith(path) for one, path in zip(told, paths, strict=False)), "records stand in order"
    )
    times = [moment(one.time) for one in told]
    t.must(all(whole for whole, _ in times), "each record has a time")
    t.should(times == sorted(times), "times of appending go back")


@TESTS.test("ESA-LOG-009", needs=_NEEDS, evidence="artefact")
def file_says_who_and_what(t: Trial) -> None:
    """Each record of a request has address, operation, path and outcome."""
    path = t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    t.done(t.kv.get(path), "a secret is read")
    records = _within(t, lambda found: len(_outcomes(found, path)) >= 2, "both requests are recorded")
    for one in of_path(records, path):
        t.must(bool(one.address and one.operation), "address and operation are recorded")
    t.must(all(one.outcome == "done" for one in _outcomes(records, path)), "the outcome is recorded")
    t.must(len({one.operation for one in _outcomes(records, path)}) == 2, "reading is told from writing")


@TESTS.test("ESA-WRP-001", feature="wrap", needs=_NEEDS, evidence="artefact")
def second_unwrapping_is_in_the_file(t: Trial) -> None:
    """That somebody tried to take a wrapped answer a second time is recorded."""
    path = t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    wrapped = t.wrapped(path)
    t.served(wrapped.wrapping_token != "", "an answer is wrapped")
    t.done(t.kv.unwrap(wrapped.wrapping_token), "a wrapped answer is taken")
    before = _refused_unwrappings(_records(t))
    again = t.kv.unwrap(wrapped.wrapping_token)
    t.is_so(again, not again.ok, "it is not given twice")
    _within(t, lambda found: _refused_unwrappings(found) > before, "the second attempt is recorded")


def _refused_unwrappings(records: Sequence[Recorded]) -> int:
    return sum(one.outcome == "refused" for one in _outcomes(records, "sys/wrapping/unwrap"))


@TESTS.test("ESA-KV-020", feature="etag", needs=_NEEDS, evidence="artefact")
def unchanged_read_is_in_the_file(t: Trial) -> None:
    """A read that is answered with 304 is recorded as one that was answered with the secret."""
    path = t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    tag = t.done(t.kv.get(path), "a secret is read").answer.headers.get("etag", "")
    t.served(tag != "", "a read has an ETag")
    reply = t.kv.get(path, headers={"If-None-Match": tag})
    t.equal(reply.status, 304, "a read of what is known gives 304")
    records = _within(t, lambda found: len(_outcomes(found, path)) >= 3, "a read with 304 is recorded")
    whole, unchanged = _outcomes(records, path)[1:3]
    t.equal((unchanged.operation, unchanged.caller), (whole.operation, True), "it is recorded as a read")


# ----------------------------------------------------------------------------- the form of this specification
@TESTS.test("ESA-LOG-005", feature="sequence", needs=_NEEDS, evidence="artefact")
def file_is_one_chain(t: Trial) -> None:
    """In the file numbers have no gap, and each record names the hash of the line before."""
    reply = t.done(t.kv.put(t.secret(), t.value()), "a secret is written")
    records = _within(t, lambda found: bool(_of_request(found, reply)), "a request is recorded")
    logs = chains(records)
    t.served(bool(logs), "records have a number and the hash of the one before")
    for chain in logs.values():
        for one, following in pairwise(chain):
            t.must(following.members["seq"] == one.members["seq"] + 1, "numbers have no gap")
            told = base64.b64encode(leaf_hash(one.line)).decode()
            t.must(following.members["prev_hash"] == told, "a record names the hash of the one before")


@TESTS.test("ESA-LOG-012", feature="record", needs=_NEEDS, evidence="artefact")
def every_record_fits(t: Trial) -> None:
    """No record of the file is longer than 65,535 bytes, and each is whole, in the canonical form."""
    path = t.secret()
    t.done(t.kv.put(path, {f"member-{i}": t.text() for i in range(400)}), "a large secret is written")
    records = _within(t, lambda found: bool(_outcomes(found, path)), "a request is recorded")
    own = [one for one in records if one.own_form]
    t.served(bool(own), "records have the form of the specification")
    t.must(all(len(one.line) <= _MOST_BYTES for one in own), "a record fits in 65,535 bytes")
    t.must(all(_is_canonical(one) for one in own), "a record is in the canonical form")
    numbers = [one.members["seq"] for one in of_path(own, path)]
    t.must(bool(numbers), "a large request has a record")


def _is_canonical(record: Recorded) -> bool:
    """Whether a line is in the form of RFC 8785, as far as it is for records: no fractions, small integers, names by UTF-16."""
    return _canonical(record.members).encode() == record.line


def _canonical(value: object) -> str:
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_canonical(name)}:{_canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
