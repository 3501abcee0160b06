# SPDX-License-Identifier: Apache-2.0
"""Requests that are sent again, with the key that says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from esa_conformance.binding.replies import Reply
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import TOKEN_TTL, Trial

TESTS = Tests()
_AT_ONCE: Final = 5


def _key(t: Trial) -> Mapping[str, str]:
    """A key that was never used, as the header has it."""
    return {"Idempotency-Key": f'"{t.folder()}"'}


@TESTS.test("ESA-KV-021", feature="idempotency")
def repeated_write_counts_once(t: Trial) -> None:
    """Two writes with one Idempotency-Key have the effect of one, whatever is written between them."""
    path = t.secret()
    value, between = t.value(), t.value()
    key = _key(t)
    first = t.done(t.kv.put(path, value, headers=key), "a secret is written")
    second = t.kv.put(path, value, headers=key)
    t.served(second.version == first.version, "a repeated write makes no version")
    t.equal(t.kv.get(path).version, 1, "two writes with one key have the effect of one")
    t.done(t.kv.put(path, between), "a secret is written")
    third = t.kv.put(path, value, headers=key)
    t.equal((third.ok, third.version), (True, first.version), "the answer stays that of the first")
    t.equal(t.kv.get(path).data, between, "a repeated write undoes nothing")
    t.must("idempotency-replayed" in third.answer.headers, "an answer that was given before says so")
    t.must(
        "idempotency-replayed" not in first.answer.headers,
        "a first answer does not say that it was given before",
    )


@TESTS.test("ESA-KV-021", feature="idempotency")
def another_body_with_the_key_is_refused(t: Trial) -> None:
    """Another body with the key gives 422 and changes nothing."""
    path = t.secret()
    value = t.value()
    key = _key(t)
    _repeats(t, path, value, key)
    other = t.kv.put(path, t.value(), headers=key)
    t.equal(other.status, 422, "another body with the key gives 422")
    t.equal((t.kv.get(path).version, t.kv.get(path).data), (1, value), "a refused write changes nothing")
    reply = t.kv.put(path, t.value(), headers=_key(t))
    t.is_so(reply, reply.version == 2, "another key is another write")


@TESTS.test("ESA-KV-021", feature="idempotency")
def key_is_of_a_path(t: Trial) -> None:
    """The same key on another path is another request."""
    one, other = t.secret(), t.secret()
    value = t.value()
    key = _key(t)
    _repeats(t, one, value, key)
    reply = t.kv.put(other, value, headers=key)
    t.is_so(reply, reply.ok, "the key of another path is taken")
    t.equal(t.kv.get(other).data, value, "the key of another path does not keep a write from being done")


@TESTS.test("ESA-KV-021", feature="idempotency", needs=("kv", "admin"))
def key_is_of_a_credential(t: Trial) -> None:
    """The same key of another credential is another request, and who lacks the right gets no answer by a key."""
    path = t.secret()
    value = t.value()
    key = _key(t)
    _repeats(t, path, value, key)
    may = {t.kv.data_path(path): ["create", "update", "read"]}
    reply = t.caller(may).client.put(path, value, headers=key)
    t.equal((reply.ok, reply.version), (True, 2), "another credential's write with the same key is done")
    reply = t.caller({}).client.put(path, value, headers=key)
    t.is_so(reply, reply.denied, "who lacks the right gets no answer by a key")


@TESTS.test("ESA-KV-021", feature="idempotency")
def repeats_at_once_count_once(t: Trial) -> None:
    """Of writes with one key at once one is done; the others get its answer, or 409."""
    _repeats(t, t.secret(), t.value(), _key(t))
    path = t.secret()
    value = t.value()
    key = _key(t)
    replies = t.together(_AT_ONCE, lambda _: t.kv.put(path, value, headers=key))
    t.every(
        replies, lambda reply: reply.ok or reply.status == 409, "writes with one key at once are answered"
    )
    t.must(any(reply.ok for reply in replies), "one of them is done")
    t.equal({reply.version for reply in replies if reply.ok}, {1}, "all have one answer")
    t.equal(t.kv.get(path).version, 1, "writes with one key at once have the effect of one")


@TESTS.test("ESA-KV-021", feature="idempotency", needs=("kv", "admin"))
def no_credential_is_given_again(t: Trial) -> None:
    """An answer that holds a credential is not given a second time."""
    _repeats(t, t.secret(), t.value(), _key(t))
    key = _key(t)
    body = {"policies": ["default"], "ttl": TOKEN_TTL, "display_name": t.folder()}
    first, second = (_have_token(t, body, key) for _ in range(2))
    t.need(first.token != "", "a credential is given")
    t.must(second.token != first.token, "a credential is not given again")
    t.must(first.token.encode() not in second.answer.body, "a repeated answer does not hold the credential")


def _repeats(t: Trial, path: str, value: object, key: Mapping[str, str]) -> None:
    """Go on where the server knows a repeated write."""
    first = t.done(t.kv.put(path, value, headers=key), "a secret is written")
    second = t.kv.put(path, value, headers=key)
    t.served(second.version == first.version, "a repeated write makes no version")


def _have_token(t: Trial, body: Mapping[str, object], key: Mapping[str, str]) -> Reply:
    """Ask for a credential; it is known to the cleanup."""
    _, number = t.state.name("token")
    reply = t.admin.send("POST", "auth/token/create", body, headers=key)
    if reply.accessor and t.state.journal is not None:
        t.state.journal.made_token(number, reply.accessor)
    return reply
