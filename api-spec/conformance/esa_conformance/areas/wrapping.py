# SPDX-License-Identifier: Apache-2.0
"""Answers that are given once."""

from __future__ import annotations

from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()


@TESTS.test("ESA-WRP-001", feature="wrap")
def wrapped_answer_is_given_once(t: Trial) -> None:
    """A wrapped answer is looked up as often as one likes, and given once."""
    path = t.secret()
    value = t.value()
    t.done(t.kv.put(path, value), "a secret is written")
    wrapped = t.wrapped(path)
    t.served(wrapped.wrapping_token != "", "an answer is wrapped")
    t.must(
        str(value["text"]).encode() not in wrapped.answer.body, "a wrapped answer does not show what is in it"
    )
    for _ in range(2):
        found = t.kv.look_up_wrapped(wrapped.wrapping_token)
        t.is_so(found, found.ok, "a wrapped answer is looked up")
    given = t.kv.unwrap(wrapped.wrapping_token)
    t.is_so(given, given.ok, "a wrapped answer is given after it was looked up")
    t.equal(given.data, value, "what is given is what was wrapped")
    again = t.kv.unwrap(wrapped.wrapping_token)
    t.is_so(again, not again.ok, "it is not given twice")
    found = t.kv.look_up_wrapped(wrapped.wrapping_token)
    t.is_so(found, not found.ok, "one that was given is not looked up")


@TESTS.test("ESA-WRP-001", feature="wrap")
def one_of_many_gets_a_wrapped_answer(t: Trial) -> None:
    """Of many that ask at once, one gets it."""
    path = t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    wrapped = t.wrapped(path)
    t.served(wrapped.wrapping_token != "", "an answer is wrapped")
    replies = t.together(8, lambda _: t.kv.unwrap(wrapped.wrapping_token))
    given = sum(reply.ok for reply in replies)
    t.equal(given, 1, f"one gets it, and not {given}")
