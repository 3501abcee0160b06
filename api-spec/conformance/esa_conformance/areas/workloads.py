# SPDX-License-Identifier: Apache-2.0
"""Workloads: a credential for what their platform vouches for, without any secret that was stored."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Mapping
from typing import Final

from esa_conformance.binding.replies import Reply
from esa_conformance.evidence.openssl import SigningKey
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_ISSUER: Final = "https://platform.example"
_AUDIENCE: Final = "vault.example"
_WORKLOAD: Final = "workload-1"
_TTL_S: Final = 120


class _Platform:
    """What vouches for workloads by JSON Web Tokens (RFC 7519), and the mount and role that trust it."""

    def __init__(self, t: Trial, policy: str) -> None:
        self._t = t
        self._key, self._other = SigningKey(str(t.state.openssl)), SigningKey(str(t.state.openssl))
        self._mount = t.auth("jwt")
        about = {"jwt_validation_pubkeys": [self._key.public], "bound_issuer": _ISSUER}
        t.done(t.admin.send("POST", f"auth/{self._mount}/config", about), "a platform is trusted by its key")
        role = {
            "role_type": "jwt", "user_claim": "sub", "bound_subject": _WORKLOAD, "bound_audiences": [_AUDIENCE],
            "token_policies": [policy], "token_ttl": f"{_TTL_S}s",
        }  # fmt: skip
        t.done(t.admin.send("POST", f"auth/{self._mount}/role/one", role), "a role is made")

    def assertion(self, *, by_another: bool = False, **claims: object) -> str:
        """What the platform says of the workload, with other claims; `by_another` is signed by nobody who is trusted."""
        now = int(time.time())
        usual = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": _WORKLOAD,
            "iat": now,
            "nbf": now - 60,
            "exp": now + 600,
        }
        text = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part({**usual, **claims})}"
        return f"{text}.{_base64((self._other if by_another else self._key).sign(text.encode()))}"

    def with_public_key(self, claims: str) -> str:
        """Claims with a code that anybody makes who knows the public key (RFC 8725, section 2.1)."""
        text = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{claims}"
        return f"{text}.{_base64(hmac.digest(self._key.public.encode(), text.encode(), 'sha256'))}"

    def log_in(self, assertion: str) -> Reply:
        """Give an assertion for a credential."""
        body = {"role": "one", "jwt": assertion}
        return self._t.nobody.send("POST", f"auth/{self._mount}/login", body)


@TESTS.test("ESA-NHI-001", needs=("kv", "admin", "openssl"))
def workload_logs_in_by_an_assertion(t: Trial) -> None:
    """Who shows an assertion of a trusted platform gets a credential with the rights that belong to it, and an end."""
    path, value = t.secret(), t.value()
    t.done(t.kv.put(path, value), "a secret is written")
    given = _Platform(t, t.policy({t.kv.data_path(path): ["read"]}))
    reply = given.log_in(given.assertion())
    t.is_so(reply, reply.ok and reply.token != "", "an assertion gives a credential")
    seconds = reply.answer.member("auth", "lease_duration")
    t.must(type(seconds) is int and 0 < seconds <= _TTL_S, "it tells its end")
    workload = t.kv_place.using(reply.token)
    t.equal(workload.get(path).data, value, "it has the rights that belong to the workload")
    found = workload.put(path, t.value())
    t.is_so(found, found.denied, "it has no other right")


@TESTS.test("ESA-NHI-001", needs=("kv", "admin", "openssl"))
def other_assertions_give_no_credential(t: Trial) -> None:
    """An assertion of another workload, issuer, audience or time gives no credential, nor one that was altered."""
    platform = _Platform(t, "default")
    good, past = platform.assertion(), int(time.time()) - 3600
    t.need(platform.log_in(good).ok, "an assertion gives a credential")
    head, claims, signature = good.split(".")
    altered = _part({**json.loads(_bytes(claims)), "name": "another"})
    for what, assertion in {
        "of another workload": platform.assertion(sub="workload-2"),
        "of another issuer": platform.assertion(iss="https://elsewhere.example"),
        "for another audience": platform.assertion(aud="elsewhere.example"),
        "that is over": platform.assertion(iat=past, nbf=past, exp=past + 600),
        "by another key": platform.assertion(by_another=True),
        "that was altered": f"{head}.{altered}.{signature}",
        "authenticated with the public key": platform.with_public_key(claims),
        "without signature": f"{_part({'alg': 'none', 'typ': 'JWT'})}.{claims}.",
    }.items():
        reply = platform.log_in(assertion)
        t.is_so(reply, 400 <= reply.status < 500 and not reply.token, f"an assertion {what} is refused")


def _part(members: Mapping[str, object]) -> str:
    return _base64(json.dumps(members).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
