# SPDX-License-Identifier: Apache-2.0
"""Credentials that have done what they were for: presented again, anywhere, they open nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from esa_conformance.binding.client import Client
from esa_conformance.binding.replies import Reply
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_NEEDS: Final = ("kv", "admin")


def _asked(t: Trial, caller: Client, path: str) -> Iterator[Reply]:
    """A request of each kind by a caller: secrets, the caller itself, new credentials, wrapped answers."""
    yield caller.get(path)
    yield caller.put(path, t.value())
    yield caller.list("")
    yield caller.look_up_self()
    yield caller.renew_self("60s")
    yield t.have_token(caller)
    yield caller.capabilities([path])
    yield t.wrapped(path, by=caller)


def _opens_nothing(t: Trial, caller: Client, path: str, value: object, what: str) -> None:
    for reply in _asked(t, caller, path):
        t.is_so(reply, reply.unknown_caller, f"{what} is refused")
    newest = t.kv.get(path)
    t.equal((newest.version, newest.data), (1, value), f"{what} changes nothing")


def _granted(t: Trial, *, uses: int = 0) -> tuple[Client, str, object]:
    """Who may read and write one secret, `uses` times or as often as they like; its path, and its value."""
    path, value = t.secret(), t.value()
    t.done(t.kv.put(path, value), "a secret is written")
    rights = {t.kv.data_path(path): ["read", "update", "create"]}
    return t.caller(rights, num_uses=uses).client, path, value


@TESTS.test("ESA-AUT-002", needs=_NEEDS)
def revoked_credential_opens_nothing(t: Trial) -> None:
    """A credential that was revoked is refused for requests of each kind, as often as it comes."""
    caller, path, value = _granted(t)
    t.done(caller.get(path), "a credential reads a secret")
    t.done(caller.revoke_self(), "a credential is revoked")
    for _ in range(2):
        _opens_nothing(t, caller, path, value, "a revoked credential")


@TESTS.test("ESA-AUT-004", needs=_NEEDS)
def used_up_credential_opens_nothing(t: Trial) -> None:
    """A credential that had its last use is refused for requests of each kind."""
    caller, path, value = _granted(t, uses=1)
    t.done(caller.get(path), "a credential is used for the last time")
    _opens_nothing(t, caller, path, value, "a credential without uses")


@TESTS.test("ESA-WRP-001", feature="wrap", needs=_NEEDS)
def wrapping_credential_opens_nothing_else(t: Trial) -> None:
    """What gives a wrapped answer reads no secret itself, neither before it was used nor after."""
    path, value = t.secret(), t.value()
    t.done(t.kv.put(path, value), "a secret is written")
    wrapped = t.wrapped(path)
    t.served(wrapped.wrapping_token != "", "an answer is wrapped")
    caller = t.kv.using(wrapped.wrapping_token)
    for reply in (caller.get(path), caller.put(path, t.value()), caller.list("")):
        t.is_so(reply, reply.unknown_caller, "what gives a wrapped answer gives nothing else")
    second = t.wrapped(path).wrapping_token
    t.done(t.kv.unwrap(second), "a wrapped answer is taken")
    spent = t.kv.using(second)
    _opens_nothing(t, spent, path, value, "what gave a wrapped answer")
    for reply in (t.kv.unwrap(second), t.kv.look_up_wrapped(second), spent.revoke_self()):
        t.is_so(reply, not reply.ok, "a wrapped answer that was taken is gone")


@TESTS.test("ESA-WRP-001", feature="wrap", needs=_NEEDS)
def unwrapped_credential_is_revoked_as_others(t: Trial) -> None:
    """A credential that was handed over wrapped works once it was taken, and not after it was revoked."""
    policy = t.policy({"none": ["read"]})
    wrapped = t.wrapped_token(t.admin, policies=[policy], ttl="120s")
    t.served(wrapped.wrapping_token != "", "an answer is wrapped")
    given = t.kv_place.unwrap(wrapped.wrapping_token)
    t.done(given, "a wrapped answer is taken")
    caller = t.kv_place.using(given.token)
    t.is_so(found := caller.look_up_self(), found.ok, "a credential that was handed over is accepted")
    t.done(caller.revoke_self(), "it is revoked")
    t.is_so(found := caller.look_up_self(), found.unknown_caller, "it is refused after it was revoked")
    t.is_so(found := t.kv_place.unwrap(wrapped.wrapping_token), not found.ok, "it is not given again")
