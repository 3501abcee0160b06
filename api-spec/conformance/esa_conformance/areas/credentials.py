# SPDX-License-Identifier: Apache-2.0
"""Credentials: whose rights they have, until when, how often, and what knows them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Caller, Trial

TESTS = Tests()
_NEEDS: Final = ("kv", "admin")
_TIMED: Final = 60
"""How often two refusals are timed at most: what disturbs one makes it longer, so the least times count, once they fit."""
_TIMED_AT_LEAST: Final = 2
_TIMED_BY_USER: Final = 3
_USUAL_S, _USUAL_PART, _MOST_DECLARED_S = 0.01, 1 / 3, 1.0
"""The bound where none is declared: 10 ms, or a third of the time that is longer; and the largest that may be declared."""
_MAKES = {"auth/token/create": ["update"]}


def _works(caller: Caller) -> bool:
    return caller.client.look_up_self().ok


@TESTS.test("ESA-AUT-001", needs=_NEEDS)
def made_credential_has_no_more_rights(t: Trial) -> None:
    """Who makes a credential cannot give it what they lack."""
    path = t.secret()
    t.done(t.kv.put(path, t.value()), "a secret is written")
    more = t.policy({t.kv.data_path(path): ["read"]})
    maker = t.caller(_MAKES).client
    for policies in ([more], ["root"], [more, "default"]):
        reply = t.have_token(maker, policies=policies)
        found = t.kv_place.using(reply.token or "none").get(path)
        t.is_so(found, found.denied, "a right that the maker lacks is not given")
    heir = t.caller(maker=maker).client
    found = heir.get(path)
    t.is_so(found, found.denied, "a credential made without naming rights has no more than its maker")


@TESTS.test("ESA-AUT-002", needs=_NEEDS)
def revocation_reaches_what_was_made(t: Trial) -> None:
    """Revocation counts from the next request, for all credentials made by the revoked one."""
    parent = t.caller(_MAKES)
    child = t.caller(maker=parent.client)
    grandchild = t.caller(maker=child.client)
    beside = t.caller({})
    t.need(all(map(_works, (parent, child, grandchild))), "new credentials are accepted")
    reply = parent.client.revoke_self()
    t.is_so(reply, reply.ok, "a credential is revoked")
    for caller in (parent, child, grandchild):
        found = caller.client.look_up_self()
        t.is_so(found, found.unknown_caller, "a revoked credential and all made by it are refused")
    t.must(_works(beside), "no other credential is revoked")


@TESTS.test("ESA-AUT-002", needs=_NEEDS)
def credential_is_revoked_by_its_name(t: Trial) -> None:
    """Who has the right looks a credential up and revokes it: it and what it made are refused from the next request."""
    caller, beside = t.caller(_MAKES), t.caller({})
    child = t.caller(maker=caller.client)
    token = {"token": caller.client.token}
    found = t.admin.send("POST", "auth/token/lookup", token)
    t.is_so(found, found.ok, "a credential is looked up")
    t.equal(found.answer.member("data", "accessor"), caller.accessor, "it is the one that was meant")
    reply = t.admin.send("POST", "auth/token/revoke", token)
    t.is_so(reply, reply.ok, "a credential is revoked by another")
    t.must(not _works(caller), "a credential that another revoked is refused")
    t.must(not _works(child), "what was made by it is refused")
    t.must(_works(beside), "no other credential is revoked")


@TESTS.test("ESA-AUT-003", needs=_NEEDS)
def ended_credential_is_refused(t: Trial) -> None:
    """A credential is accepted before its end and not after it."""
    caller = t.caller({}, ttl="2s")
    t.must(_works(caller), "a credential is accepted before its end")
    time.sleep(3.2)
    found = caller.client.look_up_self()
    t.is_so(found, found.unknown_caller, "a credential is not accepted after its end")


@TESTS.test("ESA-AUT-004", needs=_NEEDS)
def uses_are_counted(t: Trial) -> None:
    """A credential for three uses is accepted three times, also when all ask at once."""
    caller = t.caller({}, num_uses=3)
    t.equal([_works(caller) for _ in range(4)], [True, True, True, False], "three uses, and no fourth")
    caller = t.caller({}, num_uses=3)
    found = t.together(10, lambda _: _works(caller))
    t.must(sum(found) <= 3, f"three uses at once, and not {sum(found)}")
    t.must(not _works(caller), "no use after the last")


@TESTS.test("ESA-AUT-005", needs=_NEEDS)
def renewal_keeps_the_maximum(t: Trial) -> None:
    """Renewal does not pass the maximum, and tells the time that was granted."""
    caller = t.caller({}, ttl="30s", explicit_max_ttl="60s", renewable=True)
    reply = caller.client.renew_self("3600s")
    t.need(reply.ok, "a credential is renewed")
    told = reply.answer.member("auth", "lease_duration")
    left = caller.client.look_up_self().answer.member("data", "ttl")
    t.must(isinstance(told, int) and isinstance(left, int), "renewal and look-up tell seconds")
    t.must(0 < told <= 60, "renewal does not pass the maximum")
    t.must(told - 3 <= left <= told, "renewal tells the time that was really granted")


@TESTS.test("ESA-AUT-006", needs=_NEEDS)
def accessor_is_no_credential(t: Trial) -> None:
    """An accessor allows look-up and revocation, and no use."""
    caller = t.caller(_MAKES)
    t.need(caller.accessor != "", "an accessor is given")
    child = t.caller(maker=caller.client)
    found = t.admin.look_up_accessor(caller.accessor)
    t.is_so(found, found.ok, "a credential is looked up by its accessor")
    t.must(str(caller.client.token).encode() not in found.answer.body, "looking up gives no credential")
    used = caller.client.using(caller.accessor).look_up_self()
    t.is_so(used, used.unknown_caller, "an accessor is no credential")
    revoked = t.admin.revoke_accessor(caller.accessor)
    t.is_so(revoked, revoked.ok, "a credential is revoked by its accessor")
    t.must(not _works(caller), "a credential that was revoked by its accessor is refused")
    t.must(not _works(child), "what was made by it is refused")


@TESTS.test("ESA-AUT-007", needs=_NEEDS)
def unknown_name_and_wrong_secret_are_alike(t: Trial) -> None:
    """A log-in with an unknown name and one with a wrong secret answer alike."""
    mount = t.auth("userpass")
    password = t.text()
    t.done(t.admin.send("POST", f"auth/{mount}/users/known", {"password": password}), "a user is made")
    good = t.nobody.send("POST", f"auth/{mount}/login/known", {"password": password})
    t.need(good.ok, "a user logs in")
    wrong, unknown = (
        t.nobody.send("POST", f"auth/{mount}/login/{name}", {"password": "wrong"})
        for name in ("known", "unknown")
    )
    t.is_so(wrong, not wrong.ok, "a wrong secret is refused")
    t.equal(
        (wrong.status, wrong.without_request),
        (unknown.status, unknown.without_request),
        "both are refused alike",
    )


@TESTS.test("ESA-AUT-007", needs=_NEEDS)
def unknown_name_and_wrong_secret_take_as_long(t: Trial) -> None:
    """A log-in with an unknown name and one with a wrong secret take as long, within the declared bound."""
    mount = t.auth("userpass")
    least: dict[str, float] = {}
    for attempt in range(_TIMED):
        # Each user has few wrong log-ins: after more of them a server may lock the name, and answer sooner.
        names = [f"{what}-{attempt // _TIMED_BY_USER}" for what in ("known", "unknown")]
        if attempt % _TIMED_BY_USER == 0:
            user = t.admin.send("POST", f"auth/{mount}/users/{names[0]}", {"password": t.text()})
            t.done(user, "a user is made")
        for name in names:
            begun = time.monotonic()
            reply = t.nobody.send("POST", f"auth/{mount}/login/{name}", {"password": "wrong"})
            took = time.monotonic() - begun
            t.need(not reply.ok and reply.status < 500, "a wrong log-in is refused")
            what = name.partition("-")[0]
            least[what] = min(took, least.get(what, took))
        differs = abs(least["known"] - least["unknown"])
        if attempt >= _TIMED_AT_LEAST and differs <= login_bound(t.state.discovery, max(least.values())):
            return
    t.must(False, "both take as long, within the bound that is declared, or the usual one")


def login_bound(discovery: Mapping[str, Any] | None, longest: float) -> float:
    """Seconds by which the least times of two refusals may differ, of which the longer took `longest` seconds."""
    limits = (discovery or {}).get("limits")
    declared = limits.get("login_s") if isinstance(limits, dict) else None
    if isinstance(declared, int | float) and not isinstance(declared, bool):
        return min(declared, _MOST_DECLARED_S)
    return max(_USUAL_S, longest * _USUAL_PART)


@TESTS.test("ESA-AUT-008", feature="approle", needs=_NEEDS)
def secret_id_logs_in_once(t: Trial) -> None:
    """A secret id for one use logs in once, also when all ask at once."""
    mount = t.auth("approle")
    # Each role has four refused logins at most: after more of them a server may lock the name, and refuse the first one too.
    for askers in (1, 4):
        role = f"auth/{mount}/role/for-{askers}"
        t.done(t.admin.send("POST", role, {"secret_id_num_uses": 1, "token_ttl": "10m"}), "a role is made")
        role_id = t.admin.send("GET", f"{role}/role-id").answer.member("data", "role_id")
        made = t.admin.send("POST", f"{role}/secret-id", {}).answer.member("data", "secret_id")
        t.need(isinstance(made, str), "a secret id is given")
        body = {"role_id": role_id, "secret_id": made}
        replies = t.together(askers, lambda _: t.nobody.send("POST", f"auth/{mount}/login", body))  # noqa: B023 - used at once
        late = t.nobody.send("POST", f"auth/{mount}/login", body)
        accepted = sum(reply.ok for reply in [*replies, late])
        t.equal(accepted, 1, f"a secret id for one use logs in once, and not {accepted} times")
        # Of those who ask at once, one may be told that its transaction failed.
        t.is_so(late, late.status in {400, 401, 403}, "a used secret id is refused")


@TESTS.test("ESA-AUT-009", needs=_NEEDS)
def credential_in_url_is_none(t: Trial) -> None:
    """A credential in the URL does not authenticate."""
    caller = t.caller({})
    for name in ("token", "access_token", "X-Vault-Token", "client_token"):
        found = t.nobody.send("GET", "auth/token/lookup-self", query={name: caller.client.token})
        t.is_so(found, found.unknown_caller or found.status == 400, "a credential in the URL is none")


@TESTS.test("ESA-AUT-010")
def bearer_is_accepted(t: Trial) -> None:
    """A credential as Authorization: Bearer is accepted."""
    path = t.secret()
    value = t.value()
    t.done(t.kv.put(path, value), "a secret is written")
    found = t.nobody.get(path, headers={"Authorization": f"Bearer {t.kv.token}"})
    t.is_so(found, found.ok, "a bearer is accepted")
    t.equal(found.data, value, "a bearer reads what the credential may")


@TESTS.test("ESA-AUT-011", needs=_NEEDS)
def given_credential_is_described(t: Trial) -> None:
    """The answer that gives a credential tells its end, its rights by name, and whether it can be renewed."""
    name = t.policy({"none": ["read"]})
    for renewable in (True, False):
        given = t.caller(policies=[name], ttl="120s", renewable=renewable).reply.answer
        seconds = given.member("auth", "lease_duration")
        t.must(isinstance(seconds, int) and 100 <= seconds <= 120, "it tells its end")
        t.must(name in (given.member("auth", "policies") or ()), "it tells its rights by name")
        t.equal(given.member("auth", "renewable"), renewable, "it tells whether it can be renewed")
