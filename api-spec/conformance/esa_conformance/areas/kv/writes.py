# SPDX-License-Identifier: Apache-2.0
"""Secrets: what is written is read back, and of writers at once each gets what it was told."""

from __future__ import annotations

from esa_conformance.errors import UnknownOutcome
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_WRITERS = 12
_SMALL = 64 << 10
_HUGE = 40 << 20


@TESTS.test("ESA-KV-001")
def value_comes_back(t: Trial) -> None:
    """A JSON object with every kind of value is read back equal."""
    path = t.secret()
    value = {
        "text": t.text(), "empty": "", "letters": "żółć 日本 \U0001f511 \u0000 \" \\ /", "no": None, "yes": True, "not": False,
        "zero": 0, "minus": -17, "fraction": 2.5, "list": [1, "1", [], [None, {"deep": {}}]], "object": {"": "no name"},
    }  # fmt: skip
    reply = t.kv.put(path, value)
    t.is_so(reply, reply.ok, "a JSON object is accepted")
    t.equal(t.kv.get(path).data, value, "what was written is read back equal")


@TESTS.test("ESA-KV-001")
def value_is_replaced_whole(t: Trial) -> None:
    """A new version holds what was written last, and nothing of the one before."""
    path = t.secret()
    t.done(t.kv.put(path, {"one": t.text(), "both": 1}), "a secret is written")
    value = {"two": t.text(), "both": [2]}
    t.done(t.kv.put(path, value), "a secret is written again")
    t.equal(t.kv.get(path).data, value, "the newest version is what was written last")


@TESTS.test("ESA-KV-004")
def stale_check_changes_nothing(t: Trial) -> None:
    """A write whose check is not the current version is refused, and the value stays."""
    path = t.secret()
    first, second = t.value(), t.value()
    t.done(t.kv.put(path, first), "a secret is written")
    t.done(t.kv.put(path, second), "a secret is written again")
    for stale in (0, 1, 3):
        reply = t.kv.put(path, t.value(), check=stale)
        t.is_so(reply, reply.refused_stale, f"check {stale} of version 2 is refused")
    newest = t.kv.get(path)
    t.equal((newest.version, newest.data), (2, second), "a refused write changes nothing")


@TESTS.test("ESA-KV-004")
def valid_check_is_accepted(t: Trial) -> None:
    """Check 0 creates, and only where there is none; the current version as check is accepted."""
    path = t.secret()
    reply = t.kv.put(path, t.value(), check=1)
    t.is_so(reply, reply.refused_stale, "check 1 of what is not there is refused")
    t.must(t.kv.get(path).absent, "a refused write makes nothing")
    reply = t.kv.put(path, t.value(), check=0)
    t.is_so(reply, reply.ok, "check 0 creates what is not there")
    value = t.value()
    reply = t.kv.put(path, value, check=1)
    t.is_so(reply, reply.ok, "the current version as check is accepted")
    t.equal(t.kv.get(path).data, value, "an accepted write counts")


@TESTS.test("ESA-KV-005")
def one_winner(t: Trial) -> None:
    """Of many writers at once with the same valid check, exactly one is accepted."""
    path = t.secret()
    values = [t.value() for _ in range(_WRITERS)]
    replies = t.together(_WRITERS, lambda i: t.kv.put(path, values[i], check=0))
    winners = [place for place, reply in enumerate(replies) if reply.ok]
    t.equal(len(winners), 1, f"exactly one writer of {_WRITERS} is accepted, and not {len(winners)}")
    t.every((r for r in replies if not r.ok), lambda r: r.refused_stale, "the others are refused as stale")
    newest = t.kv.get(path)
    t.equal(
        (newest.version, newest.data), (1, values[winners[0]]), "what is kept is what the accepted one wrote"
    )


@TESTS.test("ESA-KV-018")
def each_writer_has_a_version(t: Trial) -> None:
    """Writers at once without check get versions of their own, and each version holds what its writer wrote."""
    path = t.secret()
    count = 8
    values = [t.value() for _ in range(count)]
    replies = t.together(count, lambda i: t.kv.put(path, values[i]))
    t.every(replies, lambda r: r.ok, "each write without check is accepted")
    versions = [reply.version for reply in replies]
    t.equal(
        sorted(v or 0 for v in versions),
        list(range(1, count + 1)),
        "each has a version of its own, without gap",
    )
    for version, value in zip(versions, values, strict=True):
        t.equal(t.kv.get(path, version=version).data, value, "each version holds what its writer wrote")


@TESTS.test("ESA-KV-014")
def large_value_is_kept(t: Trial) -> None:
    """A value of 64 KiB is accepted and read back."""
    path = t.secret()
    value = {"text": t.text() + "x" * _SMALL}
    reply = t.kv.put(path, value)
    t.is_so(reply, reply.ok, "a value of 64 KiB is accepted")
    t.equal(t.kv.get(path).data, value, "a value of 64 KiB is read back equal")


@TESTS.test("ESA-KV-014")
def refused_size_changes_nothing(t: Trial) -> None:
    """A value that is too large is refused, perhaps by an early close, and what was there stays."""
    path = t.secret()
    value = t.value()
    t.done(t.kv.put(path, value), "a secret is written")
    huge = b'{"data":{"text":"' + b"x" * _HUGE + b'"}}'
    try:
        reply = t.kv.send("POST", t.kv.data_path(path), huge)
    except UnknownOutcome:
        pass  # an early close, if the next request is answered and nothing has changed
    else:
        if reply.ok:
            return
        t.is_so(reply, reply.too_large, "what is too large is refused as such")
    newest = t.kv.get(path)
    t.equal((newest.version, newest.data), (1, value), "a refused write changes nothing")


@TESTS.test("ESA-KV-002")
def large_integer_survives(t: Trial) -> None:
    """An integer beyond 2^53 should come back with all its digits."""
    path = t.secret()
    number = 9007199254740993
    t.done(t.kv.put(path, {"number": number, "text": t.text()}), "a number is written")
    found = t.kv.get(path).data
    t.need(isinstance(found, dict), "a secret is read")
    t.should(found.get("number") == number, "an integer beyond 2^53 comes back as another number")
