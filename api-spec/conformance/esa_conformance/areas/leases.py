# SPDX-License-Identifier: Apache-2.0
"""Secrets with a lease: what is told of it, when it ends, and what that means at the target."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Final

from esa_conformance.binding.leases import Leases
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_NEEDS: Final = ("kv", "admin")
_MAXIMUM_S: Final = 60
"""Seconds for which a mount that a test makes gives leases at most."""
_SHORT_S: Final = 2
_PART: Final = re.compile(r"[0-9A-Za-z]{8,}")
"""A part of a secret that is in nothing else by chance."""


@dataclass(frozen=True)
class _Taken:
    """A secret that was taken, and its lease."""

    secret: str
    lease: str
    seconds: object
    renewable: object


def _place(t: Trial, *roles: str, default_s: int = _MAXIMUM_S) -> Leases:
    """A new mount with these roles."""
    leases = t.leases(default_lease_ttl=f"{default_s}s", max_lease_ttl=f"{_MAXIMUM_S}s")
    for role in roles:
        t.done(leases.make_role(role), "a role is made")
    return leases


def _take(t: Trial, leases: Leases, role: str = "one") -> _Taken:
    reply = t.done(leases.take(role), "a leased secret is given")
    secret = reply.answer.member("data", "key")
    lease = reply.answer.member("lease_id")
    t.must(isinstance(lease, str) and lease != "", "the answer tells the lease")
    t.need(isinstance(secret, str), "the answer has a secret")
    seconds, renewable = reply.answer.member("lease_duration"), reply.answer.member("renewable")
    return _Taken(str(secret), str(lease), seconds, renewable)


def _is_gone(t: Trial, leases: Leases, lease: str) -> bool:
    """Whether a lease is not there any more, which a server may need a while for."""
    until = time.monotonic() + t.state.settle_s
    while leases.look_up(lease).ok:
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


@TESTS.test("ESA-LSE-001", needs=_NEEDS)
def leased_secret_tells_its_lease(t: Trial) -> None:
    """The answer tells lease, seconds and whether it can be renewed; the lease is found, and has no part of the secret."""
    leases = _place(t, "one")
    taken = _take(t, leases)
    t.must(type(taken.seconds) is int and 0 < taken.seconds <= _MAXIMUM_S, "the answer tells its seconds")
    t.must(isinstance(taken.renewable, bool), "the answer tells whether the lease can be renewed")
    t.must(
        not any(part in taken.lease for part in _PART.findall(taken.secret)),
        "no part of it is in the lease's id",
    )
    found = leases.look_up(taken.lease)
    t.is_so(found, found.ok, "a lease is looked up")
    t.equal(found.answer.member("data", "id"), taken.lease, "it is the one that was meant")
    t.must(taken.secret.encode() not in found.answer.body, "looking up a lease does not give the secret")
    t.must(
        any(taken.lease.endswith(key) for key in leases.listed("one").keys),
        "a lease is listed where it is from",
    )
    t.must(leases.accepts(taken.secret), "the target accepts the secret")


@TESTS.test("ESA-LSE-001", needs=_NEEDS)
def leased_secret_ends_when_it_was_told(t: Trial) -> None:
    """A secret is accepted by its target before the seconds that were told are over, and not after them."""
    leases = _place(t, "one", default_s=_SHORT_S)
    begun = time.monotonic()
    late = _take(t, leases)
    t.must(late.seconds in range(1, _SHORT_S + 1), "the answer tells the seconds that were set")
    early = _take(t, leases)
    accepted = leases.accepts(early.secret)
    t.need(
        accepted or time.monotonic() < begun + _SHORT_S,
        "the server is quick enough to be asked before the end",
    )
    t.must(accepted, "a secret is accepted before its end")
    time.sleep(_SHORT_S + 1.2)
    t.must(_is_gone(t, leases, late.lease), "a lease ends")
    t.must(not leases.accepts(late.secret), "a secret is not accepted after its end")


@TESTS.test("ESA-LSE-002", needs=_NEEDS)
def lease_ends_with_its_credential(t: Trial) -> None:
    """A lease ends with the credential that took it, and no other lease does."""
    leases = _place(t, "one")
    holder = t.caller({leases.path("one"): ["update"]})
    taken, beside = _take(t, leases.by(holder.client)), _take(t, leases)
    t.done(holder.client.revoke_self(), "a credential is revoked")
    t.must(_is_gone(t, leases, taken.lease), "a lease ends with the credential that took it")
    t.must(not leases.accepts(taken.secret), "the target does not accept the secret then")
    found = leases.look_up(beside.lease)
    t.is_so(found, found.ok, "a lease of another credential stays")
    t.must(leases.accepts(beside.secret), "the target accepts the secret of another credential")


@TESTS.test("ESA-LSE-004", needs=_NEEDS)
def revoking_a_lease_twice_succeeds(t: Trial) -> None:
    """A lease is revoked, also a second time: the target does not accept its secret from then on."""
    leases = _place(t, "one")
    taken, beside = _take(t, leases), _take(t, leases)
    for _ in range(2):
        reply = leases.revoke(taken.lease)
        t.is_so(reply, reply.ok, "a lease is revoked, once and twice")
        t.must(_is_gone(t, leases, taken.lease), "a revoked lease is not there")
    t.must(not leases.accepts(taken.secret), "the target does not accept the secret of a revoked lease")
    t.must(leases.accepts(beside.secret), "no other lease is revoked")


@TESTS.test("ESA-LSE-004", needs=_NEEDS)
def prefix_reaches_what_is_below_and_nothing_beside(t: Trial) -> None:
    """Revoking by prefix ends every lease below, and none beside whose path begins alike."""
    leases = _place(t, "one", "one-more")
    below, beside = [_take(t, leases) for _ in range(3)], _take(t, leases, "one-more")
    for _ in range(2):
        reply = leases.revoke_below(leases.path("one"))
        t.is_so(reply, reply.ok, "leases are revoked by prefix, once and twice")
    for taken in below:
        t.must(_is_gone(t, leases, taken.lease), "every lease below is revoked")
        t.must(not leases.accepts(taken.secret), "the target does not accept the secret of any")
    found = leases.look_up(beside.lease)
    t.is_so(found, found.ok, "no lease beside is revoked")
    t.must(leases.accepts(beside.secret), "the target accepts the secret of a lease beside")


@TESTS.test("ESA-LSE-006", needs=_NEEDS)
def renewal_of_a_lease_passes_no_end(t: Trial) -> None:
    """Renewal does not pass the maximum; of a lease that tells that it cannot be renewed, it is refused and moves no end."""
    leases = _place(t, "one")
    taken = _take(t, leases)
    before = leases.look_up(taken.lease).answer.member("data", "expire_time")
    t.need(isinstance(before, str), "looking up a lease tells its end")
    reply = leases.renew(taken.lease, 60 * _MAXIMUM_S)
    if taken.renewable:
        told = reply.answer.member("lease_duration")
        t.is_so(reply, reply.ok, "a lease is renewed that tells that it can be")
        t.must(type(told) is int and told <= _MAXIMUM_S, "renewal does not pass the maximum")
    else:
        t.is_so(reply, 400 <= reply.status < 500, "a lease is not renewed that tells that it cannot be")
        after = leases.look_up(taken.lease).answer.member("data", "expire_time")
        t.equal(after, before, "what is refused moves no end")
    left = leases.look_up(taken.lease).answer.member("data", "ttl")
    t.must(type(left) is int and left <= _MAXIMUM_S, "a lease has no more than the maximum left")


@TESTS.test("ESA-LSE-005", cls="disruptive", needs=(*_NEEDS, "seal_key"), provisional=True)
def what_ended_meanwhile_ends_first(t: Trial) -> None:
    """A lease that ended while the server was sealed is over before the first new one is given; one that did not goes on."""
    short, long = _place(t, "one", default_s=_SHORT_S), _place(t, "one")
    ended, lasting = _take(t, short), _take(t, long)
    with t.sealed():
        time.sleep(_SHORT_S + 1.2)
    t.done(long.take("one"), "a leased secret is given again")
    t.must(not short.accepts(ended.secret), "what ended meanwhile is over before the first new one is given")
    t.must(_is_gone(t, short, ended.lease), "a lease that ended meanwhile is not there")
    t.must(long.accepts(lasting.secret), "a lease that did not end goes on")
