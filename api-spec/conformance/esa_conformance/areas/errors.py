# SPDX-License-Identifier: Apache-2.0
"""Refusals: what they tell, and what they must not change."""

from __future__ import annotations

import re
import time
from typing import Final

from esa_conformance.binding.client import Client
from esa_conformance.binding.replies import Reply
from esa_conformance.errors import PreconditionFailed
from esa_conformance.requirements import problem_statuses
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_PROBLEM: Final = {"Accept": "application/problem+json"}


@TESTS.test("ESA-ERR-001")
def credentials_fail_alike(t: Trial) -> None:
    """A missing, malformed or unknown credential gives the same status and body."""
    path = t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    tokens = [None, "", "no-token", "s.AAAAAAAAAAAAAAAAAAAAAAAA", "hvs." + "A" * 90, "x" * 300, "\u00e9"]
    replies = [t.nobody.using(token).get(path) for token in tokens]
    t.every(replies, lambda r: r.unknown_caller, "a credential that is none is refused")
    first = replies[0]
    t.must(
        all((r.status, r.without_request) == (first.status, first.without_request) for r in replies),
        "each credential that is none gives the same status and body",
    )


@TESTS.test("ESA-ERR-001", needs=("admin",))
def ended_credentials_fail_alike(t: Trial) -> None:
    """A revoked credential is refused as one that never was."""
    caller = t.caller({})
    t.done(caller.client.look_up_self(), "a credential is used")
    t.done(t.admin.revoke_accessor(caller.accessor), "a credential is revoked")
    revoked, none = (
        caller.client.look_up_self(),
        t.kv_place.using("s.AAAAAAAAAAAAAAAAAAAAAAAA").look_up_self(),
    )
    t.is_so(revoked, revoked.unknown_caller, "a revoked credential is refused")
    t.equal(
        (revoked.status, revoked.without_request), (none.status, none.without_request),
        "a revoked credential and an unknown one are refused alike",
    )  # fmt: skip


@TESTS.test("ESA-ERR-002", needs=("kv", "denied"))
def existence_is_not_told(t: Trial) -> None:
    """Who has no right on a path cannot tell whether something is there."""
    there, not_there = t.secret(), t.secret()
    t.done(t.kv.put(there, t.value()), "a secret is written")
    for ask in ("get", "metadata", "list", "delete", "subkeys"):
        one, two = (getattr(t.denied, ask)(path) for path in (there, not_there))
        t.is_so(one, one.denied, f"{ask} is refused")
        t.equal(
            (one.status, one.without_request, set(one.answer.headers)),
            (two.status, two.without_request, set(two.answer.headers)),
            f"{ask} of what is there and of what is not is refused alike",
        )
    one, two = t.denied.put(there, t.value(), check=0), t.denied.put(not_there, t.value(), check=0)
    t.equal((one.status, one.without_request), (two.status, two.without_request), "writes are refused alike")
    t.must(t.kv.get(not_there).absent, "a refused write makes nothing")


@TESTS.test("ESA-ERR-003")
def broken_bodies_change_nothing(t: Trial) -> None:
    """A body that is not well-formed is refused with 400 and changes nothing."""
    path = t.secret()
    value = t.value()
    t.done(t.kv.put(path, value), "a secret is written")
    for body in (
        b"{",
        b'{"data": {"a": 1}',
        b'{"data": {"a": 1}}}',
        b'{"data": {"a": \xff}}',
        b"[",
        b'{"data": "text"}',
    ):
        reply = t.kv.send("POST", t.kv.data_path(path), body)
        t.is_so(reply, reply.malformed, "a body that is not well-formed is refused with 400")
    newest = t.kv.get(path)
    t.equal((newest.version, newest.data), (1, value), "a refused write changes nothing")


@TESTS.test("ESA-ERR-004")
def unknown_methods_are_refused(t: Trial) -> None:
    """A method that nobody knows gives 405 or 501."""
    path = t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    reply = t.kv.send("BREW", t.kv.data_path(path))
    t.is_so(reply, reply.status in {405, 501}, "an unknown method on a known path gives 405 or 501")


@TESTS.test("ESA-ERR-006", feature="problem-json")
def problems_are_told_as_problems(t: Trial) -> None:
    """Who prefers application/problem+json gets it, with the status that others get."""
    path = t.secret()
    accept = _PROBLEM
    problem, plain = t.kv.get(path, headers=accept), t.kv.get(path)
    t.served(
        problem.answer.media_type == "application/problem+json",
        "an error is a problem where that is preferred",
    )
    deleted = t.secret()
    t.done(t.kv.put(deleted, t.value()), "a secret is written")
    t.done(t.kv.delete(deleted), "a secret is deleted")
    merge = {"Content-Type": "application/merge-patch+json"}
    patched = [
        t.kv.send("PATCH", t.kv.data_path(path), {"data": {"a": 1}}, headers={**merge, **more})
        for more in (accept, {})
    ]
    for one, other in (
        (problem, plain),
        (patched[0], patched[1]),
        (t.kv.get(deleted, headers=accept), t.kv.get(deleted)),
        (t.nobody.get(path, headers=accept), t.nobody.get(path)),
        (t.kv.put(path, t.value(), check=7, headers=accept), t.kv.put(path, t.value(), check=7)),
    ):
        t.equal(one.status, other.status, "a problem has the status that others get")
        t.equal(
            one.answer.media_type,
            "application/problem+json",
            "each error is a problem where that is preferred",
        )
        body = one.answer.json
        t.must(isinstance(body, dict) and isinstance(body.get("type"), str), "a problem has a type")
        t.must(body.get("status", one.status) == one.status, "a problem tells its own status")


@TESTS.test("ESA-ERR-006", feature="problem-json")
def problems_are_registered(t: Trial) -> None:
    """The type of a problem ends in a name of the registry that may come with its status."""
    path = t.secret()
    known, registered = t.kv.get(path, headers=_PROBLEM), problem_statuses()
    t.served(
        known.answer.media_type == "application/problem+json", "an error is a problem where that is preferred"
    )
    broken = t.kv.send("POST", t.kv.data_path(path), b"{", headers=_PROBLEM)
    stale = t.kv.put(path, t.value(), check=7, headers=_PROBLEM)
    brewed = t.kv.send("BREW", t.kv.data_path(path), headers=_PROBLEM)
    nowhere = t.kv.send("GET", f"sys/{path}", headers=_PROBLEM)
    for reply in (known, t.nobody.get(path, headers=_PROBLEM), broken, stale, brewed, nowhere):
        told = str(reply.answer.member("type") or "")
        name = re.split("[/:]", told)[-1]
        t.is_so(reply, name in registered, "the type of a problem is registered")
        t.is_so(reply, reply.status in registered[name], "a registered problem has one of its statuses")


@TESTS.test("ESA-ERR-007", needs=("admin",))
def limits_say_when(t: Trial) -> None:
    """A 429 should say when to come back."""
    _, reply = _limited(t)
    t.should("retry-after" in reply.answer.headers, "a 429 has no Retry-After")


@TESTS.test("ESA-ERR-007", feature="retry-after", needs=("admin",))
def who_waits_gets_on(t: Trial) -> None:
    """A 429 says when to come back, and who comes back then is served."""
    caller, reply = _limited(t)
    said = reply.answer.headers.get("retry-after", "")
    t.served(said != "", "a 429 has Retry-After")
    t.must(
        said.isdigit() and int(said) <= 10,
        "Retry-After is a number of seconds, and the limit's second is over soon",
    )
    time.sleep(int(said) + 0.1)
    again = caller.get("none")
    t.is_so(again, again.absent, "who waits as long is served")


def _limited(t: Trial) -> tuple[Client, Reply]:
    """Who asks in a mount with a limit of one request a second, and the answer that it had enough."""
    caller = t.limited()
    for _ in range(40):
        reply = caller.get("none")
        if reply.status == 429:
            return caller, reply
    raise PreconditionFailed("a limit of one request a second is kept")


@TESTS.test("ESA-ERR-010", needs=("kv", "denied"))
def odd_paths_open_nothing(t: Trial) -> None:
    """Who may not read a path may not by another spelling of it."""
    folder = t.folder()
    path = t.secret_below(folder, "kept")
    secret = t.text()
    t.done(t.kv.put(path, {"text": secret}), "a secret is written")
    _refused(t, t.denied, _spellings(t, folder, "kept"), secret)


@TESTS.test("ESA-ERR-010", needs=("kv", "admin"))
def odd_paths_meet_the_same_policy(t: Trial) -> None:
    """No spelling of a path gets round a refusal, or out of a folder that is granted."""
    folder = t.folder()
    path = t.secret_below(folder, "kept")
    secret = t.text()
    t.done(t.kv.put(path, {"text": secret}), "a secret is written")
    base = t.kv.data_path(folder)
    around = t.caller(
        {f"{t.kv.where.mount}/*": ["read", "list"], f"{base}/kept": ["deny"], f"{base}/kept/*": ["deny"]}
    )
    found = around.client.get(f"{folder}/none")
    t.is_so(found, found.absent, "what is not refused is granted")
    _refused(t, around.client, _spellings(t, folder, "kept"), secret)
    beside = t.caller({f"{base}/open/*": ["read"]})
    literal = f"{t.kv.where.base}/{base}/open"
    odd = [
        "/../kept",
        "/%2e%2e/kept",
        "%2f..%2fkept",
        "/..%2fkept",
        "/x/../../kept",
        "/.%2e/kept",
        "/..;/kept",
        "//../kept",
    ]
    _refused(t, beside.client, [literal + one for one in odd], secret)


def _spellings(t: Trial, folder: str, name: str) -> list[str]:
    """Ways to write the path of a secret that are not canonical."""
    base, mount, prefix = t.kv.where.base, t.kv.where.mount, f"{t.kv.where.prefix}{folder}"
    return [
        f"{base}/{one}"
        for one in (
            f"{mount}//data/{prefix}/{name}", f"{mount}/./data/{prefix}/{name}", f"{mount}/data/{prefix}/x/../{name}",
            f"{mount}/data/{prefix}/{name}/", f"{mount}/data/{prefix}/{name}/.", f"{mount}/data//{prefix}/{name}",
            f"{mount}%2fdata/{prefix}/{name}", f"{mount}/data/{prefix}%2f{name}", f"{mount}/data/{prefix}/x/%2e%2e/{name}",
            f"{mount}/data/{prefix}/{name}%00", f"{mount}/data/{prefix}/{name}%2f", f"none/../{mount}/data/{prefix}/{name}",
            f"{mount}/data/{prefix}/%6bept", f"{mount}/data/{prefix}//{name}", f"/{mount}/data/{prefix}/{name}",
        )
    ]  # fmt: skip


def _refused(t: Trial, caller: Client, targets: list[str], secret: str) -> None:
    for target in targets:
        reply = caller.send_literal("GET", target)
        t.must(secret.encode() not in reply.answer.body, "a path that is not canonical gives no secret")
        t.is_so(reply, not reply.ok, "a path that is not canonical opens nothing")
