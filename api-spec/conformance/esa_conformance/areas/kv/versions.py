# SPDX-License-Identifier: Apache-2.0
"""Versions of secrets: numbered, kept, deleted, brought back, destroyed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()


@TESTS.test("ESA-KV-003")
def versions_count_up(t: Trial) -> None:
    """Each write makes the next version, and earlier ones stay readable."""
    path = t.secret()
    values = [t.value() for _ in range(4)]
    for number, value in enumerate(values, 1):
        reply = t.kv.put(path, value)
        t.is_so(reply, reply.version == number, f"write {number} makes version {number}")
    for number, value in enumerate(values, 1):
        found = t.kv.get(path, version=number)
        t.equal((found.version, found.data), (number, value), "an earlier version is read as it was written")
    t.equal(t.kv.get(path).version, 4, "without a number the newest version is read")


@TESTS.test("ESA-KV-006")
def deletion_hides_and_comes_back(t: Trial) -> None:
    """A deleted version gives no value, its neighbour does, and undeletion gives the same value."""
    path = t.secret()
    first, second = t.value(), t.value()
    t.done(t.kv.put(path, first), "a secret is written")
    t.done(t.kv.put(path, second), "a secret is written again")
    reply = t.kv.delete(path, [1])
    t.is_so(reply, reply.ok, "a version is deleted")
    gone = t.kv.get(path, version=1)
    t.is_so(gone, gone.absent, "a deleted version is not there")
    t.must(str(first["text"]).encode() not in gone.answer.body, "a deleted version gives no value")
    t.equal(t.kv.get(path).data, second, "another version stays")
    reply = t.kv.undelete(path, [1])
    t.is_so(reply, reply.ok, "a deletion is taken back")
    t.equal(t.kv.get(path, version=1).data, first, "the same value comes back")


@TESTS.test("ESA-KV-006")
def deletion_without_number_is_of_the_newest(t: Trial) -> None:
    """Deleting a secret deletes its newest version; it comes back too."""
    path = t.secret()
    first, second = t.value(), t.value()
    t.done(t.kv.put(path, first), "a secret is written")
    t.done(t.kv.put(path, second), "a secret is written again")
    reply = t.kv.delete(path)
    t.is_so(reply, reply.ok, "a secret is deleted")
    gone = t.kv.get(path)
    t.is_so(gone, gone.absent, "a deleted secret is not there")
    t.equal(t.kv.get(path, version=1).data, first, "an earlier version stays")
    t.done(t.kv.undelete(path, [2]), "a deletion is taken back")
    t.equal(t.kv.get(path).data, second, "the same value comes back")


@TESTS.test("ESA-KV-007")
def destroyed_stays_destroyed(t: Trial) -> None:
    """A destroyed version gives no value, whatever is asked afterwards."""
    path = t.secret()
    value = t.value()
    t.done(t.kv.put(path, value), "a secret is written")
    t.done(t.kv.put(path, t.value()), "a secret is written again")
    reply = t.kv.destroy(path, [1])
    t.is_so(reply, reply.ok, "a version is destroyed")
    t.kv.undelete(path, [1])
    secret = str(value["text"]).encode()
    for found in (t.kv.get(path, version=1), t.kv.get(path), t.kv.metadata(path), t.kv.subkeys(path)):
        t.must(secret not in found.answer.body, "a destroyed value is in no answer")
    gone = t.kv.get(path, version=1)
    t.is_so(gone, gone.absent, "a destroyed version is not there")


@TESTS.test("ESA-KV-008")
def deleting_nothing_succeeds(t: Trial) -> None:
    """Deleting what is not there succeeds, and so does deleting twice."""
    path = t.secret()
    reply = t.kv.delete(path)
    t.is_so(reply, reply.ok, "deleting what was never there succeeds")
    t.must(t.kv.get(path).absent, "deleting makes nothing")
    t.done(t.kv.put(path, t.value()), "a secret is written")
    t.every([t.kv.delete(path), t.kv.delete(path)], lambda r: r.ok, "deleting twice succeeds")


@TESTS.test("ESA-KV-017")
def times_go_forward(t: Trial) -> None:
    """Times of versions are RFC 3339 in UTC and do not go back."""
    path = t.secret()
    for _ in range(4):
        t.done(t.kv.put(path, t.value()), "a secret is written")
    times = [_created(t, path, number) for number in range(1, 5)]
    t.must(all(time.utcoffset() == timedelta(0) for time in times), "times are in UTC")
    t.must(times == sorted(times), "times do not go back from version to version")


def _created(t: Trial, path: str, version: int) -> datetime:
    text: Any = t.kv.get(path, version=version).answer.member("data", "metadata", "created_time")
    t.must(isinstance(text, str) and "T" in text, "a version has a time")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        t.must(False, "a time is as RFC 3339 has it")
        raise
